/** Histories for the checkers' tests: a few operations, with everything else as in a run without trouble. */
import type { FinalState, Operation } from "../history.ts";
import type { Evidence, FaultRecord } from "../record.ts";

/** An operation that was answered after a millisecond. `at`: milliseconds since the beginning. */
export function operation(given: Partial<Operation> & { at?: number }): Operation {
  const { at = 0, ...rest } = given;
  return {
    process: "1/anew-1",
    client: "anew",
    shard: 1,
    action: "set",
    invokedAt: at,
    completedAt: at + 1,
    outcome: "ok",
    server: "10.0.0.1:9001",
    ...rest,
  };
}

export const set = (number: number, given: Partial<Operation> & { at?: number } = {}): Operation =>
  operation({ action: "set", key: `anew-1:${number}`, value: number, ...given });

export function fault(given: Partial<FaultRecord> = {}): FaultRecord {
  return {
    number: 1,
    kind: "vanish",
    title: "vanish redis1",
    processCrash: false,
    strict: true,
    at: 1000,
    doneAt: 1010,
    healthyAt: 9000,
    loadBefore: { 1: 100 },
    loadAverage: 1,
    ...given,
  };
}

/** Everything that was written and not refused is there. */
export function everything(operations: readonly Operation[], given: Partial<FinalState> = {}): FinalState {
  const written = operations.filter(({ outcome }) => outcome === "ok");
  const values = (action: Operation["action"]) =>
    written.filter((each) => each.action === action).map(({ value = 0 }) => value);
  return {
    shard: 1,
    keys: new Map(
      operations
        .filter(({ action }) => action === "set")
        .map(({ key = "", value = 0, outcome }) => [key, outcome === "ok" ? value : null]),
    ),
    members: new Set(values("add")),
    counter: values("increment").length,
    register: Math.max(0, ...values("write")),
    ...given,
  };
}

export function evidence(operations: readonly Operation[], given: Partial<Evidence> = {}): Evidence {
  return {
    operations,
    finals: [everything(operations)],
    faults: [fault()],
    observations: [],
    incidents: [],
    ...given,
  };
}
