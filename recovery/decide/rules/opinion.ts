/** Recovery's own opinion of a machine that another monitor takes for failed. */
import { type Facts, serverId } from "../../observe/facts.ts";
import { type MachineName, type RedisMachine, redisMachines } from "../../topology.ts";
import type { Decision } from "../decision.ts";
import { type Memory, replacementOf } from "../memory/memory.ts";
import type { MachineSituation, Situation } from "../policy/tables.ts";

/**
 * failed: there is a verdict on it, or it is being replaced. open: recovery has not decided yet, or the patience has not ended. sound: it
 * answers some vantage point, so there is no verdict.
 */
export type Opinion = "failed" | "open" | "sound";

/** The opinion by the machine's own situation. A sound one must also pass `isDecided`. */
const opinions: Record<MachineSituation, Opinion> = {
  "needed-again": "sound",
  condemned: "failed",
  "condemned-back": "failed",
  "condemned-in-use": "failed",
  "machine-lost": "failed",
  "machine-dead": "failed",
  "machine-needed": "failed",
  lost: "failed",
  "script-endless": "open",
  "sessions-left": "open",
  "process-lost": "open",
  doubt: "open",
  leaves: "open",
  starting: "open",
  UNKNOWN: "open",
  BUG: "open",
  "recovery-refused": "sound",
  "not-seen-whole": "sound",
  present: "sound",
  needed: "sound",
  "carries-unseen": "sound",
  unreadable: "sound",
  unconfigured: "sound",
  "cut-off": "sound",
  drifted: "sound",
  shut: "sound",
  unregistered: "sound",
  detour: "sound",
  idle: "sound",
  unused: "sound",
  serving: "sound",
  unseen: "sound",
  off: "sound",
};
const isOfMachine = (situation: Situation): situation is MachineSituation => situation in opinions;

/** `decisions` and `memory` of the last cycle; without decisions monit sees nobody. */
export function opinionOf(
  machine: MachineName,
  decisions: readonly Pick<Decision, "subject" | "situation">[],
  memory: Memory,
  facts: Facts,
): Opinion {
  const situation = decisions.find(({ subject }) => subject === machine)?.situation;
  const opinion = situation && isOfMachine(situation) ? opinions[situation] : "open";
  if (situation === undefined || opinion === "open") return "open";
  const { phase = "taken back" } = replacementOf(memory, machine) ?? {};
  const isBeingReplaced = phase !== "taken back" && situation !== "needed-again";
  if (isBeingReplaced || opinion === "failed") return "failed";
  return isDecided(machine, situation, facts) ? "sound" : "open";
}

function isDecided(machine: MachineName, situation: Situation, facts: Facts): boolean {
  // Of app the cloud decides alone, and it may not have been heard yet.
  if (machine === "app") return situation !== "present" || facts.app.look.state === "up";
  const isRedis = redisMachines.some((name) => name === machine);
  if (!isRedis || situation !== "not-seen-whole") return true;
  return facts.topology.shards.every(({ index }) => isHeard(facts, machine as RedisMachine, index));
}

/** Monit hears it; or monit counts it as down, and another vantage point hears it. */
function isHeard(facts: Facts, machine: RedisMachine, shard: number): boolean {
  const looks = facts.servers[serverId(machine, shard)]?.looks;
  if (!looks) return false;
  const isHeardElsewhere = looks.haproxy1.state === "up" || looks.haproxy2.state === "up";
  return looks.monit.state === "up" || (looks.monit.state === "down" && isHeardElsewhere);
}
