/**
 * How a rehearsal breaks a redis machine from inside, on a real one made from the redis image's user data: through sshd, by
 * monit's key, which starts one script there and nothing else.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseConfig, shardsOf } from "../../infra/config.ts";
import { redisImage, redisMachine } from "../../infra/roles/redis/role.ts";
import { cloudConfigText } from "../../infra/user-data.ts";
import { commandOf, faultOf } from "../../recovery/rehearsal/fault.ts";
import { production } from "../infra/settings.ts";
import { topologyOf } from "../recovery/world-of-facts.ts";
import { CloudLab, type Made, until } from "./cloud-lab.ts";

const cloud = new CloudLab();
const folder = mkdtempSync(join(tmpdir(), "barton-rehearsal-"));
const keyFile = join(folder, "key");
let redis1: Made;
let address: string;

beforeAll(async () => {
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "monit", "-f", keyFile]);
  const plain = parseConfig("barton", {
    ...production(),
    "barton:rehearsal": "confirmed",
    "barton:recoverySshPublicKey": readFileSync(`${keyFile}.pub`, "utf8").trim(),
    "barton:vpcCidr": "10.77.0.0/16",
  });
  const config = { ...plain, stack: "barton", shardList: shardsOf(1, plain.ports) };
  const secrets = { clientPassword: "c", replicationPassword: "r", recoveryPassword: "v" };
  const image = redisImage("redis");
  const machine = redisMachine({ name: "redis1", config, secrets });
  // Its other files need what the image installs; the machine is made in one go here.
  const keys = machine.write_files?.filter(({ path }) => path.startsWith("/root/")) ?? [];
  await cloud.start();
  await cloud.network();
  const [one] = await Promise.all([
    cloud.machine("redis1", {
      userData: cloudConfigText({
        ...image,
        hostname: "redis1",
        write_files: [...(image.write_files ?? []), ...keys],
      }),
    }),
    cloud.machine("monit", { subnet: "b" }),
  ]);
  redis1 = one;
  address = String(redis1.state.privateIp);
  for (const port of [22, 9001]) await cloud.allow(cloud.ids.group, port, { cidrIpv4: "10.77.0.0/16" });
  await Promise.all([cloud.booted("redis1"), cloud.booted("monit")]);
  // A server starts on a data volume only; what kind of one is no matter here.
  const lines = ["port 9001", "bind 0.0.0.0", "protected-mode no", "dir /srv/redis/9001"];
  await cloud.ask(
    "redis1",
    "sh",
    "-c",
    `mkdir -p /srv/redis && mount -t tmpfs data /srv/redis && install -d -o redis /srv/redis/9001 && printf '%s\\n' '${lines.join("' '")}' >/etc/redis/redis-9001.conf && systemctl start redis-server@9001`,
  );
  await cloud.ask(
    "monit",
    "sh",
    "-c",
    `umask 077 && printf '%s' '${readFileSync(keyFile, "utf8")}' >/root/key && command -v ssh >/dev/null || (apt-get update && apt-get install --yes openssh-client)`,
  );
  await until("redis answers", 10_000, isAnswering);
}, 120_000);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cloud.remove();
});

/** What monit gets when it asks for `command` with its key. */
const asMonit = (command: string, user = "root") =>
  cloud.run(
    "monit",
    ...[
      "ssh",
      "-i",
      "/root/key",
      "-o",
      "BatchMode=yes",
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "LogLevel=ERROR",
    ],
    ...["-o", "ConnectTimeout=3", `${user}@${address}`, command],
  );

async function rehearse(kind: string, target: string, seconds = 10): Promise<void> {
  const { status, out } = await asMonit(commandOf(faultOf(kind, target, topologyOf(), seconds)) ?? "");
  expect(status, out).toBe(0);
}

const ping = "exec 3<>/dev/tcp/$0/9001; echo PING >&3; read -t 0.5 -r answer <&3; echo $answer";
const isAnswering = async () =>
  (await cloud.run("monit", "timeout", "1", "bash", "-c", ping, address)).out.includes("PONG");
const pid = () => cloud.ask("redis1", "systemctl", "show", "--value", "-p", "MainPID", "redis-server@9001");

test("the key starts the script and nothing else", async () => {
  for (const command of ["id", "sh -c id", "/usr/local/lib/barton/fault reboot", ""]) {
    expect(await asMonit(command)).toMatchObject({
      status: 2,
      out: expect.stringContaining("fault: expected"),
    });
  }
  expect((await asMonit("fault crash ssh.service")).out).toContain("is no server of this machine");
  expect((await asMonit("fault crash redis-server@9002.service")).out).toContain("does not run");
  expect(await isAnswering()).toBe(true);
});

test("crash: the process is another one afterwards", async () => {
  const before = await pid();
  await rehearse("crash", "redis1:9001");
  await until("another process", 20_000, async () => !["0", before].includes(await pid()) && isAnswering());
});

test("hang: connections are accepted, nothing is answered; it ends by itself", async () => {
  const before = await pid();
  await rehearse("hang", "redis1:9001", 5);
  const beganMs = performance.now();
  expect(await isAnswering()).toBe(false);
  expect(await cloud.connect("monit", address, 9001)).toBe("open");
  await until("its end", 15_000, isAnswering);
  expect(performance.now() - beganMs).toBeGreaterThan(3_000);
  expect(await pid()).toBe(before);
});

test("hang: healed before its time", async () => {
  await rehearse("hang", "redis1:9001", 600);
  expect(await isAnswering()).toBe(false);
  const { status } = await asMonit("/usr/local/lib/barton/fault heal redis-server@9001.service");
  expect(status).toBe(0);
  await until("its end", 5_000, isAnswering);
});

test("vanish: the machine is silent while it runs on, and is back after its time", async () => {
  const before = await pid();
  expect((await asMonit("/usr/local/lib/barton/fault vanish 6")).status).toBe(0);
  await until("its silence", 5_000, async () => (await cloud.connect("monit", address, 9001)) === "silent");
  expect(await pid()).toBe(before);
  await until("its return", 30_000, isAnswering);
});
