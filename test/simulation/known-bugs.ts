/**
 * Bugs of recovery that the simulation has found and that are not fixed yet. Their schedules are expected to
 * fail; as soon as one passes, its test says so, and its line goes.
 */
import type { checkNames } from "./many.ts";

export interface KnownBug {
  seed: number;
  check: (typeof checkNames)[number];
  why: string;
}

export const knownBugs: KnownBug[] = [
  {
    seed: 4,
    check: "eventuallyWell",
    why: "a stale master is held, but a restarted newer server copies from it: traffic waits for ever",
  },
  {
    seed: 96,
    check: "eventuallyWell",
    why: "a machine that fails again during its launch inherits the first one's mark `launched`",
  },
  {
    seed: 101,
    check: "confirmedWritesSurvive",
    why: "after a loss of power the offset of the former process is believed, although its last second is gone",
  },
  {
    seed: 792,
    check: "confirmedWritesSurvive",
    why: "nobody looks again between the comparison of programs, which takes long, and the power-off",
  },
  {
    seed: 110,
    check: "replacedOnlyWhileCounterpartServes",
    why: "a stale master counts as a counterpart that serves",
  },
  {
    seed: 190,
    check: "failedServerIsNotUsed",
    why: "a master that died before a cycle saw it serve is forgotten: the old one gets its epoch and traffic",
  },
  {
    seed: 876,
    check: "promotedInTime",
    why: "a given-up server that answers again with the better copy blocks its counterpart, and is itself blocked",
  },
];
