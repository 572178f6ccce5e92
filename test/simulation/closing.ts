/** How `scripts/simulate` tells people, and other programs, what a run has shown. */
import { type Finding, report, type Summary } from "./many.ts";

/** 0: all schedules that were asked for ran, and no rule was broken; 1: one was; 2: neither is known. */
export function exitStatusOf({ findings, schedules }: Summary, asked: number): number {
  if (findings.length > 0) return 1;
  return schedules < asked ? 2 : 0;
}

/** The last words, with the first finding in full. */
export async function closingOf(summary: Summary, asked: number): Promise<string> {
  const [first] = summary.findings;
  const findings = summary.findings.map(lineOf);
  const missing = asked - summary.schedules;
  return [
    ...(first ? [await report(first), "", ...findings] : []),
    countsOf(summary, asked),
    ...(missing > 0 ? [`interrupted: nothing is known about the ${missing} schedules that did not run`] : []),
  ].join("\n");
}

export function progressOf(summary: Summary, asked: number): string {
  const leftSeconds = Math.ceil((asked - summary.schedules) / perSecondOf(summary));
  return `${countsOf(summary, asked)}, ${leftSeconds} s left`;
}

export function lineOf({ seed, check, text }: Finding): string {
  return `seed ${seed} breaks ${check}: ${text}; replay it: scripts/simulate --seed ${seed}`;
}

function countsOf(summary: Summary, asked: number): string {
  const { schedules, findings, confirmed, excused } = summary;
  return (
    `${schedules} of ${asked} schedules, ${Math.round(perSecondOf(summary))} per second, ` +
    `${confirmed} confirmed writes, ${findings.length} broke a rule, ` +
    `${excused} excused (faults destroyed the only data)`
  );
}

function perSecondOf({ schedules, seconds }: Summary): number {
  return schedules === 0 ? 0 : schedules / seconds;
}
