/** How long clients waited: the longest of all, per shard; and whether anybody was left waiting. */
import { durationOf, isWrite, type Operation } from "../history.ts";
import type { FaultRecord } from "../record.ts";
import { type Checker, inSeconds } from "./verdict.ts";

/** How long a client waited for an answer to a write, at the most, per shard, in milliseconds: whatever the answer was. */
export function longestWaits(operations: readonly Operation[]): Record<string, number> {
  const longest: Record<string, number> = {};
  for (const operation of operations) {
    if (!isWrite(operation)) continue;
    longest[operation.shard] = Math.max(longest[operation.shard] ?? 0, durationOf(operation));
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
    // The pause may have begun with the last write before the fault.
    let i = Math.max(0, own.findIndex((moment) => moment >= at) - 1);
    for (; i + 1 < own.length && (own[i] ?? 0) < until; i++) {
      const from = own[i] ?? 0;
      const to = own[i + 1] ?? 0;
      if (longest === undefined || to - from > longest.ms) longest = { ms: to - from, shard, from, to };
    }
  }
  return longest;
}

/** Every client is served within this time after all is well, in milliseconds; else it has been left waiting. */
const servedMsMax = 1500;

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
    const told = Object.entries(longest).map(([shard, ms]) => `shard ${shard}: ${inSeconds(ms)}`);
    return {
      verdict: stuck.length > 0 ? "fail" : moments.size === 0 ? "unknown" : "pass",
      sentence: told.join(", ") + (stuck.length > 0 ? `; left waiting: ${stuck.join(", ")}` : ""),
      examples: [],
      figures: { longestMs: longest },
    };
  },
};
