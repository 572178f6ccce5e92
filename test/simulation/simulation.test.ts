/**
 * The rules of docs/architecture.md under random faults, and a mutant per rule that must not survive.
 * BARTON_SIMULATIONS sets the number of schedules; `scripts/simulate` runs as many as one likes.
 */
import { availableParallelism } from "node:os";
import { beforeAll, describe, expect, test } from "vitest";
import { checkNames, type Finding, report, runMany, type Summary, traceOf } from "./many.ts";
import { mutants } from "./mutants.ts";
import { runInParallel } from "./parallel.ts";

const schedules = Number(process.env.BARTON_SIMULATIONS ?? 20_000);
const mutantSchedulesMax = 3_000;
/** Generous: a schedule takes some hundredths of a second on a busy machine. */
const timeoutMs = 120_000 + schedules * 100;

let summary: Summary;

beforeAll(async () => {
  summary = await runInParallel({ firstSeed: 1, schedules, threads: availableParallelism() });
  console.log(describeSummary(summary));
}, timeoutMs);

describe("random schedules", () => {
  test("carry real traffic", () => {
    expect(summary.confirmed).toBeGreaterThan(100 * schedules);
  });

  test("are seldom excused: only where faults destroyed the only data", () => {
    expect(summary.excused).toBeLessThan(schedules / 50);
  });

  test.each(checkNames)(
    "%s holds",
    async (check) => {
      const finding = summary.findings.find((one) => one.check === check);
      expect(finding && (await report(finding))).toBeUndefined();
    },
    timeoutMs,
  );
});

describe("mutants", () => {
  test.each(mutants)(
    "$name",
    async ({ mutations, noticedBy }) => {
      // What breaks without the mutant too proves nothing about it.
      const isNoticed = (finding: Finding) => noticedBy.includes(finding.check) && !breaksAnyway(finding);
      const { findings } = await runMany({
        firstSeed: 1,
        schedules: mutantSchedulesMax,
        mutations,
        until: isNoticed,
      });
      expect(findings.some(isNoticed), `the mutant survived ${mutantSchedulesMax} schedules`).toBe(true);
    },
    timeoutMs,
  );
});

test(
  "the same seed gives the same run",
  async () => {
    for (const seed of [3, 17, 42]) expect(await traceOf(seed)).toEqual(await traceOf(seed));
  },
  timeoutMs,
);

function breaksAnyway({ seed }: Finding): boolean {
  return summary.findings.some((finding) => finding.seed === seed);
}

function describeSummary({ schedules: ran, findings, seconds, virtualSeconds, confirmed }: Summary): string {
  const rate = Math.round(ran / seconds);
  return `${ran} schedules (${Math.round(virtualSeconds / 60)} virtual minutes, ${confirmed} confirmed writes) in ${seconds.toFixed(0)} s: ${rate} per second, ${findings.length} break a rule`;
}
