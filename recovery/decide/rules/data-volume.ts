/**
 * What the data volumes change about rule 5. A redis machine's data outlive it: its successor gets its volume. So a machine
 * that serves nobody any more may be replaced also while its counterpart cannot serve: nothing is taken away, and without
 * it the better copy might never come back. After a total loss that is both machines, at once.
 */
import { isOff } from "../../observe/machines.ts";
import type { RedisMachine } from "../../topology.ts";
import type { Known, ServerView } from "../view/view.ts";

/**
 * Nothing of the machine serves anybody, and it will not come back by itself: it is off, or every one of its servers has been
 * out for `graceMs`, as a crashed process gets them, so that a short cut of a network does not take both machines.
 */
export function isDead({ facts, limits }: Known, machine: RedisMachine, servers: ServerView[]): boolean {
  // The cloud's word is late: a machine that was off a moment ago may serve again.
  if (servers.some(({ heard }) => heard)) return false;
  if (isOff(facts.machines[machine].cloud)) return true;
  return servers.every(
    ({ out, noticedMs }) => out && noticedMs !== undefined && facts.nowMs - noticedMs >= limits.graceMs,
  );
}

/**
 * Have the silent machine's data, which may be better than the copy at hand, been waited for long enough? Counted anew for
 * each instance that may bring them.
 */
export function isPatienceOver(
  { facts, limits }: Known,
  { machine, noticedMs, sinceMs }: ServerView,
): boolean {
  const silentSinceMs = noticedMs ?? sinceMs ?? facts.machines[machine].knownSinceMs;
  return facts.nowMs - silentSinceMs >= limits.dataPatienceMs;
}
