/** Recovery's own opinion of a machine that another monitor takes for failed. */
import { type Facts, serverId } from "../../observe/facts.ts";
import { type MachineName, type RedisMachine, redisMachines } from "../../topology.ts";
import type { Decision } from "../decide.ts";
import { type Memory, replacementOf } from "../memory/memory.ts";

/**
 * failed: there is a verdict on it, or it is being replaced. open: recovery has not decided yet, or a patience has not ended. sound: it
 * answers some vantage point, so there is no verdict.
 */
export type Opinion = "failed" | "open" | "sound";

/** By the machine's own situation. All others are sound, but for those that `hasMadeUpItsMind` looks at. */
export const failed = [
  ...["given-up", "given-up-back", "given-up-in-use"],
  ...["machine-lost", "machine-dead", "machine-needed", "lost"],
];
export const open = ["process-lost", "doubt", "leaves", "starting", "UNKNOWN", "BUG"];

/** `decisions` and `memory` of the last cycle; without decisions monit sees nobody. */
export function opinionOf(
  machine: MachineName,
  decisions: readonly Pick<Decision, "subject" | "situation">[],
  memory: Memory,
  facts: Facts,
): Opinion {
  const situation = decisions.find(({ subject }) => subject === machine)?.situation;
  if (situation === undefined || open.includes(situation)) return "open";
  const { phase = "taken back" } = replacementOf(memory, machine) ?? {};
  const isBeingReplaced = phase !== "taken back" && situation !== "needed-again";
  if (isBeingReplaced || failed.includes(situation)) return "failed";
  return hasMadeUpItsMind(machine, situation, facts) ? "sound" : "open";
}

function hasMadeUpItsMind(machine: MachineName, situation: string, facts: Facts): boolean {
  // Of app the cloud decides alone, and it may not have been heard yet.
  if (machine === "app") return situation !== "present" || facts.app.look.state === "up";
  const isRedis = redisMachines.some((name) => name === machine);
  if (!isRedis || situation !== "not-seen-whole") return true;
  return facts.topology.shards.every(({ index }) => isHeard(facts, machine as RedisMachine, index));
}

/** Monit hears it; or monit has made up its mind that it does not, and somebody else does. */
function isHeard(facts: Facts, machine: RedisMachine, shard: number): boolean {
  const looks = facts.servers[serverId(machine, shard)]?.looks;
  if (!looks) return false;
  const isHeardElsewhere = looks.haproxy1.state === "up" || looks.haproxy2.state === "up";
  return looks.monit.state === "up" || (looks.monit.state === "down" && isHeardElsewhere);
}
