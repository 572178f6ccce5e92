/** Faults that are more than a signal or a link taken away, with real machines; each is healed again. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CloudLab, type Made, until } from "./cloud-lab.ts";
import { newProject } from "./provider/pulumi.ts";

const cloud = new CloudLab(`faults-${process.pid}`);
let one: Made;
let two: Made;
const addressOf = (made: Made) => String(made.state.privateIp);
const faults = async () => (await cloud.view()).faults;
/** A fault through the command line, as a person makes it; gives what it says. */
const fault = async (...args: string[]) => {
  const { status, out, err } = await cloud.cli("fault", ...args);
  expect(status, err).toBe(0);
  return out;
};

beforeAll(async () => {
  await cloud.start();
  await cloud.network();
  [one, two] = await Promise.all([
    cloud.machine("one", { profile: cloud.ids.profile }),
    cloud.machine("two", { subnet: "b", diskGiB: 1 }),
  ]);
  await Promise.all([cloud.booted("one"), cloud.booted("two")]);
  await cloud.create("vpc/securityGroupIngressRule", {
    securityGroupId: cloud.ids.group,
    ipProtocol: "icmp",
    fromPort: -1,
    toPort: -1,
    cidrIpv4: "10.77.0.0/16",
  });
  await cloud.ask("two", "sh", "-c", "apt-get update && apt-get install --yes redis-server");
});

afterEach(async () => {
  await cloud.heal();
});

afterAll(async () => {
  await cloud.remove();
});

/** What machine `one` gets for a call of EC2's API: HTTP status and body. */
async function describeInstances(): Promise<{ status: number; body: string }> {
  const script = `
import urllib.request as u
try:
    r = u.urlopen(u.Request("http://169.254.169.254/", data=b"Action=DescribeInstances&Version=2016-11-15")); print(r.status)
except u.HTTPError as error: r = error; print(r.code)
print(r.read().decode())`;
  const [status = "", ...body] = (await cloud.ask("one", "python3", "-c", script)).split("\n");
  return { status: Number(status), body: body.join("\n") };
}

describe("fault lossy", () => {
  test("loses about so many packets in each direction; heal ends it", async () => {
    const sent = 400;
    /** How many of 400 datagrams from one machine reach the other. */
    const arrived = async (from: string, to: string, address: string) => {
      await cloud.ask(to, "sh", "-c", "rm -f /run/count /run/listens");
      const listen = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 5555)); open("/run/listens", "w").close()
n = 0
while s.recv(10) != b"end": n += 1
open("/run/count", "w").write(str(n))`;
      await cloud.ask(to, "systemd-run", "--quiet", "--collect", "python3", "-c", listen);
      await until(
        "the listener",
        5000,
        async () => (await cloud.run(to, "test", "-e", "/run/listens")).status === 0,
      );
      const send = (text: string, times: number) => `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(${times}):
    s.sendto(b"${text}", ("${address}", 5555))
    if n % 50 == 49: time.sleep(0.005)`;
      await cloud.ask(from, "python3", "-c", send("x", sent));
      return until("the end", 10_000, async () => {
        await cloud.ask(from, "python3", "-c", send("end", 3));
        const { status, out } = await cloud.run(to, "cat", "/run/count");
        return status === 0 && out !== "" && { count: Number(out) };
      });
    };
    const rule = await cloud.create("vpc/securityGroupIngressRule", {
      ...{ securityGroupId: cloud.ids.group, ipProtocol: "udp", fromPort: 5555, toPort: 5555 },
      cidrIpv4: "10.77.0.0/16",
    });
    expect(await fault("lossy", "one", "--percent", "30")).toContain("30 %");
    expect(await faults()).toEqual(["lossy one --percent 30"]);
    // 400 packets with 30 % lost: 280 arrive, and 200 to 350 with more than eight standard deviations to spare.
    for (const { count } of [
      await arrived("two", "one", addressOf(one)),
      await arrived("one", "two", addressOf(two)),
    ]) {
      expect(count).toBeGreaterThan(200);
      expect(count).toBeLessThan(350);
    }
    expect((await cloud.cli("fault", "heal", "one")).out).toBe("healed: lossy one --percent 30");
    expect((await arrived("two", "one", addressOf(one))).count).toBe(sent);
    expect((await arrived("one", "two", addressOf(two))).count).toBe(sent);
    await cloud.delete("vpc/securityGroupIngressRule", rule.id);
  });

  test("is refused without sense", async () => {
    const { status, err } = await cloud.cli("fault", "lossy", "one", "--percent", "0");
    expect(status).toBe(1);
    expect(err).toContain("percent");
  });
});

describe("fault api", () => {
  test("failing: EC2 and resources answer 503, for machines and pulumi; the lab's own control works", async () => {
    await fault("api", "failing");
    expect(await faults()).toEqual(["api failing"]);
    const { status, body } = await describeInstances();
    expect(status).toBe(503);
    expect(body).toContain("<Code>RequestLimitExceeded</Code>");
    await expect(cloud.read("ec2/vpc", cloud.ids.vpc)).rejects.toMatchObject({
      code: "RequestLimitExceeded",
    });
    expect((await cloud.cli("status", "--json")).out).toContain('"api failing"');
    expect((await cloud.cli("exec", "one", "--", "true")).status).toBe(0);
    expect((await cloud.cli("fault", "heal", "api")).out).toBe("healed: api failing");
    expect((await describeInstances()).status).toBe(200);
  });

  test("slow: calls are answered late, and at once when it is healed", async () => {
    await fault("api", "slow", "--late", "1");
    const began = performance.now();
    expect((await describeInstances()).status).toBe(200);
    expect(performance.now() - began).toBeGreaterThan(1000);
    await fault("api", "slow", "--late", "600");
    const held = cloud.read("ec2/vpc", cloud.ids.vpc);
    await cloud.heal("api");
    expect((await held).id).toBe(cloud.ids.vpc);
  });

  test("full: nothing is launched, the rest works; --for ends it", async () => {
    await fault("api", "full");
    await expect(cloud.machine("three")).rejects.toMatchObject({ code: "InsufficientInstanceCapacity" });
    expect((await describeInstances()).status).toBe(200);
    expect((await cloud.view()).machines.map(({ name }) => name).sort()).toEqual(["one", "two"]);
    await fault("api", "full", "--for", "0.5");
    await until("its end", 5000, async () => (await faults()).length === 0);
  });
});

describe("fault dns", () => {
  test("nobody gets an answer, not even by TCP; then everybody does", async () => {
    const zone = await cloud.create("route53/zone", { name: "barton", vpcs: [{ vpcId: cloud.ids.vpc }] });
    const inputs = { zoneId: zone.id, name: "some.barton", type: "A", ttl: 1, records: ["10.77.9.1"] };
    const record = await cloud.create("route53/record", inputs);
    const lookup = async () =>
      (await cloud.run("one", "timeout", "1", "getent", "hosts", "some.barton")).status;
    await until("the record", 3000, async () => (await lookup()) === 0);
    await fault("dns");
    expect(await faults()).toEqual(["dns"]);
    expect(await lookup()).toBe(124);
    expect(await cloud.connect("two", "10.77.0.2", 53)).toBe("silent");
    expect((await cloud.cli("fault", "heal", "dns")).out).toBe("healed: dns");
    expect(await lookup()).toBe(0);
    await cloud.delete("route53/record", record.id);
    await cloud.delete("route53/zone", zone.id);
  });
});

describe("fault clock", () => {
  test("is refused with the reason, and not offered", async () => {
    expect((await cloud.cli("fault", "clock", "one", "--by", "+1h")).err).toContain("CLOCK_REALTIME");
    expect((await cloud.cli("fault", "--help")).out).not.toContain("clock");
  });
});

describe("fault pause", () => {
  test("a redis says nothing for so long, and goes on by itself or when healed", async () => {
    const ping = async (seconds: string) =>
      (await cloud.run("two", "timeout", seconds, "redis-cli", "ping")).status;
    await fault("pause", "two:6379", "--seconds", "600");
    expect(await faults()).toEqual(["pause two:6379 --seconds 600"]);
    expect(await ping("0.5")).toBe(124);
    await fault("pause", "two:6379", "--seconds", "1");
    expect(await ping("10")).toBe(0);
    await until("its end", 5000, async () => (await faults()).length === 0);
    await fault("pause", "two:6379", "--seconds", "600");
    await cloud.heal("two:6379");
    expect(await ping("1")).toBe(0);
  });
});

describe("fault disk-full", () => {
  const write = async (key: string) =>
    (await cloud.run("two", "redis-cli", "--no-raw", "setrange", key, "200000", "x")).out;

  test("nothing can be written to the machine's disk; redis refuses writes; healed, it goes on and has its data", async () => {
    await cloud.ask("two", "redis-cli", "config", "set", "appendonly", "yes");
    await cloud.ask("two", "redis-cli", "set", "before", "kept");
    await fault("disk-full", "two");
    expect(await faults()).toEqual(["disk-full two"]);
    const file = "/var/lib/redis/more";
    expect((await cloud.run("two", "dd", "if=/dev/zero", `of=${file}`, "bs=64k", "count=1")).out).toContain(
      "No space left on device",
    );
    await cloud.run("two", "rm", "-f", file);
    // The first writes may fit into blocks that the file has already.
    let n = 0;
    await until("redis to refuse writes", 10_000, async () => /MISCONF/.test(await write(`full-${n++}`)));
    expect(await cloud.ask("two", "redis-cli", "get", "before")).toBe("kept");
    expect((await cloud.cli("fault", "heal", "two")).out).toBe("healed: disk-full two");
    await until("redis to take writes", 10_000, async () => /integer/.test(await write("after")));
    await cloud.ask("two", "systemctl", "restart", "redis-server");
    expect(await cloud.ask("two", "redis-cli", "get", "before")).toBe("kept");
  });

  test("a machine with a volume keeps it when its power is lost, and images of it have what it wrote", async () => {
    await fault("disk-full", "two");
    await fault("poweroff", "two");
    expect(await faults()).toEqual([]); // it ends with the machine
    const image = await cloud.create("ec2/amiFromInstance", { name: "of-two", sourceInstanceId: two.id });
    await fault("poweron", "two");
    await cloud.booted("two");
    await until("redis", 10_000, async () => (await cloud.run("two", "redis-cli", "ping")).out === "PONG");
    expect(await cloud.ask("two", "sh", "-c", "df --output=size -BM / | tail -1")).toMatch(/ 9\d\dM/);
    expect((await cloud.run("two", "sh", "-c", "echo more > /etc/more")).status).toBe(0);
    const { id } = await cloud.machine("copy", { ami: image.id });
    await cloud.booted("copy");
    expect((await cloud.run("copy", "test", "-e", "/usr/bin/redis-server")).status).toBe(0);
    await cloud.delete("ec2/instance", id);
    await cloud.delete("ec2/amiFromInstance", image.id);
  });

  test("a machine on the host's disk is refused", async () => {
    expect((await cloud.cli("fault", "disk-full", "one")).err).toContain("writes to the host's disk");
  });
});

describe("fault stale-lock", () => {
  test("pulumi refuses to work until it is healed, or until somebody takes the lock away", async () => {
    const noStack = await cloud.cli("fault", "stale-lock");
    expect(noStack.err).toContain("there is no stack");
    const project = await newProject({ PULUMI_BACKEND_URL: `file://${cloud.lab.stateDir}` });
    try {
      expect(await fault("stale-lock", "one")).toContain("one.barton");
      expect(await project.fails(["destroy", "--yes"], "export {};\n")).toMatch(
        /currently locked by 1 lock\(s\)[\s\S]*created by root@one\.barton \(pid 4194303\)/,
      );
      expect(await faults()).toEqual(["stale-lock"]);
      expect((await cloud.cli("fault", "heal", "stale-lock")).out).toBe("healed: stale-lock");
      await project.run(["destroy", "--yes"]);
      await fault("stale-lock");
      await project.run(["cancel", "--yes"]);
      expect(await faults()).toEqual([]);
    } finally {
      await project.remove();
    }
  });
});
