/** Many schedules one after the other, and what they broke. */
import type { Violation } from "./checks.ts";
import type { Mutations } from "./mutants.ts";
import { run } from "./simulation.ts";

/** The names of all checks, in the order of the rules. */
export const checkNames = [
  "noRedisStartsAsMaster",
  "fencedBeforePromoted",
  "writesReachOnlyThePromoted",
  "promotesOnlyCompleteCopies",
  "confirmedWritesSurvive",
  "plannedSwitchLosesNothing",
  "failedServerIsNotUsed",
  "replacedOnlyWhileCounterpartServes",
  "eventuallyWell",
  "actsOnAFreshLook",
  "budgetRespected",
  "promotedInTime",
  "neverThrows",
] as const;

export interface Finding extends Violation {
  seed: number;
}

export interface Summary {
  schedules: number;
  findings: Finding[];
  /** Real seconds. */
  seconds: number;
  virtualSeconds: number;
  written: number;
  confirmed: number;
  /** Schedules whose faults destroyed the only data of the present term, which were not asked to recover. */
  excused: number;
}

export interface ManyOptions {
  firstSeed: number;
  schedules: number;
  mutations?: Mutations;
  /** Stop at the first finding that fits. */
  until?: (finding: Finding) => boolean;
}

export function emptySummary(): Summary {
  return { schedules: 0, findings: [], seconds: 0, virtualSeconds: 0, written: 0, confirmed: 0, excused: 0 };
}

/** Runs the schedules of consecutive seeds. */
export async function runMany({ firstSeed, schedules, mutations, until }: ManyOptions): Promise<Summary> {
  const startedMs = performance.now();
  const summary = emptySummary();
  for (let seed = firstSeed; seed < firstSeed + schedules; seed += 1) {
    const { violation, virtualMs, written, confirmed, isTotalLoss } = await run({ seed, mutations });
    summary.schedules += 1;
    summary.virtualSeconds += virtualMs / 1000;
    summary.written += written;
    summary.confirmed += confirmed;
    summary.seconds = (performance.now() - startedMs) / 1000;
    if (isTotalLoss) summary.excused += 1;
    if (violation) {
      const finding = { seed, ...violation };
      summary.findings.push(finding);
      if (until?.(finding)) break;
    }
  }
  return summary;
}

/** The trace of one schedule, a line per event. */
export async function traceOf(seed: number, mutations?: Mutations): Promise<string[]> {
  const lines: string[] = [];
  await run({ seed, mutations, trace: (line) => lines.push(line) });
  return lines;
}

/** A finding as a person needs it: what broke, how to see it again, and the last moments. */
export async function report(finding: Finding, lastLines = 60): Promise<string> {
  const lines = await traceOf(finding.seed);
  return [
    `seed ${finding.seed} breaks ${finding.check} at ${(finding.atMs / 1000).toFixed(3)} s: ${finding.text}`,
    `replay it with: scripts/simulate --seed ${finding.seed}`,
    ...lines.slice(-lastLines),
  ].join("\n");
}
