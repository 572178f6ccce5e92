/** All checkers, in the order in which people read them. */
import type { Evidence } from "../record.ts";
import { duplicates } from "./duplicates.ts";
import { errors } from "./errors.ts";
import { acknowledgedWrites, confirmedWrites } from "./lost-writes.ts";
import { reads } from "./reads.ts";
import { redundancy } from "./redundancy.ts";
import { traffic } from "./traffic.ts";
import { twoMasters } from "./two-masters.ts";
import { type Checker, type Finding, run } from "./verdict.ts";
import { waits } from "./waits.ts";

export const checkers: readonly Checker[] = [
  confirmedWrites,
  acknowledgedWrites,
  duplicates,
  reads,
  twoMasters,
  errors,
  waits,
  redundancy,
  traffic,
];

export function checkAll(evidence: Evidence): Finding[] {
  return checkers.map((checker) => run(checker, evidence));
}
