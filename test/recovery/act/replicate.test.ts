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
  });
  const machines = { redis1: { address: addresses.redis1 }, redis2: { address: addresses.redis2 } };
  const board = { redis, facts: () => ({ machines, proxies: {} }) };
  return { world: { board, clock, topology } as unknown as World, waitedMs: () => nowMs };
}

test("the copy has everything: nobody waits", async () => {
  const { world, waitedMs } = worldWhere({ redis1: 100, redis2: 100 });
  await catchUp(world, { shard: 1, from: "redis1", to: "redis2" });
  expect(waitedMs()).toBe(0);
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
