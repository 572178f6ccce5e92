/** The power-off of a machine that is given up: for its replacement, and where a fence needs its proof. */
import type { MachineName } from "../../topology.ts";
import type { Memory } from "../memory/memory.ts";
import type { Step } from "../steps.ts";

/** Requested once, of the instance that failed; no step when that is done, or when nobody knows which instance it was. */
export function powerOff(memory: Memory, machine: MachineName): Step[] {
  const givenUp = memory.durable.givenUp[machine];
  if (givenUp?.powerOffRequested || !givenUp?.instanceId) return [];
  return [{ do: "power off", machine, instanceId: givenUp.instanceId }];
}
