/** Monit is blind for a while and sees again, while a vantage point beside it is mistaken: nothing has failed, so nothing is done. */
import { expect, test } from "vitest";
import { endStateOf } from "./end-state.ts";
import type { Fault, Planned, Target } from "./faults/fault.ts";

const everybody: Target[] = ["redis1", "redis2", "haproxy1", "haproxy2", "app"];
const seeds = Array.from({ length: 20 }, (_, position) => position + 1);

const blind = (atMs: number, forMs: number): Planned => ({
  atMs,
  fault: { fault: "cut", from: "monit", to: everybody, direction: "both", forMs },
});

/** In how many of the runs something was done, of those in which these faults come about the blindness. */
async function needless(lagMs: number, ...faults: ((seed: number) => Planned)[]): Promise<number[]> {
  const ends = await Promise.all(
    seeds.map(async (seed) => {
      const planned = faults.map((fault) => fault(seed));
      const end = await endStateOf(["redis1"], { faults: planned, endMs: 20_000 }, seed, { monit: lagMs });
      return end.replaced.length > 0 || end.promoted.includes(true) ? [seed] : [];
    }),
  );
  return ends.flat();
}

const cutOff = (forMs: number): Fault => ({
  fault: "cut",
  from: "haproxy1",
  to: ["redis1"],
  direction: "both",
  forMs,
});

test.each([0, 30, 60])(
  "a proxy that alone is cut off from the master is no second witness (%i ms of latency)",
  async (lagMs) => {
    const found = await needless(
      lagMs,
      (seed) => blind(2_000, 4_000 + seed * 37),
      () => ({ atMs: 2_500, fault: cutOff(15_000) }),
    );
    expect(found).toEqual([]);
  },
);

test.each([0, 30])(
  "a proxy's process that stood still is no second witness (%i ms of latency)",
  async (lagMs) => {
    const found = await needless(
      lagMs,
      (seed) => blind(2_000, 6_000 + seed * 37),
      (seed) => ({ atMs: 5_000 + seed * 20, fault: { fault: "hang", machine: "haproxy1", forMs: 2_500 } }),
    );
    expect(found).toEqual([]);
  },
);
