/** Pure parts that fit into a few lines each: names, seed, services, processes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { interfaceName, macOf, newId, newZoneId, privateDnsName } from "../../../lab/control-plane/names.ts";
import {
  hasEnded,
  isAlive,
  netnsInodeAt,
  processNow,
  signalProcess,
} from "../../../lab/control-plane/processes.ts";
import { metaData, userDataOf } from "../../../lab/control-plane/seed.ts";
import { listeningInodes, parseService } from "../../../lab/control-plane/services.ts";
import { Turns } from "../../../lab/control-plane/system.ts";

describe("names", () => {
  test("have AWS's forms", () => {
    expect(newId("i")).toMatch(/^i-[0-9a-f]{17}$/);
    expect(newZoneId()).toMatch(/^Z[0-9A-F]{20}$/);
    expect(privateDnsName("10.42.1.5", "eu-central-1")).toBe("ip-10-42-1-5.eu-central-1.compute.internal");
    expect(privateDnsName("10.42.1.5", "us-east-1")).toBe("ip-10-42-1-5.ec2.internal");
  });

  test("an interface's name fits into the kernel's 15 characters", () => {
    expect(interfaceName("v", newId("i")).length).toBeLessThanOrEqual(15);
    expect(interfaceName("b", newId("subnet"))).toMatch(/^b[0-9a-f]{13}$/);
  });

  test("a MAC address is local, unicast, and the same for the same instance", () => {
    expect(macOf("i-1")).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(macOf("i-1")).toBe(macOf("i-1"));
    expect(macOf("i-1")).not.toBe(macOf("i-2"));
  });
});

describe("the seed", () => {
  test("meta-data is YAML that cloud-init reads, whatever is in the key's comment", () => {
    const text = metaData({
      instanceId: "i-1",
      hostname: "ip-1",
      publicKeys: ['ssh-ed25519 AAAA "o\'brien": x'],
      userData: Buffer.of(),
    });
    expect(JSON.parse(text)).toEqual({
      "instance-id": "i-1",
      "local-hostname": "ip-1",
      "public-keys": ['ssh-ed25519 AAAA "o\'brien": x'],
    });
  });

  test("user data keeps its bytes, gzip or not", () => {
    const bytes = Buffer.from([0x1f, 0x8b, 0, 255, 10]);
    expect(userDataOf({ userDataBase64: bytes.toString("base64") })).toEqual(bytes);
    expect(userDataOf({ userData: "#cloud-config\nä" }).toString()).toBe("#cloud-config\nä");
    expect(userDataOf({})).toHaveLength(0);
  });
});

describe("services", () => {
  test.each([
    ["haproxy", "haproxy"],
    ["9001", 9001],
    ["65535", 65_535],
    ["0", undefined],
    ["65536", undefined],
    ["redis", undefined],
    ["", undefined],
    ["9001x", undefined],
  ])("%j means %j", (text, service) => {
    expect(parseService(text)).toBe(service);
  });

  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 7001 1 0 100 0 0 10 0
   1: 0A2A0104:2329 0A2A0105:D0F0 01 00000000:00000000 00:00000000 00000000   101        0 7002 1 0 100 0 0 10 0
   2: 00000000:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 7003 1 0 100 0 0 10 0
`;
  test("only listening sockets of the port count", () => {
    expect(listeningInodes(table, 9001)).toEqual(["7001"]);
    expect(listeningInodes(table, 9003)).toEqual([]);
    expect(listeningInodes("", 9001)).toEqual([]);
  });
});

describe("processes", () => {
  test("one is known by its start time too: a reused pid is never signalled", () => {
    const self = processNow(process.pid);
    expect(self && isAlive(self)).toBe(true);
    const other = { pid: process.pid, startTime: "1" };
    expect(isAlive(other)).toBe(false);
    expect(signalProcess(other, "SIGKILL")).toBe(false);
    expect(processNow(2 ** 22 + 1)).toBeUndefined();
  });

  test("one that was killed has ended when its sockets are closed, also those of its threads", async () => {
    // Node has threads of its own beside the first one.
    const listener =
      "require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port) })";
    const child = spawn(process.execPath, ["-e", listener], { stdio: ["ignore", "pipe", "ignore"] });
    const port = Number(String(await once(child.stdout, "data")));
    const id = processNow(child.pid ?? 0);
    if (id === undefined) throw new Error("the child is not there");
    expect(hasEnded(id)).toBe(false);
    signalProcess(id, "SIGKILL");
    while (!hasEnded(id)) await new Promise((resolve) => setImmediate(resolve));
    const [error] = await once(connect(port, "127.0.0.1"), "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
    expect(hasEnded({ ...id, startTime: "1" })).toBe(true);
  });

  test("a plain file is no network namespace", () => {
    expect(netnsInodeAt(import.meta.filename)).toBeUndefined();
    expect(netnsInodeAt("/proc/self/ns/net")).toBeGreaterThan(0);
    expect(netnsInodeAt("/nowhere")).toBeUndefined();
  });
});

describe("turns", () => {
  test("tasks of one key run one after the other, also after a failure; other keys do not wait", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    let release = () => {};
    const first = turns.take("a", () =>
      new Promise<void>((resolve) => (release = resolve)).then(() => {
        seen.push("a1");
        throw new Error("a1 failed");
      }),
    );
    const second = turns.take("a", async () => void seen.push("a2"));
    await turns.take("b", async () => void seen.push("b1"));
    expect(seen).toEqual(["b1"]);
    release();
    await expect(first).rejects.toThrow("a1 failed");
    await second;
    expect(seen).toEqual(["b1", "a1", "a2"]);
  });
});
