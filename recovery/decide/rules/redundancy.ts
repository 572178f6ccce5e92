/** Rule 5: redundancy is not spent twice. A redis machine is replaced only while its counterpart serves; see data-volume.ts. */
import { counterpartOf, type RedisMachine } from "../../topology.ts";
import { otherOf, type ShardView } from "../view/view.ts";
import { troubleOf } from "../view/words.ts";
import { whyNotPromotable, whyUnfit } from "./promotable.ts";

/** Why the machine must not be taken away now, because its counterpart does not serve every shard. */
export function whyCounterpartDoesNotServe(machine: RedisMachine, shards: ShardView[]): string | undefined {
  for (const { shard, servers, masters, epoch } of shards) {
    const counterpart = servers[counterpartOf(machine)];
    if (counterpart.condemned) return `${counterpart.machine} is being replaced itself`;
    if (!masters.includes(counterpart)) return `${counterpart.machine} is not master of shard ${shard.index}`;
    // The machine may hold the only data of the later epoch.
    if ((counterpart.info?.epoch ?? 0) < epoch) {
      return `${counterpart.machine} is master of shard ${shard.index} with data of an earlier epoch than ${epoch}`;
    }
  }
  return undefined;
}

/** Why the machine must not even be condemned: its counterpart could not take over every shard. */
export function whyCounterpartCannotServe(machine: RedisMachine, shards: ShardView[]): string | undefined {
  for (const view of shards) {
    const counterpart = view.servers[counterpartOf(machine)];
    const name = `shard ${view.shard.index}`;
    if (counterpart.condemned) return `${counterpart.machine} is being replaced itself`;
    if (!counterpart.answers) return `${troubleOf(counterpart)} (${name})`;
    if (view.masters.includes(counterpart)) continue;
    if (counterpart.info?.refusesWrites) return `${counterpart.machine}'s disk is full (${name})`;
    if (counterpart.synced) continue;
    if (view.servers[machine].answers) return `${counterpart.machine} has no full copy of ${name} yet`;
    const reason = whyNotPromotable(view, counterpart.machine);
    if (reason) return `${reason} (${name})`;
  }
  return undefined;
}

/**
 * Why a condemned machine is to be used again, or undefined: some shard can be served by nobody else. Otherwise
 * neither of the two would ever be used or replaced, because each waits for the other.
 */
export function whyNeededAgain(machine: RedisMachine, shards: ShardView[]): string | undefined {
  for (const view of shards) {
    const server = view.servers[machine];
    const counterpart = otherOf(view, server);
    // One that is only in doubt may serve in the next moment.
    const isLost =
      counterpart.out || counterpart.condemned || (counterpart.answers && view.masters.length === 0);
    const reason = isLost ? whyNotPromotable(view, counterpart.machine) : undefined;
    if (!reason || whyUnfit(view, machine)) continue;
    return `${counterpart.out ? troubleOf(counterpart) : reason} (shard ${view.shard.index})`;
  }
  return undefined;
}
