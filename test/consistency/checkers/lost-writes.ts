/**
 * Writes that a client was told of and that are not there at the end. Confirmed ones (WAIT 1) may never be lost;
 * acknowledged ones are counted, and may not be lost when only processes died.
 */
import { type FinalState, isWrite, type Operation } from "../history.ts";
import { type Evidence, type FaultRecord, faultOf } from "../record.ts";
import { type Checker, grouped } from "./verdict.ts";

/** Writes that are not there, and how many there were to look for. */
export interface Losses {
  confirmed: { of: number; lost: Operation[] };
  acknowledged: { of: number; lost: Operation[] };
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

/**
 * Acknowledged increments that were undone: the counter only grows, so a client that is told the same or less later has
 * found it without them, as has whoever reads less in the end. `operations`: of one shard.
 */
function undone(operations: readonly Operation[], counter: number): Operation[] {
  const increments = operations
    .filter(({ action, outcome }) => action === "increment" && outcome === "ok")
    .sort((a, b) => b.invokedAt - a.invokedAt);
  const found: Operation[] = [];
  // The least value that anybody was told from then on: this increment must have been covered by it.
  let least = counter + 1;
  for (const operation of increments) {
    const { value = 0 } = operation;
    if (value >= least) found.push(operation);
    least = Math.min(least, value);
  }
  return found;
}

export function lossesOf({ operations, finals }: Evidence): Losses {
  if (finals === undefined || finals.length === 0) throw new Error("nothing could be read back");
  const states = new Map(finals.map((state) => [state.shard, state]));
  const losses: Losses = {
    confirmed: { of: 0, lost: [] },
    acknowledged: { of: 0, lost: [] },
  };
  const lostIncrements = new Set(
    finals.flatMap(({ shard, counter }) =>
      undone(
        operations.filter((each) => each.shard === shard),
        counter ?? 0,
      ),
    ),
  );
  for (const operation of operations) {
    if (operation.outcome !== "ok" || operation.action === "read") continue;
    const state = states.get(operation.shard);
    if (state === undefined) throw new Error(`shard ${operation.shard} was not read back`);
    losses.acknowledged.of += 1;
    if (operation.confirmed) losses.confirmed.of += 1;
    if (lostIncrements.has(operation) || !isThere(operation, state)) {
      losses.acknowledged.lost.push(operation);
      if (operation.confirmed) losses.confirmed.lost.push(operation);
    }
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
    const { of, lost } = lossesOf(evidence).acknowledged;
    const masterAt = mastersAtFaults(evidence);
    const forbidden = lost.filter((each) => !wentWithItsMaster(evidence.faults, masterAt, each));
    return {
      verdict: forbidden.length > 0 ? "fail" : of === 0 ? "unknown" : "pass",
      sentence:
        `${grouped(lost.length)} of ${grouped(of)} acknowledged writes lost` +
        (forbidden.length > 0
          ? `, ${grouped(forbidden.length)} of them although the master that took them was not lost`
          : ""),
      examples: (forbidden.length > 0 ? forbidden : lost).map(told),
      figures: { acknowledged: of, lost: lost.length, forbidden: forbidden.length },
    };
  },
};

/** A replica that lags more than this is not healthy, in milliseconds: what was acknowledged earlier has arrived. */
const lagMsMax = 2000;

/**
 * The only excuse: the write was acknowledged by the server that was master when a machine was lost, and before all was
 * well again. Whoever took over from it had no such loss.
 */
function wentWithItsMaster(
  faults: readonly FaultRecord[],
  masterAt: (fault: FaultRecord, shard: number) => string | undefined,
  write: Operation,
): boolean {
  const { completedAt, shard, server } = write;
  // A write acknowledged shortly before the fault is that fault's; one long before it is the former one's, or nobody's.
  const next = faults.find((fault) => fault.doneAt >= completedAt);
  const fault = next !== undefined && next.at - completedAt < lagMsMax ? next : faultOf(faults, completedAt);
  if (fault === undefined || fault.processCrash) return false;
  return server === undefined || server === masterAt(fault, shard);
}

/** Who acknowledged a shard's last write before a fault. */
function mastersAtFaults({ operations }: Evidence) {
  const writes = operations
    .filter((each) => isWrite(each) && each.outcome === "ok" && each.server !== undefined)
    .sort((a, b) => b.completedAt - a.completedAt);
  const known = new Map<string, string | undefined>();
  return ({ number, at }: FaultRecord, shard: number): string | undefined => {
    const key = `${number} ${shard}`;
    if (!known.has(key)) {
      known.set(key, writes.find((each) => each.shard === shard && each.completedAt < at)?.server);
    }
    return known.get(key);
  };
}
