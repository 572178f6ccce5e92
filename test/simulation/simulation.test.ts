/**
 * The rules of docs/architecture.md under random faults, and a mutant per rule that must not survive.
 * BARTON_SIMULATIONS sets the number of schedules; `scripts/simulate` runs as many as one likes.
 */
import { availableParallelism } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { knownFindings } from "./known-findings.ts";
import { checkNames, type Finding, report, runMany, type Summary, traceOf } from "./many.ts";
import { type Mutations, mutants } from "./mutants.ts";
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
      const finding = summary.findings.find((one) => one.check === check && !isKnown(one));
      expect(finding && (await report(finding))).toBeUndefined();
    },
    timeoutMs,
  );
});

test("what is listed as known still breaks: else its line must go", () => {
  const found = new Set(summary.findings.map(({ seed, check }) => `${seed} ${check}`));
  const within = knownFindings.filter(({ seed }) => seed <= schedules);
  expect(within.filter(({ seed, check }) => !found.has(`${seed} ${check}`))).toEqual([]);
});

/** Mutants meet all faults, those also that still break rules without a mutant. */
describe("mutants", () => {
  beforeAll(() => {
    process.env.BARTON_SIMULATION_OPEN = "1";
  });
  afterAll(() => {
    delete process.env.BARTON_SIMULATION_OPEN;
  });

  test.each(mutants)(
    "$name",
    async ({ mutations, noticedBy }) => {
      expect(await isKilled(mutations, noticedBy), `survived ${mutantSchedulesMax} schedules`).toBe(true);
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

function isKnown({ seed, check }: Finding): boolean {
  return knownFindings.some((known) => known.seed === seed && known.check === check);
}

/** A schedule that breaks without the mutant too proves nothing about it: then the search goes on behind it. */
async function isKilled(mutations: Mutations, noticedBy: readonly string[]): Promise<boolean> {
  const until = ({ check }: Finding) => noticedBy.includes(check);
  for (let firstSeed = 1; firstSeed <= mutantSchedulesMax; ) {
    const left = mutantSchedulesMax - firstSeed + 1;
    const { findings } = await runMany({ firstSeed, schedules: left, mutations, until });
    const found = findings.find(until);
    if (!found) return false;
    const alone = await runMany({ firstSeed: found.seed, schedules: 1 });
    if (alone.findings.length === 0) return true;
    firstSeed = found.seed + 1;
  }
  return false;
}

function describeSummary({ schedules: ran, findings, seconds, virtualSeconds, confirmed }: Summary): string {
  const rate = Math.round(ran / seconds);
  return `${ran} schedules (${Math.round(virtualSeconds / 60)} virtual minutes, ${confirmed} confirmed writes) in ${seconds.toFixed(0)} s: ${rate} per second, ${findings.length} break a rule`;
}
