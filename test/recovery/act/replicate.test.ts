/** Waiting for a copy in a planned switch: what integration tests meet only when a machine loses its power in that moment. */
import { expect, test } from "vitest";
import { catchUp } from "../../../recovery/act/replicate.ts";
import type { World } from "../../../recovery/act/world.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { addresses, masterInfo, topologyOf } from "../world-of-facts.ts";

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
