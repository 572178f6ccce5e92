/** Verdicts, and how one comes from many: the worst wins, and a checker that crashes knows nothing. */
import type { Evidence } from "../record.ts";

export type Verdict = "pass" | "unknown" | "fail";

/** What one checker found. */
export interface Finding {
  checker: string;
  verdict: Verdict;
  /** One sentence with the figures. */
  sentence: string;
  /** The first few cases, in words. */
  examples: string[];
  /** For results.json. */
  figures?: Record<string, number | null | Record<string, number>>;
}

/** A checker is a pure function of what is known of a run. */
export interface Checker {
  name: string;
  check: (evidence: Evidence) => Omit<Finding, "checker">;
}

/** How many cases are told in words. */
const examplesMax = 5;

/** Runs one checker; whatever it throws, its verdict is unknown. */
export function run({ name, check }: Checker, evidence: Evidence): Finding {
  try {
    const finding = check(evidence);
    return { checker: name, ...finding, examples: finding.examples.slice(0, examplesMax) };
  } catch (error) {
    const sentence = `the checker crashed, so nothing is known: ${(error as Error).message}`;
    return { checker: name, verdict: "unknown", sentence, examples: [] };
  }
}

const badness: Record<Verdict, number> = { pass: 0, unknown: 1, fail: 2 };

/** The worst of the verdicts; unknown when there is none. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.length === 0) return "unknown";
  return verdicts.reduce((a, b) => (badness[b] > badness[a] ? b : a));
}

/** The exit status of a run: scripts can tell "fail" from "nothing is known". */
export const exitStatusOf: Record<Verdict, number> = { pass: 0, fail: 1, unknown: 2 };

/** 48211 as "48 211". */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** Milliseconds as seconds with two decimals. */
export function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
