/**
 * The rules of design section 4 under random faults, and a mutant per rule that must not survive.
 * BARTON_SIMULATIONS sets the number of schedules; `scripts/simulate` runs as many as one likes.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { knownBugs } from "./known-bugs.ts";
import { checkNames, type Finding, report, runMany, type Summary, traceOf } from "./many.ts";
import { mutants } from "./mutants.ts";
import { run } from "./simulation.ts";

const schedules = Number(process.env.BARTON_SIMULATIONS ?? 4_000);
const mutantSchedulesMax = 600;
/** Generous: a schedule takes some hundredths of a second on a busy machine. */
const timeoutMs = 120_000 + schedules * 100;

let summary: Summary;

beforeAll(async () => {
  summary = await runMany({ firstSeed: 1, schedules });
  console.log(describeSummary(summary));
}, timeoutMs);

describe("random schedules", () => {
  test("carry real traffic", () => {
    expect(summary.confirmed).toBeGreaterThan(100 * schedules);
  });

  for (const check of checkNames) {
    const isBroken = knownBugs.some((bug) => bug.check === check);
    const name = `${check} holds${isBroken ? ", but for known bugs" : ""}`;
    // Fewer schedules than usual may not meet the known bugs.
    const find = isBroken && schedules >= 4_000 ? test.fails : test;
    find(
      name,
      async () => {
        const finding = summary.findings.find((one) => one.check === check);
        expect(finding && (await report(finding))).toBeUndefined();
      },
      timeoutMs,
    );
  }
});

test.fails.each(knownBugs)(
  "known bug: seed $seed breaks $check: $why",
  async ({ seed }) => {
    expect((await run({ seed })).violation).toBeUndefined();
  },
  timeoutMs,
);

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
