/** What throws in a run, be it recovery or the model itself, is a finding of that run, with its seed. */
import { expect, test } from "vitest";
import { runMany, traceOf } from "./many.ts";
import type { Mutations } from "./mutants.ts";
import { run } from "./simulation.ts";

test("an exception outside of recovery's cycle is a finding of its run, and the next seeds run", async () => {
  const mutations: Mutations = {
    get remembersTooEarly(): boolean {
      throw new Error("the model is out of order");
    },
  };
  const { schedules, findings } = await runMany({ firstSeed: 7, schedules: 2, mutations });
  expect(schedules).toBe(2);
  expect(findings).toMatchObject([7, 8].map((seed) => ({ seed, check: "neverThrows" })));
  expect(findings[0]?.text).toContain("the model threw Error: the model is out of order");
  expect((await traceOf(7, mutations)).join("\n")).toContain("BROKEN neverThrows: the model threw");
});

test("… also when it comes in the middle of a run", async () => {
  const unknown = { fault: "of a kind that nobody knows" } as never;
  const { violation } = await run({
    seed: 1,
    schedule: { faults: [{ atMs: 700, fault: unknown }], endMs: 900 },
  });
  expect(violation).toMatchObject({ check: "neverThrows", atMs: 700 });
});

test("decide that throws under the lock is one too, and not just a step that failed", async () => {
  const mutations: Mutations = {
    decisions(decisions) {
      // A cycle decides about all subjects, a look under the lock about one.
      if (decisions.length === 1) throw new Error("under the lock");
      return decisions;
    },
  };
  const { violation } = await run({ seed: 1, mutations });
  expect(violation?.check).toBe("neverThrows");
  expect(violation?.text).toMatch(/decide threw Error: under the lock.*at Monitor.#reconsider/s);
});
