/** Counts failures in a row. One success resets the count. */
import type { Look, Silence } from "./facts.ts";

export type Outcome = "ok" | Silence;

export interface Tally {
  /** Failures in a row. */
  failures: number;
  /** When the present row began (monotonic milliseconds). */
  sinceMs?: number;
  silence?: Silence;
  /** When each of the last failures of that row began, oldest first. */
  beganMs?: number[];
  /** False until the first outcome: nothing is known yet. */
  looked: boolean;
}

export const freshTally: Tally = { failures: 0, looked: false };

/** No verdict needs more failures in a row. */
const beganKept = 20;

/** The tally after one more outcome; `startedMs` is when that probe was begun. */
export function count(tally: Tally, outcome: Outcome, startedMs: number): Tally {
  if (outcome === "ok") return { failures: 0, looked: true };
  return {
    failures: tally.failures + 1,
    sinceMs: tally.sinceMs ?? startedMs,
    silence: outcome,
    beganMs: [...(tally.beganMs ?? []), startedMs].slice(-beganKept),
    looked: true,
  };
}

/** The tally without its failures, because they prove nothing: the party is in doubt, not well. */
export function doubted(tally: Tally, nowMs: number): Tally {
  return { failures: 0, looked: true, sinceMs: nowMs, silence: tally.silence };
}

/** How a vantage point with this tally sees the server, given how many failures make a verdict. */
export function lookOf(tally: Tally, failuresForVerdict: number): Look {
  if (!tally.looked) return { state: "none" };
  const { failures, silence, sinceMs, beganMs = [] } = tally;
  if (sinceMs === undefined) return { state: "up" };
  if (failures < failuresForVerdict) return { state: "failing", silence, sinceMs };
  return { state: "down", silence, sinceMs, provenSinceMs: beganMs.at(-failuresForVerdict) ?? sinceMs };
}
