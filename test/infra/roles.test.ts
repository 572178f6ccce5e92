import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseConfig, shardsMax, shardsOf } from "../../infra/config.ts";
import { appImage, appMachine } from "../../infra/roles/app/role.ts";
import { haproxyImage, haproxyMachine } from "../../infra/roles/haproxy/role.ts";
import { monitImage, monitMachine, toolVersions } from "../../infra/roles/monit/role.ts";
import { keysWithout, redisImage, redisMachine, restartSeconds } from "../../infra/roles/redis/role.ts";
import {
  type CloudConfig,
  cloudConfigText,
  encodeUserData,
  userDataBytesMax,
} from "../../infra/user-data.ts";
import { holdAddress } from "../../recovery/decide/rules/proxy-changes.ts";
import { production, root } from "./settings.ts";

const passwords = {
  clientPassword: "client-password-for-tests",
  replicationPassword: "replication-password-for-tests",
  recoveryPassword: "recovery-password-for-tests",
};

function config(shards = 2) {
  const plain = parseConfig("barton", { ...production(), "barton:shards": String(shards) });
  return { ...plain, stack: "barton", shardList: shardsOf(shards, plain.ports) };
}
const redis1 = (shards?: number) =>
  redisMachine({ name: "redis1", config: config(shards), secrets: passwords });
const program = { bucket: "barton-program-1", key: "program/abc.tar", sha256: "5".repeat(64), hash: "abc" };
const content = (cloud: CloudConfig, path: string) => {
  const found = cloud.write_files?.find((file) => file.path === path);
  if (!found) throw new Error(`no ${path} among ${cloud.write_files?.map((file) => file.path).join(", ")}`);
  return found;
};

describe("user data", () => {
  const all = (shards: number): Record<string, CloudConfig> => ({
    redis1: redis1(shards),
    haproxy1: haproxyMachine({ name: "haproxy1", config: config(shards) }),
    app: appMachine({ config: config(shards), clientPassword: passwords.clientPassword }),
    monit: monitMachine({
      config: config(shards),
      secrets: { ...passwords, recoverySshPrivateKey: "k".repeat(3400) },
      program,
    }),
  });

  test("is a cloud-config that YAML reads as it was meant", () => {
    const text = cloudConfigText(redis1());
    expect(text.startsWith("#cloud-config\n")).toBe(true);
    expect(JSON.parse(text.replace(/^.*\n/, ""))).toEqual(redis1());
  });

  test.each(Object.keys(all(1)))(`of %s fits, also for ${shardsMax} shards`, (machine) => {
    const cloud = all(shardsMax)[machine] as CloudConfig;
    expect(encodeUserData(machine, cloudConfigText(cloud), "gzip").length).toBeLessThanOrEqual(
      (userDataBytesMax * 4) / 3 + 4,
    );
  });

  test("of a builder fits without compression", () => {
    for (const cloud of [redisImage("redis"), haproxyImage(), appImage(), monitImage({ root }).contents])
      encodeUserData("builder", cloudConfigText(cloud), "plain");
  });

  test("that does not fit is refused with the limit", () => {
    expect(() => encodeUserData("redis1", "x".repeat(userDataBytesMax + 1), "plain")).toThrow(
      /user data of redis1 has 16385 bytes \(plain\), but AWS takes 16384/,
    );
  });

  test("of machines installs nothing and runs nothing: it works without a network", () => {
    for (const cloud of Object.values(all(2))) {
      expect(Object.keys(cloud)).not.toContain("packages");
      expect(Object.keys(cloud)).not.toContain("runcmd");
    }
  });

  test("names the machine in full", () => {
    expect(redis1()).toMatchObject({ hostname: "redis1.barton", fqdn: "redis1.barton" });
  });
});

describe("redis", () => {
  test("every server is born a replica of nobody", () => {
    for (const port of [9001, 9002]) {
      const { content: conf, ...file } = content(redis1(), `/etc/redis/redis-${port}.conf`);
      expect(conf).toMatch(new RegExp(`^port ${port}$`, "m"));
      expect(conf).toMatch(/^replicaof 127\.0\.0\.1 1$/m);
      expect(conf).toMatch(new RegExp(`^dir /srv/redis/${port}$`, "m"));
      expect(file).toMatchObject({ permissions: "0640", owner: "root:redis" });
    }
  });

  test("a server runs on the machine's own data volume, or not at all", () => {
    expect(content(redis1(), "/etc/barton/data-volume").content).toBe("redis1\n");
    const drop = content(
      redisImage("redis"),
      "/etc/systemd/system/redis-server@.service.d/barton.conf",
    ).content;
    expect(drop).toMatch(/^Requires=barton-data\.service$/m);
    expect(drop).toMatch(/^AssertPathIsMountPoint=\/srv\/redis$/m);
  });

  test("valkey has the same unit by name, its own program and user, and the configuration in the same place", () => {
    const image = redisImage("valkey");
    expect(image.packages).toEqual(["valkey-server", "valkey-tools"]);
    expect(image.runcmd).toContain(
      "cp /usr/lib/systemd/system/valkey-server@.service /etc/systemd/system/redis-server@.service",
    );
    const drop = content(image, "/etc/systemd/system/redis-server@.service.d/barton.conf").content;
    expect(drop).toMatch(/^ExecStart=\/usr\/bin\/valkey-server \/etc\/redis\/redis-%i\.conf /m);
    expect(drop).toContain("runuser -u valkey --");
    const machine = redisMachine({
      name: "redis1",
      config: { ...config(), engine: "valkey" },
      secrets: passwords,
    });
    const conf = content(machine, "/etc/redis/redis-9001.conf");
    expect(conf).toMatchObject({ permissions: "0640", owner: "root:valkey" });
    expect(conf.content).toContain("pidfile /run/valkey-9001/");
  });

  const common = () => content(redis1(), "/etc/redis/barton.conf").content;
  const setting = (name: string) =>
    [...common().matchAll(new RegExp(`^${name} (.*)$`, "gm"))].map(([, v]) => v);

  test("a write is on disk within a second: a power failure of both machines costs no more", () => {
    expect(setting("appendonly")).toEqual(["yes"]);
    expect(setting("appendfsync")).toEqual(["everysec"]);
  });

  test("the copy on disk stays until the master's is complete: a half-received copy never replaces a whole one", () => {
    // `swapdb` and `on-empty-db` load what comes straight into memory; a master that dies in the middle leaves nothing whole.
    expect(setting("repl-diskless-load")).toEqual(["disabled"]);
  });

  test("the only password in clear is the one that redis itself must send", () => {
    const text = cloudConfigText(redis1());
    expect(text).toContain(passwords.replicationPassword);
    expect(text).not.toContain(passwords.clientPassword);
    expect(text).not.toContain(passwords.recoveryPassword);
    const hash = createHash("sha256").update(passwords.clientPassword).digest("hex");
    expect(content(redis1(), "/etc/redis/users.acl").content).toContain(`user client on #${hash} `);
  });

  test("a crashed server stays away longer than it takes to notice", () => {
    const detection = {
      intervalMs: 200,
      fastIntervalMs: 50,
      connectTimeoutMs: 200,
      failures: 3,
      stallMs: 4000,
    };
    expect(restartSeconds(detection)).toBe(4);
    expect(restartSeconds({ ...detection, intervalMs: 5000, connectTimeoutMs: 5000 })).toBe(90);
  });

  test("patterns without a prefix: its beginnings, and whatever leaves it", () => {
    expect(keysWithout("ab")).toEqual(["~", "~[^a]*", "~a", "~a[^b]*"]);
  });
});

describe("proxies", () => {
  const proxy = (name: "haproxy1" | "haproxy2") => haproxyMachine({ name, config: config() });
  const cfg = content(proxy("haproxy1"), "/etc/haproxy/haproxy.cfg").content;

  test("are identical but for their names", () => {
    expect(proxy("haproxy1").write_files).toEqual(proxy("haproxy2").write_files);
  });

  test("know no redis machine at their start: every server is disabled, and `hold` is not checked", () => {
    const servers = cfg.match(/^\s+server .*/gm)?.map((line) => line.trim()) ?? [];
    expect(servers.filter((line) => line.startsWith("server redis"))).toHaveLength(8);
    for (const line of servers.filter((line) => !line.startsWith("server hold")))
      expect(line).toMatch(/ disabled\b/);
    for (const line of servers.filter((line) => line.startsWith("server hold")))
      expect(line).toBe(`server hold ${holdAddress.address}:${holdAddress.port} backup`);
    expect(cfg).not.toMatch(/default-server.*\bcheck\b/);
  });

  test("take the detection from the configuration", () => {
    expect(cfg).toMatch(/inter 200ms fastinter 50ms downinter 200ms fall 3 rise 2/);
    expect(cfg).toMatch(/timeout connect 200ms/);
  });

  test("end the old process one second after a reload: nobody could fence the sessions that it keeps", () => {
    expect(cfg).toMatch(/^ {2}hard-stop-after 1s$/m);
  });

  test("let monit copy their configuration, from inside the VPC", () => {
    expect(content(proxy("haproxy1"), "/root/.ssh/authorized_keys2").content.trim().split("\n")).toEqual([
      expect.stringMatching(/^from="10\.42\.0\.0\/16" ssh-ed25519 \S+ monit$/),
    ]);
  });
});

describe("app", () => {
  const app = appMachine({ config: config(10), clientPassword: passwords.clientPassword });

  test("asks the VPC's resolver for the proxies, and prefers haproxy1", () => {
    const cfg = content(app, "/etc/haproxy/haproxy.cfg").content;
    expect(cfg).toContain("nameserver vpc 10.42.0.2:53");
    expect(cfg).toMatch(/^ {2}bind 127\.0\.0\.1:7010$/m);
    expect(cfg).toMatch(
      /server haproxy1 haproxy1\.barton:8010 track proxies\/haproxy1\n.*haproxy2\.barton:8010 .* backup\n.*hold/,
    );
  });

  test("has the clients' credentials for root alone, and redis-test", () => {
    expect(content(app, "/etc/barton/client.env")).toMatchObject({
      permissions: "0600",
      content: expect.stringMatching(
        /^BARTON_CLIENT_USER=client\nBARTON_CLIENT_PASSWORD=client-password-for-tests$/m,
      ),
    });
    expect(content(app, "/usr/local/bin/redis-test")).toMatchObject({ permissions: "0755" });
  });
});

describe("monit", () => {
  const machine = (passphrase?: string) =>
    monitMachine({
      config: {
        ...config(),
        projectFolder: "lab",
        monitEnvironment: { AWS_ENDPOINT_URL_EC2: "http://169.254.169.254" },
      },
      secrets: { ...passwords, recoverySshPrivateKey: "key" },
      passphrase,
      program,
    });

  test("its environment is the same for systemd and for a shell", () => {
    const { content: text, permissions } = content(machine(), "/etc/barton/monitor.env");
    expect(permissions).toBe("0600");
    const shell = execFileSync("/bin/sh", [
      "-c",
      `${text}\necho "$BARTON_PROJECT_DIR $PULUMI_BACKEND_URL $AWS_ENDPOINT_URL_EC2"`,
    ]);
    expect(shell.toString().trim()).toBe(
      "/opt/barton/program/lab s3://test-bucket/barton?region=eu-central-1 http://169.254.169.254",
    );
  });

  test("knows where its program is, and how to tell that it is the right one", () => {
    const { content: text } = content(machine(), "/etc/barton/program.env");
    const arguments_ =
      "$BARTON_PROGRAM_BUCKET $BARTON_PROGRAM_KEY $BARTON_PROGRAM_SHA256 $BARTON_PROGRAM_HASH";
    const shell = execFileSync("/bin/sh", ["-c", `${text}\necho "${arguments_}"`]);
    expect(shell.toString().trim()).toBe(Object.values(program).join(" "));
  });

  test("has the passphrase of the stack's secrets only if the stack has one", () => {
    expect(content(machine("secret"), "/etc/barton/passphrase")).toMatchObject({
      content: "secret\n",
      permissions: "0600",
    });
    expect(content(machine("secret"), "/etc/barton/monitor.env").content).toContain(
      'PULUMI_CONFIG_PASSPHRASE_FILE="/etc/barton/passphrase"',
    );
    expect(cloudConfigText(machine())).not.toContain("passphrase");
  });

  test("its image takes one archive of tools, or else the official downloads in the versions of package.json", () => {
    const archive = monitImage({
      root,
      archive: { url: "http://example.org/t.tar.gz", sha256: "f".repeat(64) },
    });
    expect(archive.stdin).toBeUndefined();
    expect(archive.contents.runcmd).toContain(
      `/usr/local/lib/barton/install-tools archive 'http://example.org/t.tar.gz' ${"f".repeat(64)}`,
    );
    const official = monitImage({ root });
    const { node, pulumi, aws, command } = toolVersions(root);
    expect(content(official.contents, "/usr/local/lib/barton/prepare-image").content).toContain(
      `install-tools official ${node} ${pulumi} ${aws} ${command}\n`,
    );
    const packed = execFileSync("tar", ["-t"], {
      input: Buffer.from(official.stdin ?? "", "base64"),
    }).toString();
    expect(packed).toBe("package.json\npackage-lock.json\n");
  });
});
