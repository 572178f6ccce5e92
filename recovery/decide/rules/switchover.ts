/** Planned switches: a person wants another master for a shard, without error and without loss. */
import { proxyMachines, type RedisMachine } from "../../topology.ts";
import { soleMaster } from "../view/mastership.ts";
import { otherOf, type ShardView } from "../view/view.ts";
import { troubleOf } from "../view/words.ts";
import { planFence, takesCommands } from "./fence.ts";

/** Per shard index, the machine that shall become its master. Not kept: a restart forgets a switch that is not done. */
export type Switches = Readonly<Record<number, RedisMachine>>;

/** A shard with the switch that was ordered for it, if any. */
export type OrderedShardView = ShardView & { switchTo?: RedisMachine };

/** Why the shard's master cannot be moved to its counterpart now, or undefined. */
export function whyNoSwitchover(view: ShardView): string | undefined {
  const { known, shard } = view;
  const master = soleMaster(view);
  const name = `shard ${shard.index}`;
  if (!master) return `${name} has no master now`;
  const other = otherOf(view, master);
  if (!other.answers) return `${troubleOf(other)} (${name})`;
  if (other.condemned || other.leaving) return `${other.machine} is to be replaced itself (${name})`;
  if (other.info?.refusesWrites) return `${other.machine}'s disk is full, so it refuses writes (${name})`;
  if (!other.synced) return `${other.machine} is not in sync with ${master.machine} for ${name}`;
  if ((other.info?.epoch ?? 0) < view.epoch) return `${other.machine} is of an earlier epoch than ${name}`;
  // A fence is possible with less, but a switch that nobody needs can wait until both can be told.
  const mute = proxyMachines.find((proxy) => !takesCommands(known.facts, proxy));
  if (!mute) return planFence(known.facts, known.memory, master.machine).blocked;
  return `${mute} cannot be reached, so ${master.machine} cannot be taken out there (${name})`;
}

/** Is there a switch to be carried out, and may it be? */
export function isSwitchReady(view: OrderedShardView): boolean {
  const master = soleMaster(view);
  if (!master || !view.switchTo || view.switchTo === master.machine) return false;
  return whyNoSwitchover(view) === undefined;
}
