/** A fault in an idle or ailing system proves nothing: too little traffic before it makes the run invalid. */
import { isWrite } from "../history.ts";
import { type Checker, grouped } from "./verdict.ts";

/** Writes per second and shard that there must have been in the two seconds before each fault. */
export const loadMin = 20;

export const traffic: Checker = {
  name: "enough traffic",
  check({ operations, faults }) {
    const idle = faults.flatMap((fault) =>
      Object.entries(fault.loadBefore)
        .filter(([, perSecond]) => perSecond < loadMin)
        .map(
          ([shard, perSecond]) =>
            `before fault ${fault.number} (${fault.title}): shard ${shard} had ${perSecond.toFixed(0)} writes a second, ` +
            `of ${loadMin} needed`,
        ),
    );
    const unloaded = faults.filter((fault) => Object.keys(fault.loadBefore).length === 0);
    const writes = operations.filter((each) => isWrite(each) && each.outcome === "ok").length;
    const invalid = idle.length + unloaded.length > 0 || faults.length === 0;
    return {
      verdict: invalid ? "unknown" : "pass",
      sentence:
        faults.length === 0
          ? "no fault was injected, so nothing was shown"
          : `${grouped(writes)} writes acknowledged; ${idle.length + unloaded.length} of ${faults.length} faults came into too little traffic`,
      examples: idle,
    };
  },
};
