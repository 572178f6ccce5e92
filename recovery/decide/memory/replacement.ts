/** The replacement of one machine, from the verdict on it to its successor. */

/** How far the power-off of the failed instance is. */
export type PowerOff =
  | "not requested"
  /** This process is asking EC2 now, or is about to: that is on disk before the call. */
  | "begun"
  /** An earlier monitor had begun it, and ended before it wrote down the answer: EC2 may be ending the instance. */
  | { inDoubtSinceMs: number }
  | "accepted";

/** Why the replacement waits, and when it is looked at again (monotonic milliseconds). */
export interface Hold {
  why: string;
  untilMs: number;
}

/**
 * How far the replacement is. A power-off is a part of two phases and no phase of its own: a fence may need it before the
 * taint is written (rule 9). A machine is launched only after its power-off was accepted, or when nobody knows its
 * instance; and one whose power-off is under way is not taken back: so these two phases have none. Only a tainted
 * machine is ready to be launched, so only there a launch can be held.
 */
export type Phase =
  /** Out of use. The next `up` would still keep it. */
  | { phase: "condemned"; powerOff: PowerOff }
  /** The next `up`, by a person or a program, replaces it. */
  | { phase: "tainted"; powerOff: PowerOff; held?: Hold }
  /** A run of the engine that has ended has launched its successor. */
  | { phase: "launched" }
  /** It is used again, and only its taint is still to be taken away. */
  | { phase: "taken back" };

/** The fields that are the same in every phase. */
export interface Cause {
  /** The instance that failed; the machine is new as soon as its current instance is another one. */
  instanceId?: string;
  because: string;
  /** A person renews all machines: it says nothing of how often this one fails. */
  planned?: true;
}

/** A machine that recovery replaces, or has just taken back. */
export type Replacement = Cause & Phase;

/** The machine has just been condemned: nothing of its replacement is done. */
export function condemned(cause: Cause): Replacement {
  return { ...cause, phase: "condemned", powerOff: "not requested" };
}

/** The power-off that is still to be asked for or to be answered; undefined in phases that have none. */
function powerOffOf(replacement: Replacement): PowerOff | undefined {
  return "powerOff" in replacement ? replacement.powerOff : undefined;
}

/** Is the power-off to be requested, again if nobody knows whether EC2 has accepted it? */
export function lacksPowerOff(replacement: Replacement): boolean {
  const powerOff = powerOffOf(replacement);
  return powerOff !== undefined && powerOff !== "accepted";
}

/** Has EC2 said that it ends the instance? A successor is launched only after that. */
export function isPoweredOff(replacement: Replacement): boolean {
  return replacement.phase === "launched" || powerOffOf(replacement) === "accepted";
}

/**
 * May EC2 be ending the instance, so that nobody may use it again? A power-off in doubt counts for `patienceMs`: an
 * instance that runs on for longer is not being ended.
 */
export function isOnItsWayOut(replacement: Replacement, nowMs: number, patienceMs: number): boolean {
  const powerOff = powerOffOf(replacement);
  if (typeof powerOff === "object") return nowMs - powerOff.inDoubtSinceMs < patienceMs;
  return replacement.phase === "launched" || powerOff === "begun" || powerOff === "accepted";
}

/** Events of acting that change a replacement. */
export type Progress =
  | { event: "taken back"; because: string }
  | { event: "tainted" | "power-off begun" | "power-off failed" | "power-off accepted" }
  | { event: "launched" }
  | ({ event: "held" } & Hold);

/** The replacement after that; the same one where the event does not fit its phase. */
export function progressed(before: Replacement, progress: Progress): Replacement {
  const { instanceId, planned, because } = before;
  const cause: Cause = { instanceId, because, ...(planned && { planned }) };
  switch (progress.event) {
    // A taint may be under way at the moment in which the machine is taken back: that has to go, too.
    case "tainted":
      return before.phase === "condemned" ? { ...before, phase: "tainted" } : before;
    case "launched":
      return before.phase === "tainted" ? { ...cause, phase: "launched" } : before;
    case "held":
      return before.phase === "tainted"
        ? { ...before, held: { why: progress.why, untilMs: progress.untilMs } }
        : before;
    case "taken back":
      return isUnderWay(before) ? before : { ...cause, phase: "taken back", because: progress.because };
    default:
      return withPowerOff(before, progress.event);
  }
}

function isUnderWay(replacement: Replacement): boolean {
  const powerOff = powerOffOf(replacement);
  return powerOff === "begun" || powerOff === "accepted";
}

function withPowerOff(
  before: Replacement,
  event: "power-off begun" | "power-off failed" | "power-off accepted",
): Replacement {
  if (!("powerOff" in before) || before.powerOff === "accepted") return before;
  if (event === "power-off accepted") return { ...before, powerOff: "accepted" };
  // A power-off that an earlier monitor began stays in doubt: this failed call says nothing about it.
  if (typeof before.powerOff === "object") return before;
  return { ...before, powerOff: event === "power-off begun" ? "begun" : "not requested" };
}
