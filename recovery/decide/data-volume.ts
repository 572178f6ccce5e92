/**
 * What the data volumes change about rule 5. A redis machine's data outlive it: its successor gets its volume. So a machine
 * that serves nobody any more may be replaced also while its counterpart cannot serve: nothing is taken away, and without
 * it the better copy might never come back. After a total loss that is both machines, at once.
 */
import { isOff } from "../observe/machines.ts";
import type { RedisMachine } from "../topology.ts";
import type { Known, ServerView } from "./view.ts";

/**
 * Nothing of the machine serves anybody, and it will not come back by itself: it is off, or every one of its servers has been
 * out for `graceMs`, as a crashed process gets them, so that a short cut of a network does not take both machines.
 */
export function isDead({ facts, limits }: Known, machine: RedisMachine, servers: ServerView[]): boolean {
  if (servers.some(({ answers }) => answers)) return false;
  if (isOff(facts.machines[machine].cloud)) return true;
  return servers.every(
    ({ out, noticedMs }) => out && noticedMs !== undefined && facts.nowMs - noticedMs >= limits.graceMs,
  );
}

/**
 * Has the silent machine's data, which may be better than the copy at hand, been waited for long enough? By its limit, counted
 * anew for each instance that may bring them, or by a person's word: who orders its failover gives its data up.
 */
export function isPatienceOver(
  { facts, limits, memory }: Known,
  { machine, noticedMs, sinceMs }: ServerView,
): boolean {
  if (memory.durable.ordered[machine]) return true;
  const silentSinceMs = noticedMs ?? sinceMs ?? facts.machines[machine].knownSinceMs;
  return facts.nowMs - silentSinceMs >= limits.dataPatienceMs;
}
