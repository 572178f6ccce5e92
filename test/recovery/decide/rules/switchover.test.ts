/** When a planned switch may be made, and the sentence that a person gets when not. */
import { describe, expect, test } from "vitest";
import { isSwitchReady, whyNoSwitchover } from "../../../../recovery/decide/rules/switchover.ts";
import { viewShard } from "../../../../recovery/decide/view/view.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import type { RedisMachine } from "../../../../recovery/topology.ts";
import { condemnedPhase, down, failing, masterInfo, replicaInfo, World } from "../../world-of-facts.ts";

function viewOf(world: World) {
  const { facts, memory } = world;
  const [shard] = facts.topology.shards;
  if (!shard) throw new Error("no shard");
  return viewShard({ facts, memory, limits: defaultLimits }, shard);
}

const replica = (world: World) => world.server("redis2", 1);

test("a replica in sync, and two proxies that can be told: it may be made", () => {
  expect(whyNoSwitchover(viewOf(new World()))).toBeUndefined();
});

test.each<[string, (world: World) => unknown]>([
  ["shard 1 has no master now", (world) => (world.server("redis1", 1).info = replicaInfo("redis2", 9001))],
  [
    "redis2 fails probes (says monit), which is no verdict yet (shard 1)",
    (world) => (replica(world).looks.monit = failing("silent")),
  ],
  ["redis2 is to be replaced itself (shard 1)", (world) => world.order("redis2")],
  ["redis2 is to be replaced itself (shard 1)", (world) => world.replacing("redis2", condemnedPhase)],
  [
    "redis2's disk is full, so it refuses writes (shard 1)",
    (world) => (replica(world).info = replicaInfo("redis1", 9001, { refusesWrites: true })),
  ],
  ["redis2 is not in sync with redis1 for shard 1", (world) => delete world.remembered(1).inSync],
  ["redis2 is of an earlier epoch than shard 1", (world) => (world.remembered(1).epoch = 2)],
  ["redis2 is of an earlier epoch than shard 1", (world) => (replica(world).info = withoutEpoch())],
  [
    "haproxy2 cannot be reached, so redis1 cannot be taken out there (shard 1)",
    (world) => (world.facts.proxies.haproxy2.look = down("silent")),
  ],
  [
    "the cloud has not confirmed that the earlier haproxy1 is off",
    (world) => world.facts.machines.haproxy1.othersAlive.push("i-earlier"),
  ],
])("%s", (why, happen) => {
  const world = new World();
  happen(world);
  expect(whyNoSwitchover(viewOf(world))).toBe(why);
});

function withoutEpoch() {
  const info = replicaInfo("redis1", 9001);
  delete info.epoch;
  return info;
}

describe("a switch is carried out", () => {
  const ready = (world: World, switchTo?: RedisMachine) => isSwitchReady({ ...viewOf(world), switchTo });

  test("when it was ordered and may be", () => {
    expect(ready(new World(), "redis2")).toBe(true);
  });

  test("not when nobody ordered one, or the master is already there", () => {
    expect(ready(new World())).toBe(false);
    expect(ready(new World(), "redis1")).toBe(false);
  });

  test("not while something speaks against it, or the shard has no master", () => {
    const world = new World();
    delete world.remembered(1).inSync;
    expect(ready(world, "redis2")).toBe(false);
    world.server("redis1", 1).info = masterInfo({ role: "replica" });
    expect(ready(world, "redis2")).toBe(false);
  });
});
