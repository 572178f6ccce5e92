/** Many schedules on several threads, when a thread crashes, or somebody stops them at once. */
import { expect, test } from "vitest";
import { closingOf } from "./closing.ts";
import { runInParallel } from "./parallel.ts";

const sixty = { firstSeed: 1, schedules: 60, threads: 2 };

test.each([
  ["throws", 'throw new Error("out of order")', "out of order"],
  ["exits", "process.exit(3)", "exit code 3"],
])("a thread that %s ends the run, and says in which seeds", async (_, code, why) => {
  const worker = new URL(`data:text/javascript,${code}`);
  const crash = /^a thread crashed while it ran the seeds (1 to 50|51 to 60): /;
  await expect(runInParallel({ ...sixty, worker })).rejects.toThrow(crash);
  await expect(runInParallel({ ...sixty, worker })).rejects.toThrow(why);
});

test("whoever stops before anything ran is told so", async () => {
  const summary = await runInParallel({ ...sixty, signal: AbortSignal.abort() });
  expect(summary.schedules).toBe(0);
  expect(await closingOf(summary, 60)).toContain("nothing is known about the 60 schedules");
});
