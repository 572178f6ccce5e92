/** A decision about one subject: its row of a table of situations, put into plain data. */
import type { MachineName } from "../topology.ts";
import { type About, findRow, type Row, UnknownSituation } from "./policy/table.ts";
import type { Situation } from "./policy/tables.ts";
import type { Step } from "./steps.ts";

/** What a decision is about: `shard N`, a machine, or the replacement. */
export type Subject = `shard ${number}` | MachineName | "replacement";

export interface Decision {
  subject: Subject;
  situation: Situation;
  steps: Step[];
  /** One sentence, without the subject's name where the subject is a shard. */
  because: string;
  /** What a person should do. */
  operator: string;
  /** Nothing is left to do about this subject. */
  settled: boolean;
  /** Of a shard: what keeps writes from being acknowledged, or soon will, beside the situation. */
  writes?: Finding;
  /** Whose incident the steps belong to, if one is open. */
  about?: About;
  /** Opens an incident if there is none. */
  opens: boolean;
  /** Blocked: waits for a person or for another machine to come back. */
  holds?: boolean;
  /** When the first sign of the trouble was seen (monotonic milliseconds). */
  sinceMs?: number;
}

/** What the second table says of a subject whose first situation is not settled either. */
export type Finding = Pick<Decision, "situation" | "because" | "operator" | "about" | "opens" | "holds">;

/** All that a decision says of its subject, each with its own sentence. */
export function findingsOf(decision: Decision): Finding[] {
  return decision.writes ? [decision, decision.writes] : [decision];
}

/** A row that names one of all situations. */
export type NamedRow<View> = Row<View> & { situation: Situation };

/** The decision of the first row that covers the view; an unknown situation is a decision that does nothing. */
export function decisionOf<View>(
  subject: Subject,
  rows: readonly NamedRow<View>[],
  view: View,
  describe: () => string,
): Decision {
  try {
    return toDecision(subject, findRow(rows, view, describe), view);
  } catch (error) {
    return unknownDecision(subject, error);
  }
}

export function toDecision<View>(subject: Subject, row: NamedRow<View>, view: View): Decision {
  return {
    subject,
    situation: row.situation,
    steps: row.steps?.(view) ?? [],
    because: row.because(view),
    operator: row.operator,
    settled: row.settled ?? false,
    about: row.about?.(view),
    opens: row.opens ?? false,
    holds: row.holds,
  };
}

/**
 * Reports one subject in an unknown situation by name. The others are healed nevertheless.
 *
 * @throws every other error: that is a bug (isolate.ts).
 */
export function unknownDecision(subject: Subject, error: unknown): Decision {
  if (!(error instanceof UnknownSituation)) throw error;
  return undecided(subject, "UNKNOWN", error.message);
}

/** A bug in recovery stopped the decision about this subject; the others are healed all the same. */
export function bugDecision(subject: Subject): Decision {
  const because = `a bug in recovery: it cannot decide about ${subject}, does nothing about it, and goes on with all others`;
  return undecided(subject, "BUG", because);
}

function undecided(subject: Subject, situation: "UNKNOWN" | "BUG", because: string): Decision {
  return {
    subject,
    situation,
    steps: [],
    because,
    operator: reportIt,
    settled: false,
    opens: false,
    holds: true,
  };
}

/** What a person should do about a bug in recovery. */
export const reportIt = "Report it with the sentence of `barton status`, and look at the subject yourself.";
