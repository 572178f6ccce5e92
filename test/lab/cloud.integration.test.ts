/** The control plane with real machines: what an instance is, sees and reaches; and what becomes of a lab in a mess. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answers } from "../../lab/client.ts";
import { cgroupRoots } from "../../lab/control-plane/cgroups.ts";
import { mountPoints } from "../../lab/control-plane/machine.ts";
import { insideNetwork } from "../../lab/lab.ts";
import { labPids, netnsNames } from "../../lab/processes-of.ts";
import { CloudLab, type Made, until } from "./cloud-lab.ts";

const cloud = new CloudLab();
let one: Made;
let two: Made;
const addressOf = (made: Made) => String(made.state.privateIp);

beforeAll(async () => {
  await cloud.start();
  await cloud.network();
  [one, two] = await Promise.all([
    cloud.machine("one", { profile: cloud.ids.profile }),
    cloud.machine("two", { subnet: "b" }),
  ]);
  await Promise.all([cloud.booted("one"), cloud.booted("two")]);
});

afterAll(async () => {
  await cloud.remove();
});

describe("an instance", () => {
  test("runs systemd with its hostname, its address by DHCP, and the resolver of its VPC", async () => {
    expect(await cloud.ask("one", "cat", "/proc/1/comm")).toBe("systemd");
    expect(await cloud.ask("one", "hostname")).toBe("one.barton");
    expect(await cloud.ask("one", "ip", "-brief", "address", "show", "host0")).toContain(
      `${addressOf(one)}/24`,
    );
    expect(await cloud.ask("one", "cat", "/etc/resolv.conf")).toContain("nameserver 10.77.0.2");
    expect(await cloud.ask("one", "ip", "route")).toContain("default via 10.77.1.1");
  });

  test("has nothing failed in it", async () => {
    expect(await cloud.ask("one", "systemctl", "--failed", "--plain", "--no-legend")).toBe("");
    expect(await cloud.ask("one", "cloud-init", "status")).toBe("status: done");
  });

  test("learns about itself from the metadata service, and may call the API only with a profile", async () => {
    const script = `
import json, urllib.request as u
base = "http://169.254.169.254"
token = u.urlopen(u.Request(base + "/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})).read().decode()
print(u.urlopen(u.Request(base + "/latest/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token})).read().decode())
try: print(u.urlopen(base + "/resources/ec2/vpc/${cloud.ids.vpc}").status)
except u.HTTPError as error: print(error.code)`;
    expect((await cloud.ask("one", "python3", "-c", script)).split("\n")).toEqual([one.id, "200"]);
    expect((await cloud.ask("two", "python3", "-c", script)).split("\n")).toEqual([two.id, "403"]);
  });

  test("with a profile sees the lab's state folder, without one it does not", async () => {
    writeFileSync(join(cloud.lab.stateDir, "seen"), "yes");
    expect(await cloud.ask("one", "cat", join(cloud.lab.stateDir, "seen"))).toBe("yes");
    expect((await cloud.run("two", "ls", cloud.lab.stateDir)).status).not.toBe(0);
  });

  test("installs the offered packages without a network", async () => {
    await cloud.ask("two", "sh", "-c", "apt-get update && apt-get install --yes socat redis-server haproxy");
    await cloud.ask("two", "redis-cli", "ping");
  });

  test("reboots from inside and stays the same instance", async () => {
    const before = await cloud.ask("two", "cat", "/proc/sys/kernel/random/boot_id");
    await cloud.run("two", "systemctl", "reboot");
    await until("another boot", 30_000, async () => {
      const { status, out } = await cloud.runIfUp("two", "cat", "/proc/sys/kernel/random/boot_id");
      return status === 0 && out !== before;
    });
    await cloud.booted("two");
    expect((await cloud.read("ec2/instance", two.id)).state.instanceState).toBe("running");
  });
});

describe("a subnet", () => {
  test("its gateway has a hardware address of its own, which stays when a machine leaves", async () => {
    const { stdout } = await execa("ip", ["-netns", cloud.lab.netns, "-json", "link"]);
    const links = JSON.parse(stdout) as { ifname: string; address: string; master?: string }[];
    const gateways = links.filter(({ ifname }) => /^b[0-9a-f]{13}$/.test(ifname));
    expect(gateways).toHaveLength(2);
    for (const { ifname, address } of gateways) {
      const ports = links.filter(({ master }) => master === ifname);
      expect(ports.length).toBeGreaterThan(0);
      expect(ports.map((port) => port.address)).not.toContain(address);
    }
  });
});

describe("the private zone", () => {
  test("a record resolves on machines, its change and its end are seen at once", async () => {
    const zone = await cloud.create("route53/zone", { name: "barton", vpcs: [{ vpcId: cloud.ids.vpc }] });
    const inputs = { zoneId: zone.id, name: "some.barton", type: "A", ttl: 1, records: ["10.77.9.1"] };
    const record = await cloud.create("route53/record", inputs);
    const lookup = async () => (await cloud.run("one", "getent", "hosts", "some.barton")).out.split(/\s+/)[0];
    await until("the record", 3000, async () => (await lookup()) === "10.77.9.1");
    await cloud.update("route53/record", record.id, { ...inputs, records: ["10.77.9.2"] });
    await until("its change", 3000, async () => (await lookup()) === "10.77.9.2");
    await cloud.delete("route53/record", record.id);
    await until("its end", 3000, async () => (await lookup()) === "");
    await cloud.delete("route53/zone", zone.id);
  });
});

describe("security groups", () => {
  test("what no rule opens is closed; a new rule opens it, and its end closes it for new connections alone", async () => {
    await cloud.listen("one", 7777);
    expect(await cloud.connect("two", addressOf(one), 7777)).toBe("silent");
    const rule = await cloud.allow(cloud.ids.group, 7777, { cidrIpv4: `${addressOf(two)}/32` });
    expect(await cloud.connect("two", addressOf(one), 7777)).toBe("open");
    const talk = `
import socket, time
s = socket.create_connection(("${addressOf(one)}", 7777)); s.settimeout(5)
for n in range(100):
    s.sendall(b"x\\n"); assert s.recv(10) == b"x\\n"
    open("/run/talk", "w").write(str(n)); time.sleep(0.05)`;
    await cloud.ask("two", "systemd-run", "--quiet", "--unit=talk", "python3", "-c", talk);
    await until(
      "an established connection",
      5000,
      async () => (await cloud.run("two", "test", "-s", "/run/talk")).status === 0,
    );
    await cloud.delete("vpc/securityGroupIngressRule", rule);
    expect(await cloud.connect("two", addressOf(one), 7777)).toBe("silent");
    const before = Number(await cloud.ask("two", "cat", "/run/talk"));
    await until(
      "the established connection to go on",
      5000,
      async () => Number(await cloud.ask("two", "cat", "/run/talk")) > before + 3,
    );
    await cloud.run("two", "systemctl", "stop", "talk");
  });

  test("a rule for members of a group holds for instances that come and go", async () => {
    const friends = await cloud.group("friends");
    const rule = await cloud.allow(cloud.ids.group, 7777, { referencedSecurityGroupId: friends });
    expect(await cloud.connect("two", addressOf(one), 7777)).toBe("silent");
    await cloud.update("ec2/instance", two.id, {
      ...two.state,
      vpcSecurityGroupIds: [cloud.ids.group, friends],
    });
    expect(await cloud.connect("two", addressOf(one), 7777)).toBe("open");
    await cloud.update("ec2/instance", two.id, { ...two.state, vpcSecurityGroupIds: [cloud.ids.group] });
    expect(await cloud.connect("two", addressOf(one), 7777)).toBe("silent");
    await cloud.delete("vpc/securityGroupIngressRule", rule);
    await cloud.delete("ec2/securityGroup", friends);
  });
});

describe("an image", () => {
  test("of a running instance has what was written; the instance runs on", async () => {
    await cloud.machine("builder", {
      userData: "#cloud-config\nwrite_files: [{path: /etc/baked, content: cake}]\n",
    });
    await cloud.booted("builder");
    const builder = (await cloud.view()).machines.find((each) => each.name === "builder");
    const image = await cloud.create("ec2/amiFromInstance", {
      name: "baked",
      sourceInstanceId: builder?.instanceId,
    });
    const baked = await cloud.machine("baked", { ami: image.id });
    await cloud.booted("baked");
    expect(await cloud.ask("baked", "cat", "/etc/baked")).toBe("cake");
    expect(await cloud.ask("baked", "hostname")).toBe("baked.barton");
    await until(
      "the builder again",
      30_000,
      async () => (await cloud.runIfUp("builder", "cat", "/etc/baked")).out === "cake",
    );
    // Neither needs the other any more.
    await cloud.delete("ec2/amiFromInstance", image.id);
    await cloud.delete("ec2/instance", builder?.instanceId ?? "");
    expect(
      await cloud.ask("baked", "sh", "-c", "cat /etc/baked; touch /etc/more && ls /usr/bin/env"),
    ).toContain("cake");
    await cloud.delete("ec2/instance", baked.id);
    expect(readdirSync(cloud.lab.imagesDir)).toEqual([]);
  });
});

describe("commands", () => {
  test.each([
    [["exec", "one", "--", "sh", "-c", "exit 7"], 7, ""],
    [["exec", "one", "--", "echo", "a  b"], 0, "a  b"],
    [["exec", "two", "--", "id", "-un"], 0, "root"],
    [["status", "--json"], 0, '"healthy": false'],
    [["status"], 0, "NOT healthy"],
  ])("%j", async (args, status, out) => {
    const result = await cloud.cli(...args);
    expect(result.status, result.err).toBe(status);
    expect(result.out).toContain(out);
  });

  test.each([
    [["exec", "nobody", "--", "true"], /no machine "nobody".*one/],
    [["fault", "vanish"], /missing required argument/],
    [["fault", "explode", "one"], /unknown command/],
    [["up", "--sideways"], /unknown option/],
  ])("%j is refused", async (args, message) => {
    const result = await cloud.cli(...args);
    expect(result.status).toBe(1);
    expect(result.err).toMatch(message);
  });

  test.each([
    ["crash", "one:7777", {}, "no redis-server on port 7777"],
    ["crash", "one", {}, "names no process"],
    ["hang", "one:haproxy", {}, "no haproxy runs on one"],
    ["vanish", "three", {}, "no machine"],
    ["partition", "one", { peer: "one" }, "are the same"],
    ["explode", "one", {}, "there is no fault"],
  ])("the fault %s %s is refused and changes nothing", async (kind, target, more, message) => {
    await expect(cloud.fault(kind, target, more)).rejects.toThrow(message);
    expect((await cloud.view()).faults).toEqual([]);
  });
});

describe("faults", () => {
  beforeAll(async () => {
    await cloud.allow(cloud.ids.group, 22, { cidrIpv4: "10.77.0.0/16" });
  });

  test("a crashed process is gone; a hung one goes on when healed", async () => {
    const port = "6379";
    const pid = async () => (await cloud.ask("two", "pidof", "redis-server")).trim();
    const before = await pid();
    await cloud.fault("crash", `two:${port}`);
    await until(
      "systemd's restart",
      10_000,
      async () => ![before, ""].includes((await cloud.run("two", "pidof", "redis-server")).out.trim()),
    );
    await cloud.ask("two", "redis-cli", "ping");
    await cloud.fault("hang", `two:${port}`);
    expect((await cloud.run("two", "timeout", "1", "redis-cli", "ping")).status).toBe(124);
    expect((await cloud.view()).faults).toEqual([`hang two:${port}`]);
    await cloud.heal(`two:${port}`);
    expect(await cloud.ask("two", "redis-cli", "ping")).toBe("PONG");
    await cloud.fault("crash", "two:haproxy");
    await until("no old haproxy", 5000, async () => (await cloud.view()).faults.length === 0);
  });

  test("a vanished machine runs on, keeps its carrier, and every packet disappears in silence", async () => {
    expect(await cloud.connect("two", addressOf(one), 22)).toBe("open");
    await cloud.fault("vanish", "one");
    expect(await cloud.connect("two", addressOf(one), 22)).toBe("silent");
    expect(await cloud.connect("one", addressOf(two), 22)).toBe("silent");
    expect(await cloud.connect("one", "169.254.169.254", 80)).toBe("silent");
    expect(await cloud.ask("one", "cat", "/sys/class/net/host0/carrier")).toBe("1");
    // Nobody is told "no route to host", not even a neighbour that asks for the address anew: that would be no silence.
    const near = await cloud.machine("near");
    await cloud.booted("near");
    const patient = await cloud.run("near", "timeout", "5", "bash", "-c", `</dev/tcp/${addressOf(one)}/22`);
    expect(patient.status, patient.out).toBe(124);
    await cloud.delete("ec2/instance", near.id);
    await cloud.heal("one");
    await until(
      "one to be back",
      5000,
      async () => (await cloud.connect("two", addressOf(one), 22)) === "open",
    );
  });

  test("a partition silences both ways or one, for established connections too, and is healed by its pair", async () => {
    await cloud.fault("partition", "one", { peer: "two", oneWay: true });
    expect(await cloud.connect("two", addressOf(one), 22)).toBe("silent"); // the replies are lost
    expect((await cloud.view()).faults).toEqual(["partition --one-way one two"]);
    await cloud.heal("two", "one");
    expect(await cloud.connect("two", addressOf(one), 22)).toBe("open");
    await cloud.fault("partition", "one", { peer: "two" });
    expect(await cloud.connect("one", addressOf(two), 22)).toBe("silent");
    expect(await cloud.connect("one", "169.254.169.254", 80)).toBe("open");
    await cloud.heal();
    expect(await cloud.connect("one", addressOf(two), 22)).toBe("open");
  });

  test("a machine that lost its power is stopped, silent, and keeps its disk until it is powered on", async () => {
    await cloud.ask("two", "sh", "-c", "echo kept > /etc/kept && sync");
    await cloud.fault("poweroff", "two");
    expect((await cloud.read("ec2/instance", two.id)).state.instanceState).toBe("stopped");
    expect(await cloud.connect("one", addressOf(two), 22)).toBe("silent");
    expect((await cloud.cli("exec", "two", "--", "true")).err).toMatch(
      /two is not on: its instance .* is stopped/,
    );
    await cloud.fault("poweron", "two");
    await cloud.booted("two");
    expect(await cloud.ask("two", "cat", "/etc/kept")).toBe("kept");
  });
});

describe("the life of instances", () => {
  test("power-off from inside stops it, or terminates it when it was made so", async () => {
    const inputs = (await cloud.machine("brief")).state;
    await cloud.booted("brief");
    const id = String((await cloud.view()).machines.find((each) => each.name === "brief")?.instanceId);
    await cloud.run("brief", "systemctl", "poweroff");
    await until(
      "stopped",
      20_000,
      async () => (await cloud.read("ec2/instance", id)).state.instanceState === "stopped",
    );
    await cloud.update("ec2/instance", id, { ...inputs, instanceInitiatedShutdownBehavior: "terminate" });
    await cloud.create("ec2transitgateway/instanceState", { instanceId: id, state: "running" });
    await cloud.booted("brief");
    await cloud.run("brief", "systemctl", "poweroff");
    await until(
      "terminated",
      20_000,
      async () => (await cloud.read("ec2/instance", id)).state.instanceState === "terminated",
    );
    expect(existsSync(join(cloud.lab.instancesDir, id))).toBe(false);
  });

  test("terminating ends the machine and frees all it held; its address is not the next one's", async () => {
    const brief = await cloud.machine("brief");
    await cloud.delete("ec2/instance", brief.id);
    expect((await cloud.read("ec2/instance", brief.id)).state.instanceState).toBe("terminated");
    expect(netnsNames(cloud.lab).some((name) => name.endsWith(brief.id))).toBe(false);
    expect(mountPoints().some((path) => path.includes(brief.id))).toBe(false);
    const next = await cloud.machine("brief");
    expect(next.state.privateIp).not.toBe(brief.state.privateIp);
    await cloud.delete("ec2/instance", next.id);
  });
});

describe("a control plane that is killed", () => {
  test("leaves machines running; the next one takes them over and finishes what was begun", async () => {
    const { pid } = await cloud.view();
    await cloud.ask("one", "sh", "-c", "echo before > /run/still-on");
    process.kill(pid, "SIGKILL");
    await until("its end", 5000, async () => !(await answers(cloud.lab)));
    expect(await cloud.ask("one", "cat", "/run/still-on")).toBe("before");
    expect(await cloud.connect("one", addressOf(two), 22)).toBe("open");
    await cloud.start();
    expect((await cloud.view()).machines.map((each) => [each.name, each.state]).sort()).toEqual([
      ["one", "running"],
      ["two", "running"],
    ]);
    expect(await cloud.ask("one", "cat", "/run/still-on")).toBe("before");
    // It rules them as the one before did.
    await cloud.allow(cloud.ids.group, 7777, { cidrIpv4: "10.77.0.0/16" });
    await until(
      "the new rule",
      5000,
      async () => (await cloud.connect("two", addressOf(one), 7777)) === "open",
    );
    await cloud.run("two", "systemctl", "poweroff");
    await until(
      "the end of a machine that it had not started",
      20_000,
      async () => (await cloud.read("ec2/instance", two.id)).state.instanceState === "stopped",
    );
  });
});

describe("a control plane that is killed during a launch", () => {
  test.each([20, 60, 100, 140])("after %i ms: the instance is gone with all it held, or runs", async (ms) => {
    const { pid } = await cloud.view();
    const launch = cloud.machine("unlucky").then(
      () => "answered",
      () => "no answer",
    );
    await delay(ms);
    process.kill(pid, "SIGKILL");
    const answer = await launch;
    await cloud.start();
    const machines = () =>
      cloud.view().then((view) => view.machines.filter((each) => each.name === "unlucky"));
    await until("an end of it", 10_000, async () =>
      (await machines()).every((each) => each.state === "running"),
    );
    const left = await machines();
    if (answer === "answered") expect(left).toHaveLength(1);
    for (const { instanceId } of left) await cloud.delete("ec2/instance", instanceId);
    const mine = (name: string) => /\.i-/.test(name) && !name.endsWith(one.id);
    expect(netnsNames(cloud.lab).filter(mine)).toEqual([]);
    expect(mountPoints().filter((path) => path.startsWith(cloud.lab.instancesDir))).toHaveLength(1);
  });
});

describe("a host that was off", () => {
  test("boots its instances again when the control plane is back, with what they had written", async () => {
    await cloud.ask("one", "sh", "-c", "echo kept > /etc/kept");
    // What a reboot of the host leaves of a lab: its folder, and another boot id.
    for (const pid of labPids(cloud.lab)) process.kill(pid, "SIGKILL");
    await until("the end of all processes", 10_000, async () => labPids(cloud.lab).length === 0);
    for (const path of mountPoints().filter((each) => each.startsWith(`${cloud.lab.dir}/`)))
      await execa("umount", [path]);
    for (const name of netnsNames(cloud.lab)) await execa("ip", ["netns", "delete", name]);
    const record = JSON.parse(readFileSync(cloud.lab.resourcesFile, "utf8"));
    writeFileSync(cloud.lab.resourcesFile, JSON.stringify({ ...record, hostBoot: "another" }));
    await cloud.start();
    await cloud.booted("one");
    expect(await cloud.ask("one", "cat", "/etc/kept")).toBe("kept");
    expect(await cloud.connect("one", "169.254.169.254", 80)).toBe("open");
  });
});

describe("down", () => {
  test("removes a lab whose control plane was killed and whose records are lost; twice is once", async () => {
    await cloud.machine("late");
    const { pid } = await cloud.view();
    process.kill(pid, "SIGKILL");
    writeFileSync(cloud.lab.resourcesFile, "{ broken");
    writeFileSync(cloud.lab.pidFile, `${process.pid}\n`); // a pid that belongs to somebody else by now
    // Other leftovers: a half-made namespace, somebody's mount, a program in the lab's network and one in a machine's.
    writeFileSync(`/run/netns/${cloud.lab.netns}.i-0123456789abcdef0`, "");
    await execa("mount", ["-t", "tmpfs", "tmpfs", cloud.lab.imagesDir]);
    const bystander = spawn("sleep", ["600"], { stdio: "ignore" });
    const [file = "", ...args] = insideNetwork(cloud.lab, ["sleep", "600"]);
    spawn(file, args, { stdio: "ignore" });
    expect(labPids(cloud.lab).length).toBeGreaterThan(0);
    const first = await cloud.cli("down");
    expect(first.status, first.err).toBe(0);
    expect(bystander.kill(0)).toBe(true);
    bystander.kill();
    expect(labPids(cloud.lab)).toEqual([]);
    expect(netnsNames(cloud.lab)).toEqual([]);
    expect(mountPoints().filter((path) => path.includes(cloud.lab.name))).toEqual([]);
    expect(existsSync(cloud.lab.dir)).toBe(false);
    for (const root of cgroupRoots()) expect(existsSync(join(root, cloud.lab.cgroup))).toBe(false);
    const second = await cloud.cli("down");
    expect(second).toMatchObject({ status: 0, out: `lab ${cloud.lab.name}: nothing to remove` });
  });

  test("after it the same lab can be made anew", async () => {
    await cloud.start();
    expect((await cloud.view()).machines).toEqual([]);
    expect(readFileSync(cloud.lab.logFile, "utf8")).toContain("control plane of lab");
  });
});
