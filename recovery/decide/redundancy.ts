/** Rule 5: redundancy is not spent twice. A redis machine is replaced only while its counterpart serves; see data-volume.ts. */
import { counterpartOf, type RedisMachine } from "../topology.ts";
import { whyNotPromotable } from "./promotable.ts";
import type { ShardView } from "./view.ts";
import { troubleOf } from "./words.ts";

/** Why the machine must not be taken away now, because its counterpart does not serve every shard. */
export function whyCounterpartDoesNotServe(machine: RedisMachine, shards: ShardView[]): string | undefined {
  for (const { shard, servers, masters, epoch } of shards) {
    const counterpart = servers[counterpartOf(machine)];
    if (counterpart.givenUp) return `${counterpart.machine} is being replaced itself`;
    if (!masters.includes(counterpart)) return `${counterpart.machine} is not master of shard ${shard.index}`;
    // The machine may hold the only data of the later term.
    if ((counterpart.info?.epoch ?? 0) < epoch) {
      return `${counterpart.machine} is master of shard ${shard.index} with data of an earlier epoch than ${epoch}`;
    }
  }
  return undefined;
}

/** Why the machine must not even be given up: its counterpart could not take over every shard. */
export function whyCounterpartCannotServe(machine: RedisMachine, shards: ShardView[]): string | undefined {
  for (const view of shards) {
    const counterpart = view.servers[counterpartOf(machine)];
    const name = `shard ${view.shard.index}`;
    if (counterpart.givenUp) return `${counterpart.machine} is being replaced itself`;
    if (!counterpart.answers) return `${troubleOf(counterpart)} (${name})`;
    if (view.masters.includes(counterpart) || counterpart.synced) continue;
    if (view.servers[machine].answers) return `${counterpart.machine} has no full copy of ${name} yet`;
    const reason = whyNotPromotable(view, counterpart.machine);
    if (reason) return `${reason} (${name})`;
  }
  return undefined;
}
