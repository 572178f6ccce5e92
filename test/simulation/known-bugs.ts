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
    seed: 326,
    check: "eventuallyWell",
    why: "a given-up machine that is back has the only data: it is not used, and its counterpart not replaced",
  },
  {
    seed: 1513,
    check: "promotedInTime",
    why: "as above: a machine given up just before the loss of its counterpart is back, whole, and not used",
  },
  {
    seed: 675,
    check: "confirmedWritesSurvive",
    why: "after a loss of power on both machines nothing tells which file lacks less: the choice goes by name",
  },
  {
    seed: 2638,
    check: "confirmedWritesSurvive",
    why: "a master back from a loss of power is promoted while its replica, which has everything, is only unseen",
  },
  {
    seed: 3261,
    check: "replacedOnlyWhileCounterpartServes",
    why: "an interrupted up is finished by another instance although the first one lives and receives its copy",
  },
];
