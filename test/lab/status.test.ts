import { expect, test } from "vitest";
import type { MachineView } from "../../lab/control-plane/view.ts";
import { faultText, findMachine, memberViews } from "../../lab/control-plane/view.ts";
import { type RecoveryView, statusOf, statusText } from "../../lab/status.ts";

const machine = (name: string, more: Partial<MachineView> = {}): MachineView => ({
  name,
  instanceId: `i-${name}`,
  address: "10.42.1.4",
  state: "running",
  isMember: true,
  hasProfile: false,
  launchTime: "2026-01-01T00:00:00.000Z",
  ...more,
});
const shard = {
  index: 1,
  port: 9001,
  master: "redis1",
  replica: "redis2",
  replicaLink: "up" as const,
  proxies: { haproxy1: "redis1", haproxy2: null },
};
const well: RecoveryView = { healthy: true, sentence: "All is well.", shards: [shard] };
const cloud = (machines: MachineView[], faults: string[] = []) => ({
  machines,
  faults,
  controlPlane: "up" as const,
});

test("healthy is what recovery says when the cloud has no objection", () => {
  const status = statusOf("x", cloud([machine("redis1"), machine("monit")]), well);
  expect(status).toMatchObject({ healthy: true, sentence: "All is well.", shards: [shard], faults: [] });
  expect(status.machines).toEqual([
    { name: "redis1", address: "10.42.1.4", state: "running" },
    { name: "monit", address: "10.42.1.4", state: "running" },
  ]);
});

test.each<[string, Parameters<typeof statusOf>[1], RecoveryView | string, RegExp]>([
  [
    "recovery says no",
    cloud([machine("redis1")]),
    { ...well, healthy: false, sentence: "Shard 1 has no replica." },
    /no replica/,
  ],
  ["recovery is silent", cloud([machine("redis1")]), "monit is stopped", /monit is stopped/],
  [
    "a machine is off",
    cloud([machine("redis1", { state: "stopped", stateReason: "why" })]),
    well,
    /redis1's instance i-redis1 is stopped \(why\)/,
  ],
  [
    "a machine is being replaced",
    cloud([machine("redis1"), machine("redis1", { instanceId: "i-2" })]),
    well,
    /two instances of redis1/,
  ],
  ["a fault is in effect", cloud([machine("redis1")], ["vanish redis1"]), well, /vanish redis1/],
  ["there is nothing", cloud([]), well, /no machines/],
  [
    "the control plane is down",
    { ...cloud([machine("redis1")]), controlPlane: "down" },
    well,
    /control plane is down/,
  ],
])("not healthy when %s", (_, seen, recovery, sentence) => {
  const status = statusOf("x", seen, recovery);
  expect(status.healthy).toBe(false);
  expect(status.sentence).toMatch(sentence);
});

test("builders are not among the machines", () => {
  const status = statusOf(
    "x",
    cloud([machine("redis1"), machine("redis-builder", { isMember: false, state: "stopped" })]),
    well,
  );
  expect(status.healthy).toBe(true);
  expect(status.machines.map((each) => each.name)).toEqual(["redis1"]);
  expect(status.otherInstances.map((each) => each.name)).toEqual(["redis-builder"]);
});

test("a machine is its newest instance, and an ending one only while there is no other", () => {
  const views = [
    machine("redis1", { instanceId: "i-new" }),
    machine("redis1", { instanceId: "i-old", state: "stopped" }),
  ];
  expect(memberViews(views)).toMatchObject([{ instanceId: "i-new" }]);
  const ending = machine("redis1", { instanceId: "i-ending", state: "shutting-down" });
  expect(memberViews([ending, machine("redis1", { instanceId: "i-on" })])).toMatchObject([
    { instanceId: "i-on" },
  ]);
  expect(memberViews([ending])).toMatchObject([{ instanceId: "i-ending" }]);
});

test.each(["redis1", "redis1.barton", "i-redis1"])("%s names the machine", (name) => {
  const builder = machine("redis1.barton", { instanceId: "i-builder", isMember: false });
  expect(findMachine([builder, machine("redis1")], name)?.instanceId).toBe("i-redis1");
  expect(findMachine([machine("redis1")], "redis")).toBeUndefined();
});

test("machines are listed in the order in which people read them", () => {
  const names = ["app", "monit", "zoo", "haproxy2", "redis2", "haproxy1", "redis1"];
  expect(memberViews(names.map((name) => machine(name))).map((each) => each.name)).toEqual([
    ...["redis1", "redis2", "haproxy1", "haproxy2", "app", "monit", "zoo"],
  ]);
});

test("for people it is a table, and holding traffic is said so", () => {
  const text = statusText(statusOf("x", cloud([machine("redis1")]), well));
  expect(text).toContain("lab x: healthy. All is well.");
  expect(text).toMatch(/redis1 +10\.42\.1\.4 +running/);
  expect(text).toMatch(/1 +9001 +redis1 +redis2 +up +redis1 +\(holds\)/);
});

test("faults are told in the words of the command that made them", () => {
  const nameOf = (id: string) => id.slice(2);
  expect(faultText({ kind: "vanish", instanceId: "i-redis1" }, nameOf)).toBe("vanish redis1");
  expect(faultText({ kind: "hang", instanceId: "i-redis1", service: "9001", processes: [] }, nameOf)).toBe(
    "hang redis1:9001",
  );
  expect(faultText({ kind: "disk-full", instanceId: "i-redis1", holders: [] }, nameOf)).toBe(
    "disk-full redis1",
  );
  expect(faultText({ kind: "dns" }, nameOf)).toBe("dns");
  expect(faultText({ kind: "lossy", instanceId: "i-redis1", percent: 10 }, nameOf)).toBe(
    "lossy redis1 --percent 10",
  );
  expect(faultText({ kind: "api", mode: "slow", lateSeconds: 20, seconds: 60 }, nameOf)).toBe(
    "api slow --late 20 --for 60",
  );
  expect(faultText({ kind: "partition", instanceId: "i-a", peerId: "i-b", oneWay: true }, nameOf)).toBe(
    "partition --one-way a b",
  );
});
