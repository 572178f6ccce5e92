/**
 * The exception of rule 5 that the data volumes allow. The data of a redis machine outlive it: its successor gets its volume. So a
 * machine that serves nobody any more may be replaced even while its counterpart cannot serve: nothing is lost by that, and without it
 * the better copy might never come back. After a total loss both machines are replaced at once. See docs/decisions/009.
 */
import { isOff } from "../../observe/machines.ts";
import type { RedisMachine } from "../../topology.ts";
import type { Known, ServerView } from "../view/view.ts";

/**
 * True if nothing of the machine serves anybody and it will not come back by itself: it is off, or each of its servers has been out for
 * `graceMs`. A crashed process gets the same time. So a short cut of the network does not cost both machines.
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
 * True if recovery has waited long enough for the data of the silent machine, which may be better than the copy at hand. The time
 * counts for each instance that may bring them.
 */
export function isPatienceOver(
  { facts, limits }: Known,
  { machine, noticedMs, sinceMs }: ServerView,
): boolean {
  const silentSinceMs = noticedMs ?? sinceMs ?? facts.machines[machine].knownSinceMs;
  return facts.nowMs - silentSinceMs >= limits.dataPatienceMs;
}
