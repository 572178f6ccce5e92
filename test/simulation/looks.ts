/** Rule 7 at its effect: which steps the looks under the lock have called for, by subject. */
import type { Decision, Subject } from "../../recovery/decide/decide.ts";
import { describeStep } from "../../recovery/decide/steps.ts";

/** What has happened about a subject since it was locked. */
interface Lock {
  sinceMs: number;
  /** The decision of the first look. */
  first?: Decision;
  /** When a look last called for a step. */
  calledForMs: Map<string, number>;
}

/** May take away the last copy, or the last way to it: a look long ago is not enough. */
const mustBeFresh: ReadonlySet<string> = new Set(["power off", "launch", "unregister proxy"]);

export class Looks {
  readonly #locks = new Map<Subject, Lock>();

  /** A plan about this subject begins. */
  locked(subject: Subject, nowMs: number): void {
    this.#locks.set(subject, { sinceMs: nowMs, calledForMs: new Map() });
  }

  /** It was decided upon once more; what was seen then was asked for at `askedMs`. */
  looked(subject: Subject, decision: Decision | undefined, askedMs: number, nowMs: number): void {
    const lock = this.#locks.get(subject);
    if (!lock || askedMs < lock.sinceMs) return;
    lock.first ??= decision;
    for (const step of decision?.steps ?? []) lock.calledForMs.set(describeStep(step), nowMs);
  }

  /** Did a look under the lock of one of these subjects call for this step? */
  callFor(step: string, kind: string, subjects: ReadonlySet<Subject>, nowMs: number): boolean {
    return [...subjects].some((subject) => {
      const calledForMs = this.#locks.get(subject)?.calledForMs.get(step);
      return calledForMs !== undefined && (calledForMs === nowMs || !mustBeFresh.has(kind));
    });
  }

  firstOf(subject: Subject): Decision | undefined {
    return this.#locks.get(subject)?.first;
  }
}
