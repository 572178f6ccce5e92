/** Writes that happened more often than they were asked for, or although the client was told that they had not. */
import type { FinalState, Operation } from "../history.ts";
import { alreadyThere } from "../workload/marks.ts";
import { type Checker, grouped } from "./verdict.ts";

/** What happened twice, or should not have happened, in one shard. */
function excesses(state: FinalState, operations: readonly Operation[]): string[] {
  const increments = operations.filter(({ action }) => action === "increment");
  const possible = increments.filter(({ outcome }) => outcome !== "fail").length;
  const counter = state.counter ?? 0;
  const refused = operations.filter(({ outcome }) => outcome === "fail");
  const attempted = new Set(
    operations.filter(({ action }) => action === "add").map(({ value }) => value ?? 0),
  );
  return [
    ...(counter > possible
      ? [
          `shard ${state.shard}: the counter is ${counter}, but only ${possible} increments can have been carried out`,
        ]
      : []),
    ...operations
      .filter(({ action, error }) => action === "add" && error === alreadyThere)
      .map(({ process, value }) => `${process}: member ${value} was added twice`),
    ...refused
      .filter(({ action, key = "" }) => action === "set" && (state.keys.get(key) ?? null) !== null)
      .map(({ process, key, error }) => `${process}: ${key} is there, although its write failed (${error})`),
    ...refused
      .filter(({ action, value = 0 }) => action === "add" && state.members.has(value))
      .map(
        ({ process, value, error }) => `${process}: member ${value} is there, although it failed (${error})`,
      ),
    ...[...state.members]
      .filter((member) => !attempted.has(member))
      .map((member) => `shard ${state.shard}: nobody ever added the member ${member}`),
  ];
}

export const duplicates: Checker = {
  name: "duplicates",
  check({ operations, finals }) {
    if (finals === undefined) throw new Error("nothing could be read back");
    const found = finals.flatMap((state) =>
      excesses(
        state,
        operations.filter(({ shard }) => shard === state.shard),
      ),
    );
    const counts = finals.map((state) => {
      const own = operations.filter(({ shard, action }) => shard === state.shard && action === "increment");
      const ok = own.filter(({ outcome }) => outcome === "ok").length;
      const open = own.filter(({ outcome }) => outcome === "unknown").length;
      return `${grouped(state.counter ?? 0)} of ${grouped(ok)} to ${grouped(ok + open)}`;
    });
    const any = operations.some(({ action }) => action === "increment" || action === "add");
    return {
      verdict: found.length > 0 ? "fail" : any ? "pass" : "unknown",
      sentence: `${found.length} writes happened twice or against their answer; counters at ${counts.join(", ")}`,
      examples: found,
      figures: { found: found.length },
    };
  },
};
