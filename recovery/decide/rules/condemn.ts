/** Reasons to condemn that are the same for every kind of machine (the cloud's word, a person's order), and the step. */
import type { MachineFacts } from "../../observe/facts.ts";
import type { MachineName } from "../../topology.ts";
import { isCondemned, orderFor, replacementOf } from "../memory/memory.ts";
import type { Step } from "../steps.ts";
import type { Known } from "../view/view.ts";

/** A machine and what is known: the least that a row about a machine looks at. */
export interface MachineView {
  machine: MachineName;
  known: Known;
}

/** True while the machine's present instance is condemned. */
export function isMachineCondemned({ known, machine }: MachineView): boolean {
  return isCondemned(known.facts, known.memory, machine);
}

/** Why the machine was condemned, in the words of that moment. */
export function whyCondemned({ known, machine }: MachineView): string | undefined {
  return replacementOf(known.memory, machine)?.because;
}

/** The step that condemns a machine; the rest of its replacement follows from that. */
export function stopMonitoring(known: Known, machine: MachineName, because: string): Step {
  return { do: "stop monitoring", machine, instanceId: known.facts.machines[machine].instanceId, because };
}

/** Why the machine counts as gone by the cloud's word, or undefined. A lost tag alone does not condemn a machine that answers. */
export function whyGoneForCloud(
  { cloud }: MachineFacts,
  machine: MachineName,
  answers: boolean,
): string | undefined {
  if (cloud === "missing" && answers) return undefined;
  if (cloud === undefined || cloud === "running" || cloud === "pending") return undefined;
  return `${machine} is ${cloud}, says the cloud`;
}

/** Has somebody ordered the failover of the machine? */
export function isOrdered({ known, machine }: MachineView): boolean {
  return orderFor(known.memory, machine) !== undefined;
}

/** The order of the machine's failover, as part of a sentence. */
export function orderOf({ memory }: Known, machine: MachineName): string {
  return `failover of ${machine} ordered (${orderFor(memory, machine)})`;
}
