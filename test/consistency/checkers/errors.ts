/**
 * Errors by kind of client. A client that connects anew for each request may see none, except for the request that was
 * in flight when the fault struck (or, while a disk is full, until the server is relieved; or, after a stall or a partition, when recovery cut the sessions: one per client).
 */
import { clientKinds, endOf, type Operation } from "../history.ts";
import { type FaultRecord, faultOf } from "../record.ts";
import { type Checker, grouped } from "./verdict.ts";

/** A client that asked for WAIT and got no answer has an error, although its write was acknowledged. */
export const isError = ({ outcome, confirmError }: Operation): boolean =>
  outcome !== "ok" || confirmError !== undefined;

/** Whether the operation was under way while the fault was injected. */
export const wasInFlight = (operation: Operation, { at, doneAt }: FaultRecord): boolean =>
  operation.invokedAt <= doneAt && endOf(operation) >= at;

/** Whether the server, which the fault keeps from writing, said so itself before it was relieved. */
const wasRefused = ({ outcome, completedAt }: Operation, { doneAt, refusesMs }: FaultRecord): boolean =>
  refusesMs !== undefined && outcome === "fail" && completedAt <= doneAt + refusesMs;

/** Errors of clients that connect anew which no fault excuses. */
export function inexcusable(errors: readonly Operation[], faults: readonly FaultRecord[]): Operation[] {
  const excused = new Set<string>();
  return errors.filter((error) => {
    const fault = faults.find((each) => wasInFlight(error, each)) ?? faultOf(faults, error.invokedAt);
    if (fault === undefined) return true;
    if (wasInFlight(error, fault) || wasRefused(error, fault)) return false;
    const once = `${fault.number} ${error.process}`;
    if (fault.strict || excused.has(once)) return true;
    excused.add(once);
    return false;
  });
}

const told = (operation: Operation) => {
  const { process, action, error, confirmError, invokedAt } = operation;
  const what = error ?? `WAIT: ${confirmError}`;
  return `${process} ${action} begun at ${new Date(invokedAt).toISOString()}: ${what} after ${(endOf(operation) - invokedAt).toFixed(0)} ms`;
};

export const errors: Checker = {
  name: "errors",
  check({ operations, faults }) {
    const failed = operations.filter(isError);
    const beyond = inexcusable(
      failed.filter(({ client }) => client === "anew"),
      faults,
    );
    const counts = Object.fromEntries(
      clientKinds.map((kind) => [kind, failed.filter(({ client }) => client === kind).length]),
    );
    const anew = operations.filter(({ client }) => client === "anew").length;
    return {
      verdict: beyond.length > 0 ? "fail" : anew === 0 ? "unknown" : "pass",
      sentence:
        `connecting anew: ${beyond.length} errors beyond those in flight (${counts.anew} in all, of ${grouped(anew)}); ` +
        `persistent: ${counts.persistent}; pipelined: ${counts.pipelined}`,
      examples: (beyond.length > 0 ? beyond : failed).map(told),
      figures: { beyondInFlight: beyond.length, byClient: counts },
    };
  },
};
