/**
 * Writes that a client was told of and that are not there at the end. Confirmed ones (WAIT 1) may never be lost;
 * acknowledged ones are counted, and may not be lost when only processes died.
 */
import type { FinalState, Operation } from "../history.ts";
import { type Evidence, type FaultRecord, faultOf } from "../record.ts";
import { type Checker, grouped } from "./verdict.ts";

/** Writes that are not there, and how many there were to look for. */
export interface Losses {
  confirmed: { of: number; lost: Operation[] };
  acknowledged: { of: number; lost: Operation[] };
  /** Increments that the counter does not have although they were acknowledged: nobody can say which ones. */
  incrementsLost: number;
}

/** Whether the shard's final state has this acknowledged write. */
function isThere(operation: Operation, state: FinalState): boolean {
  const { action, key = "", value = 0 } = operation;
  if (action === "set") return state.keys.get(key) === value;
  if (action === "add") return state.members.has(value);
  // The register only grows: a later value covers an earlier one.
  if (action === "write") return (state.register ?? 0) >= value;
  return true;
}

export function lossesOf({ operations, finals }: Evidence): Losses {
  if (finals === undefined || finals.length === 0) throw new Error("nothing could be read back");
  const states = new Map(finals.map((state) => [state.shard, state]));
  const losses: Losses = {
    confirmed: { of: 0, lost: [] },
    acknowledged: { of: 0, lost: [] },
    incrementsLost: 0,
  };
  const increments = new Map<number, number>();
  for (const operation of operations) {
    if (operation.outcome !== "ok" || operation.action === "read") continue;
    const state = states.get(operation.shard);
    if (state === undefined) throw new Error(`shard ${operation.shard} was not read back`);
    losses.acknowledged.of += 1;
    if (operation.confirmed) losses.confirmed.of += 1;
    if (operation.action === "increment") {
      increments.set(operation.shard, (increments.get(operation.shard) ?? 0) + 1);
    } else if (!isThere(operation, state)) {
      losses.acknowledged.lost.push(operation);
      if (operation.confirmed) losses.confirmed.lost.push(operation);
    }
  }
  for (const [shard, count] of increments) {
    losses.incrementsLost += Math.max(0, count - (states.get(shard)?.counter ?? 0));
  }
  return losses;
}

const told = (operation: Operation) =>
  `${operation.process} ${operation.action} ${operation.key ?? operation.value}, acknowledged by ` +
  `${operation.server ?? "?"} at ${new Date(operation.completedAt).toISOString()}`;

export const confirmedWrites: Checker = {
  name: "confirmed writes",
  check(evidence) {
    const { of, lost } = lossesOf(evidence).confirmed;
    return {
      verdict: lost.length > 0 ? "fail" : of === 0 ? "unknown" : "pass",
      sentence: `${grouped(lost.length)} of ${grouped(of)} confirmed writes lost`,
      examples: lost.map(told),
      figures: { confirmed: of, lost: lost.length },
    };
  },
};

export const acknowledgedWrites: Checker = {
  name: "acknowledged writes",
  check(evidence) {
    const losses = lossesOf(evidence);
    const { of, lost } = losses.acknowledged;
    const count = lost.length + losses.incrementsLost;
    const inCrashes = lost.filter((each) => diedInACrash(evidence.faults, each));
    // An increment that is missing cannot be dated: it counts against the crashes when nothing else happened.
    const onlyCrashes = evidence.faults.length > 0 && evidence.faults.every((fault) => fault.processCrash);
    const forbidden = inCrashes.length + (onlyCrashes ? losses.incrementsLost : 0);
    return {
      verdict: forbidden > 0 ? "fail" : of === 0 ? "unknown" : "pass",
      sentence:
        `${grouped(count)} of ${grouped(of)} acknowledged writes lost` +
        (forbidden > 0 ? `, ${grouped(forbidden)} of them although no machine was lost` : ""),
      examples: (forbidden > 0 ? inCrashes : lost).map(told),
      figures: { acknowledged: of, lost: count, lostByProcessCrash: forbidden },
    };
  },
};

function diedInACrash(faults: readonly FaultRecord[], { completedAt }: Operation): boolean {
  // A write acknowledged shortly before the fault is that fault's; one long before it is the former one's, or nobody's.
  const next = faults.find((fault) => fault.doneAt >= completedAt);
  const fault = next !== undefined && next.at - completedAt < 2000 ? next : faultOf(faults, completedAt);
  return fault?.processCrash ?? true;
}
