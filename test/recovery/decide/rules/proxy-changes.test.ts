/** Which server lines of a proxy are changed, to what, and in which order (rule 4). */
import { describe, expect, test } from "vitest";
import { changesFor, type Traffic } from "../../../../recovery/decide/rules/proxy-changes.ts";
import { type ShardView, viewShard } from "../../../../recovery/decide/view/view.ts";
import type { ProxyServer } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { condemnedPhase, down, replicaInfo, World } from "../../world-of-facts.ts";

const viewOf = ({ facts, memory }: World): ShardView => {
  const [shard] = facts.topology.shards;
  if (!shard) throw new Error("no shard");
  return viewShard({ facts, memory, limits: defaultLimits }, shard);
};
const changes = (world: World, traffic: Traffic = "to master", busy = false) =>
  changesFor("haproxy1", [{ view: viewOf(world), traffic, busy }]);
/** The line as it is after somebody has changed it. */
const set = (
  world: World,
  machine: "redis1" | "redis2",
  line: "traffic" | "probe",
  to: Partial<ProxyServer>,
) => Object.assign(world.lines("haproxy1", 1)[machine][line], to);
const out = { ready: false, maintenance: true };
const inUse = { ready: true, maintenance: false };
const drains = { ready: false, maintenance: false };
const line = (machine: "redis1" | "redis2", name: "traffic" | "probe") => ({ shard: 1, line: name, machine });

test("a proxy whose lines are right needs nothing", () => {
  expect(changes(new World(1))).toEqual([]);
  expect(changes(new World(1), "as it is")).toEqual([]);
});

test("servers are taken out before another one is used", () => {
  const world = new World(1);
  set(world, "redis1", "traffic", out);
  set(world, "redis1", "probe", out);
  set(world, "redis2", "traffic", inUse);
  expect(changes(world)).toEqual([
    { ...line("redis2", "traffic"), ready: false },
    { ...line("redis1", "probe"), ready: true },
    { ...line("redis1", "traffic"), ready: true },
  ]);
});

test("a line that drains is neither in use nor out", () => {
  const world = new World(1);
  set(world, "redis1", "traffic", drains);
  set(world, "redis2", "traffic", drains);
  expect(changes(world)).toEqual([
    { ...line("redis2", "traffic"), ready: false },
    { ...line("redis1", "traffic"), ready: true },
  ]);
});

test("traffic that is held goes nowhere", () => {
  expect(changes(new World(1), "hold")).toEqual([{ ...line("redis1", "traffic"), ready: false }]);
});

test.each([
  ["address", { address: "10.42.9.9" }],
  ["port", { port: 9009 }],
])("a line with a former %s gets the present place of the master", (_, place) => {
  const world = new World(1);
  set(world, "redis1", "traffic", place);
  expect(changes(world)).toEqual([
    { ...line("redis1", "traffic"), ready: true, address: { address: "10.42.1.11", port: 9001 } },
  ]);
});

test("a line with a former address that shall not be used is taken out, not moved", () => {
  const world = new World(1);
  set(world, "redis2", "traffic", { ...inUse, address: "10.42.9.9" });
  expect(changes(world)).toEqual([{ ...line("redis2", "traffic"), ready: false }]);
  // Nothing shall be changed for it, but its place is nobody's any more.
  expect(changes(world, "as it is")).toEqual([{ ...line("redis2", "traffic"), ready: false }]);
});

test("a plan that is under way has the traffic lines for itself; probes are changed all the same", () => {
  const world = new World(1);
  set(world, "redis1", "traffic", out);
  set(world, "redis1", "probe", out);
  expect(changes(world, "to master", true)).toEqual([{ ...line("redis1", "probe"), ready: true }]);
});

test("a machine without an address, or a proxy without such a line, gets no change", () => {
  const world = new World(1);
  set(world, "redis1", "traffic", out);
  delete world.facts.machines.redis1.address;
  expect(changes(world)).toEqual([]);
  const bare = new World(1);
  delete bare.facts.proxies.haproxy1.view?.shards[1];
  expect(changes(bare)).toEqual([]);
  delete bare.facts.proxies.haproxy1.view;
  expect(changes(bare)).toEqual([]);
});

describe("a condemned machine (rule 4)", () => {
  test("is in no line, although it answers", () => {
    const world = new World(1).replacing("redis2", condemnedPhase);
    set(world, "redis2", "traffic", inUse);
    expect(changes(world, "as it is")).toEqual([
      { ...line("redis2", "probe"), ready: false },
      { ...line("redis2", "traffic"), ready: false },
    ]);
  });

  test("whose server is still the only master serves until its successor is promoted", () => {
    const world = new World(1).replacing("redis1", condemnedPhase);
    expect(changes(world)).toEqual([{ ...line("redis1", "probe"), ready: false }]);
    expect(changes(world, "as it is")).toEqual([{ ...line("redis1", "probe"), ready: false }]);
  });
});

describe("probes", () => {
  test("of a server that is out end", () => {
    const world = new World(1).lookAll("redis1", down("silent"));
    expect(changes(world, "as it is")).toEqual([
      { ...line("redis1", "probe"), ready: false },
      { ...line("redis1", "traffic"), ready: false },
    ]);
  });

  test("begin for the master and for a replica in sync; another one's stay as they are", () => {
    const without = (change: (world: World) => unknown) => {
      const world = new World(1);
      for (const machine of ["redis1", "redis2"] as const) set(world, machine, "probe", out);
      change(world);
      return changes(world).flatMap((change) => (change.line === "probe" ? change.machine : []));
    };
    expect(without(() => {})).toEqual(["redis1", "redis2"]);
    expect(without((world) => delete world.remembered(1).inSync)).toEqual(["redis1"]);
    const nobody = (world: World) => (world.server("redis1", 1).info = replicaInfo("redis2", 9001));
    expect(without(nobody)).not.toContain("redis1");
  });
});
