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

export const knownBugs: KnownBug[] = [];
