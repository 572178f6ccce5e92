/** App in the model: lost to everybody it is replaced, lost to monit alone it is kept. */
import { expect, test } from "vitest";
import { endStateOf } from "./end-state.ts";
import type { Fault } from "./faults/fault.ts";

const seeds = [1, 2, 3, 4, 5];

/** Which machines a fault costs that lasts longer than every patience. */
async function replacedAfter(seed: number, ...faults: Fault[]) {
  const planned = faults.map((fault) => ({ atMs: 3_000, fault }));
  return (await endStateOf(["redis1"], { faults: planned, endMs: 18_000 }, seed)).replaced;
}

test.each(seeds)("it vanishes, or its power fails: replaced (seed %i)", async (seed) => {
  expect(await replacedAfter(seed, { fault: "vanish", machine: "app", forMs: 60_000 })).toEqual(["app"]);
  expect(await replacedAfter(seed, { fault: "power off", machine: "app" })).toEqual(["app"]);
});

test.each(seeds)("while a proxy is lost too: both are replaced (seed %i)", async (seed) => {
  const lost = (machine: "app" | "haproxy2"): Fault => ({ fault: "vanish", machine, forMs: 60_000 });
  expect(await replacedAfter(seed, lost("app"), lost("haproxy2"))).toEqual(["haproxy2", "app"]);
});

test.each(seeds)("cut off from monit alone, or from monit and one proxy: kept (seed %i)", async (seed) => {
  const cut = (from: "monit" | "haproxy1"): Fault => ({
    fault: "cut",
    from,
    to: ["app"],
    direction: "both",
    forMs: 12_000,
  });
  expect(await replacedAfter(seed, cut("monit"))).toEqual([]);
  expect(await replacedAfter(seed, cut("monit"), cut("haproxy1"))).toEqual([]);
});
