/** Counts failures in a row. One success resets the count. */
import type { Look, Silence } from "./facts.ts";

export type Outcome = "ok" | Silence;

export interface Tally {
  /** Failures in a row. */
  failures: number;
  /** When the present row began (monotonic milliseconds). */
  sinceMs?: number;
  silence?: Silence;
  /** False until the first outcome: nothing is known yet. */
  looked: boolean;
}

export const freshTally: Tally = { failures: 0, looked: false };

/** The tally after one more outcome; `startedMs` is when that probe was begun. */
export function count(tally: Tally, outcome: Outcome, startedMs: number): Tally {
  if (outcome === "ok") return { failures: 0, looked: true };
  return {
    failures: tally.failures + 1,
    sinceMs: tally.sinceMs ?? startedMs,
    silence: outcome,
    looked: true,
  };
}

/** How a vantage point with this tally sees the server, given how many failures make a verdict. */
export function lookOf(tally: Tally, failuresForVerdict: number): Look {
  if (!tally.looked) return { state: "none" };
  if (tally.failures === 0) return { state: "up" };
  const state = tally.failures >= failuresForVerdict ? "down" : "failing";
  return { state, silence: tally.silence, sinceMs: tally.sinceMs };
}
