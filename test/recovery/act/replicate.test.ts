/** Waiting for a copy in a planned switch: what integration tests meet only when a machine loses its power in that moment. */
import { expect, test } from "vitest";
import { catchUp } from "../../../recovery/act/replicate.ts";
import type { World } from "../../../recovery/act/world.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { addresses, masterInfo, topologyOf } from "../world-of-facts.ts";
import { FakeWorld } from "./fake-world.ts";

/** Time passes only by waiting; a machine without an offset leaves every question without an answer. */
function worldWhere(offsets: Partial<Record<RedisMachine, number>>) {
  const topology = topologyOf(1);
  let nowMs = 0;
  const clock = {
    now: () => nowMs,
    sleep: async (ms: number, signal?: AbortSignal) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (!signal?.aborted) nowMs += ms;
    },
  };
  const redis = (machine: RedisMachine) => ({
    ask: async () => {
      const offset = offsets[machine];
      return offset === undefined ? new Promise(() => {}) : { info: masterInfo({ offset }) };
    },
    run: (commands: string[][]) => run(machine, commands),
  });
  const run = async (machine: RedisMachine, commands: string[][]) => {
    for (const words of commands) told.push(`${machine}: ${words.join(" ")}`);
    return [];
  };
  const told: string[] = [];
  const machines = { redis1: { address: addresses.redis1 }, redis2: { address: addresses.redis2 } };
  const silent = { look: { state: "down" } };
  const proxies = { haproxy1: silent, haproxy2: silent };
  const board = { redis, facts: () => ({ machines, proxies }) };
  return { world: { board, clock, topology } as unknown as World, told, waitedMs: () => nowMs };
}

test("the copy has everything: nobody waits", async () => {
  const { world, told, waitedMs } = worldWhere({ redis1: 100, redis2: 100 });
  await catchUp(world, { shard: 1, from: "redis1", to: "redis2" });
  expect(waitedMs()).toBe(0);
  expect(told).toEqual([]);
});

test.each([1, 100])("a copy that lacks %i bytes is no copy: writes go on at the old master", async (lag) => {
  const { world, told, waitedMs } = worldWhere({ redis1: 1_000, redis2: 1_000 - lag });
  const switched = catchUp(world, { shard: 1, from: "redis1", to: "redis2" });
  await expect(switched).rejects.toThrow(
    `redis2 lags ${lag} bytes behind redis1 for shard 1; traffic goes to redis1 again`,
  );
  expect(waitedMs()).toBeGreaterThan(1_500);
  expect(waitedMs()).toBeLessThan(1_510);
  expect(told).toEqual(["redis1: CLIENT UNPAUSE"]);
});

test.each<[string, Partial<Record<RedisMachine, number>>]>([
  ["redis1", { redis2: 100 }],
  ["redis2", { redis1: 100 }],
])(
  "%s falls silent: the switch is given up as soon as it would count as silent",
  async (machine, offsets) => {
    const { world, waitedMs } = worldWhere(offsets);
    const { failures, connectTimeoutMs } = world.topology.detection;
    const switched = catchUp(world, { shard: 1, from: "redis1", to: "redis2" });
    const limitMs = failures * connectTimeoutMs;
    await expect(switched).rejects.toThrow(`${machine} has not answered for shard 1 within ${limitMs} ms`);
    expect(waitedMs()).toBe(limitMs);
  },
);

test.each<RedisMachine>(["redis1", "redis2"])(
  "%s refuses recovery: the switch fails with its words",
  async (machine) => {
    const bench = new FakeWorld();
    bench.answers[machine] = { refusal: { kind: "busy", text: "BUSY a script runs" } };
    await expect(catchUp(bench.world, { shard: 1, from: "redis1", to: "redis2" })).rejects.toThrow(
      `${machine} refuses recovery: BUSY a script runs`,
    );
  },
);

test("the traffic goes back to the old master by the proxies that answer, and by no other", async () => {
  const bench = new FakeWorld();
  bench.answers.redis2 = { info: masterInfo({ offset: 1 }) };
  bench.facts.facts.proxies.haproxy2.look = { state: "failing", silence: "silent", sinceMs: 0 };
  await expect(catchUp(bench.world, { shard: 1, from: "redis1", to: "redis2" })).rejects.toThrow(
    "redis2 lags 999 bytes behind redis1 for shard 1; traffic goes to redis1 again",
  );
  expect(bench.told.map((line) => line.replace(/^\d+ /, ""))).toEqual([
    "haproxy1: set server shard1/redis2 state maint",
    "haproxy1: set server shard1/redis1 state maint",
    "haproxy1: set server shard1/redis1 addr 10.42.1.11 port 9001",
    "haproxy1: set server shard1/redis1 weight 100%",
    "haproxy1: set server shard1/redis1 health up",
    "haproxy1: set server shard1/redis1 state ready",
    "redis1: CLIENT UNPAUSE",
  ]);
});

test("an old master that was replaced meanwhile gets no traffic: its successor has no data", async () => {
  const bench = new FakeWorld();
  const lagging = { info: masterInfo({ offset: 1 }) };
  Object.defineProperty(bench.answers, "redis2", {
    get: () => {
      if (bench.nowMs > 1_000) bench.facts.facts.machines.redis1.address = "10.42.1.99";
      return lagging;
    },
  });
  await expect(catchUp(bench.world, { shard: 1, from: "redis1", to: "redis2" })).rejects.toThrow(
    "redis2 lags 999 bytes behind redis1 for shard 1, and redis1 is another machine by now",
  );
  expect(bench.told.map((line) => line.replace(/^\d+ /, ""))).toEqual(["redis1: CLIENT UNPAUSE"]);
});
