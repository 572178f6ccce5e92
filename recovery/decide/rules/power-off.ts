/** The power-off of a condemned machine, for its replacement, or as the proof for a fence. */
import type { MachineName } from "../../topology.ts";
import { type Memory, replacementOf } from "../memory/memory.ts";
import { lacksPowerOff } from "../memory/replacement.ts";
import type { Step } from "../steps.ts";

/**
 * Requested of the instance that failed, until EC2 has accepted it; no step when that is done, or when nobody knows which
 * instance it was.
 */
export function powerOff(memory: Memory, machine: MachineName): Step[] {
  const replacement = replacementOf(memory, machine);
  if (!replacement?.instanceId || !lacksPowerOff(replacement)) return [];
  return [{ do: "power off", machine, instanceId: replacement.instanceId }];
}
