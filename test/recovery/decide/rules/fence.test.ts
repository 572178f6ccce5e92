/** Rule 2, the deciding half: which proxies are told, what proves the others harmless, and what blocks a fence. */
import { describe, expect, test } from "vitest";
import { planFence, powerOffsForFence, takesCommands } from "../../../../recovery/decide/rules/fence.ts";
import { viewShard } from "../../../../recovery/decide/view/view.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { condemnedPhase, down, World } from "../../world-of-facts.ts";

const planOf = (world: World) => planFence(world.facts, world.memory, "redis1");

/** haproxy2 does not answer, and says nothing of itself. */
function mute(): World {
  const world = new World(1);
  world.facts.proxies.haproxy2.look = down("silent");
  return world;
}
const told = { proxies: ["haproxy1"], proven: [], unproven: [] };

test("two proxies that answer are told, and nothing more is needed", () => {
  expect(planOf(new World())).toEqual({ proxies: ["haproxy1", "haproxy2"], proven: [], unproven: [] });
});

test("a proxy that does not answer, and whose machine may live, blocks the fence", () => {
  expect(planOf(mute())).toEqual({
    ...told,
    unproven: ["haproxy2"],
    blocked: "haproxy2 does not answer and the cloud has not confirmed that haproxy2 or redis1 is off",
  });
});

describe("a silent proxy is no obstacle when", () => {
  test("the cloud says that it is off", () => {
    const world = mute();
    world.facts.machines.haproxy2.cloud = "stopped";
    expect(planOf(world)).toEqual({ ...told, proven: ["haproxy2 is off, says the cloud"] });
  });

  test("the cloud says that the failed redis machine is off", () => {
    const world = mute();
    world.facts.machines.redis1.cloud = "terminated";
    const proof = "redis1 is off, says the cloud";
    expect(planOf(world)).toEqual({ ...told, proven: [proof, proof] });
  });

  test("it is new and was never registered", () => {
    const world = mute();
    world.machine("haproxy2").newcomer = { configured: false, failedAttempts: 0 };
    expect(planOf(world)).toEqual({ ...told, proven: ["haproxy2 is new and was never registered"] });
  });
});

test("the successor is new, but the condemned instance is still the present one: no proof", () => {
  const world = mute().replacing("haproxy2", condemnedPhase);
  world.machine("haproxy2").newcomer = { configured: false, failedAttempts: 0 };
  expect(planOf(world).unproven).toEqual(["haproxy2"]);
});

test("a new proxy that answers is told like any other", () => {
  const world = new World();
  world.machine("haproxy2").newcomer = { configured: true, failedAttempts: 0 };
  expect(planOf(world)).toEqual({ proxies: ["haproxy1", "haproxy2"], proven: [], unproven: [] });
});

describe("an earlier instance of a proxy that may still live", () => {
  test("blocks the fence although its successor answers", () => {
    const world = new World();
    world.facts.machines.haproxy2.othersAlive = ["i-earlier"];
    expect(planOf(world)).toEqual({
      proxies: ["haproxy1", "haproxy2"],
      proven: [],
      unproven: [],
      blocked: "the cloud has not confirmed that the earlier haproxy2 is off",
    });
  });

  test("also when the present one is off", () => {
    const world = mute();
    Object.assign(world.facts.machines.haproxy2, { cloud: "stopped", othersAlive: ["i-earlier"] });
    expect(planOf(world).unproven).toEqual(["haproxy2"]);
  });
});

test.each<[string, (world: World) => unknown]>([
  ["is silent", (world) => (world.facts.proxies.haproxy1.look = down("silent"))],
  ["has no view", (world) => delete world.facts.proxies.haproxy1.view],
  ["cannot be understood", (world) => (world.facts.proxies.haproxy1.refusal = refusal)],
])("a proxy that %s takes no commands", (_, happen) => {
  const world = new World();
  expect(takesCommands(world.facts, "haproxy1")).toBe(true);
  happen(world);
  expect(takesCommands(world.facts, "haproxy1")).toBe(false);
});
const refusal = {
  kind: "unreadable",
  text: "?",
} as unknown as World["facts"]["proxies"]["haproxy1"]["refusal"];

describe("a power-off that would prove the fence", () => {
  const powerOffs = (world: World) => {
    const { facts, memory } = world;
    const known = { facts, memory, limits: defaultLimits };
    const shards = facts.topology.shards.map((shard) => viewShard(known, shard));
    return powerOffsForFence(known, "redis1", shards).map((step) => step.do === "power off" && step.machine);
  };
  /** haproxy2 does not answer, and redis1 has been out for `graceMs`. */
  const lost = () => {
    const world = mute().lookAll("redis1", down("silent"));
    world.decide();
    return world.later(defaultLimits.graceMs);
  };

  test("of the condemned proxy, and of the condemned redis machine that is dead", () => {
    const world = lost().replacing("haproxy2", condemnedPhase).replacing("redis1", condemnedPhase);
    expect(powerOffs(world)).toEqual(["haproxy2", "redis1"]);
  });

  test("of no machine that is not condemned", () => {
    expect(powerOffs(lost())).toEqual([]);
    expect(powerOffs(lost().replacing("redis1", condemnedPhase))).toEqual(["redis1"]);
  });

  test("not of the redis machine whose counterpart could not take over (rule 5)", () => {
    const world = lost().replacing("haproxy2", condemnedPhase).replacing("redis1", condemnedPhase);
    delete world.remembered(1).inSync;
    expect(powerOffs(world)).toEqual(["haproxy2"]);
  });

  test("not of the redis machine that has been silent for a moment only", () => {
    const world = mute().lookAll("redis1", down("silent"));
    world.decide();
    world.later(defaultLimits.graceMs - 1_000).replacing("redis1", condemnedPhase);
    expect(powerOffs(world)).toEqual([]);
  });

  test("none while both proxies can be told", () => {
    const world = lost().replacing("redis1", condemnedPhase).replacing("haproxy2", condemnedPhase);
    world.facts.proxies.haproxy2.look = { state: "up" };
    expect(powerOffs(world)).toEqual([]);
  });
});
