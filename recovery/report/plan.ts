/** The output of `barton plan --json`, from the outcome of one cycle. */
import type { Outcome } from "../decide/decide.ts";
import { findingsOf, type Subject } from "../decide/decision.ts";
import { describeStep } from "../decide/steps.ts";
import { type PauseView, whyPaused } from "../loop/pause.ts";

/** One entry of a plan. A plan without any means that the desired state is reached, and that recovery would act. */
export interface PlannedSubject {
  /** A decision's subject; or `recovery`, with the reason why it begins nothing at all. */
  subject: string;
  situation: string;
  because: string;
  steps: string[];
  trouble?: string;
}

/**
 * What is or would be done about every subject that is not as it should be.
 *
 * @param troubleOf what failed last about a subject, in words.
 */
export function planOf(
  outcome: Outcome,
  troubleOf: (subject: Subject) => string | undefined,
  pause: PauseView | undefined,
): PlannedSubject[] {
  const planned = outcome.decisions
    .filter(({ settled }) => !settled)
    .map((decision) => ({
      subject: decision.subject,
      situation: findingsOf(decision)
        .map(({ situation }) => situation)
        .join(", "),
      because: findingsOf(decision)
        .map(({ because }) => because)
        .join("; "),
      steps: decision.steps.map(describeStep),
      trouble: troubleOf(decision.subject),
    }));
  const paused = whyPaused(pause);
  // Who is blind, or leaves the acting to another monitor, decides nothing: that must not read as "nothing to do".
  const looksOn = planned.length === 0 && !outcome.settled;
  return [
    ...(paused ? [restraint("paused", paused)] : []),
    ...(looksOn ? [restraint("looks-on", outcome.sentence)] : []),
    ...planned,
  ];
}

const restraint = (situation: string, because: string): PlannedSubject => ({
  subject: "recovery",
  situation,
  because,
  steps: [],
});
