/** How long clients waited: the longest of all, per shard; and whether anybody was left waiting. */
import { durationOf, endOf, isWrite, type Operation, waitMs } from "../history.ts";
import type { FaultRecord } from "../record.ts";
import { type Checker, inSeconds } from "./verdict.ts";

/** How long a client was kept waiting: for its write's answer, or by WAIT for longer than it had asked WAIT to wait. */
const waited = (operation: Operation) =>
  Math.max(durationOf(operation), endOf(operation) - operation.completedAt - waitMs);

/** How long a client waited for an answer to a write, at the most, per shard, in milliseconds: whatever the answer was. */
export function longestWaits(operations: readonly Operation[]): Record<string, number> {
  const longest: Record<string, number> = {};
  for (const operation of operations) {
    if (!isWrite(operation)) continue;
    longest[operation.shard] = Math.max(longest[operation.shard] ?? 0, waited(operation));
  }
  return longest;
}

/** The longest time without an acknowledged write in any one shard, around a fault. */
export interface Interruption {
  ms: number;
  shard: number;
  /** The writes at both ends: the last before the pause and the first after it. */
  from: number;
  to: number;
}

/** When writes were acknowledged, per shard, in order. */
export function acknowledgements(operations: readonly Operation[]): Map<number, number[]> {
  const moments = new Map<number, number[]>();
  for (const operation of operations) {
    if (operation.outcome !== "ok" || !isWrite(operation)) continue;
    const own = moments.get(operation.shard) ?? [];
    own.push(operation.completedAt);
    moments.set(operation.shard, own);
  }
  for (const own of moments.values()) own.sort((a, b) => a - b);
  return moments;
}

/** The interruption of a fault: from its injection to `until` (the next fault, or the end). */
export function interruptionOf(
  moments: Map<number, number[]>,
  { at }: Pick<FaultRecord, "at">,
  until: number,
): Interruption | undefined {
  let longest: Interruption | undefined;
  for (const [shard, own] of moments) {
    // The pause may have begun with the last write before the fault. One that ends after `until` is the next fault's.
    const first = own.findIndex((moment) => moment >= at);
    for (let i = Math.max(1, first); first >= 0 && i < own.length && (own[i] ?? 0) <= until; i++) {
      const from = own[i - 1] ?? 0;
      const to = own[i] ?? 0;
      if (longest === undefined || to - from > longest.ms) longest = { ms: to - from, shard, from, to };
    }
  }
  return longest;
}

/** Every client is served within this time after all is well, in milliseconds; else it has been left waiting. */
const servedMsMax = 1500;

/** Operations that began before all was well after a fault, and were not answered when they should have been. */
function answeredLate(operations: readonly Operation[], faults: readonly FaultRecord[]): Operation[] {
  const ends = faults.flatMap(({ healthyAt }, i) => {
    const next = faults[i + 1]?.at ?? Number.POSITIVE_INFINITY;
    // Who is hit by the next fault before that time waits for that one's end.
    return healthyAt === undefined || next <= healthyAt + servedMsMax ? [] : [healthyAt];
  });
  return operations
    .filter((operation) => endOf(operation) - operation.invokedAt > servedMsMax)
    .filter((operation) =>
      ends.some((end) => operation.invokedAt < end && endOf(operation) > end + servedMsMax),
    );
}

/** Clients without an answer after the last fault was over. Nobody, when the run ended too soon to say. */
function leftWaiting(operations: readonly Operation[], healthyAt: number | undefined): string[] {
  const latest = new Map<string, number>();
  for (const { process, outcome, completedAt } of operations) {
    latest.set(process, Math.max(latest.get(process) ?? 0, outcome === "ok" ? completedAt : 0));
  }
  const end = Math.max(0, ...latest.values());
  if (healthyAt === undefined || end < healthyAt + servedMsMax) return [];
  return [...latest].filter(([, at]) => at < healthyAt).map(([process]) => process);
}

export const waits: Checker = {
  name: "longest wait",
  check({ operations, faults }) {
    const longest = longestWaits(operations);
    const moments = acknowledgements(operations);
    const stuck = leftWaiting(operations, faults.at(-1)?.healthyAt);
    const late = answeredLate(operations, faults);
    const left = [...new Set([...stuck, ...late.map(({ process }) => process)])];
    const told = Object.entries(longest).map(([shard, ms]) => `shard ${shard}: ${inSeconds(ms)}`);
    return {
      verdict: left.length > 0 ? "fail" : moments.size === 0 ? "unknown" : "pass",
      sentence: told.join(", ") + (left.length > 0 ? `; left waiting: ${left.join(", ")}` : ""),
      examples: late.map(
        (each) =>
          `${each.process} ${each.action} begun at ${new Date(each.invokedAt).toISOString()}: ` +
          `answered after ${inSeconds(endOf(each) - each.invokedAt)}`,
      ),
      figures: { longestMs: longest },
    };
  },
};
