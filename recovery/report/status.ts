/** What `barton status --json` prints, made from one cycle's outcome. */
import type { Outcome } from "../decide/decide.ts";
import { trafficTarget } from "../decide/view/traffic.ts";
import { otherOf, type ShardView, soleMaster } from "../decide/view/view.ts";
import type { Incident } from "../incidents/record.ts";
import type { PauseView } from "../loop/pause.ts";
import type { Facts } from "../observe/facts.ts";
import { machineNames, type ProxyMachine, type RedisMachine } from "../topology.ts";

export interface Status {
  /** The desired state, with nothing in progress. */
  healthy: boolean;
  sentence: string;
  inProgress: boolean;
  /** While set, recovery looks on but begins nothing (`barton pause`). */
  paused: PauseView | null;
  machines: { name: string; address: string | null; state: string }[];
  shards: ShardStatus[];
  /** Open incidents, and the latest closed ones; oldest first. */
  incidents: Incident[];
}

export interface ShardStatus {
  index: number;
  /** Redis port. */
  port: number;
  master: RedisMachine | null;
  replica: RedisMachine | null;
  replicaLink: "up" | "down";
  /**
   * Bytes of the replication stream that the master had written and the replica had not received, as each was last asked;
   * the two are asked within a fraction of a second, so that under load a little is always seen. Null without a replica.
   */
  lagBytes: number | null;
  /** Where each proxy sends the traffic; null while it holds it or does not answer. */
  proxies: Record<ProxyMachine, RedisMachine | null>;
}

/** The status after a cycle. `inProgress`: steps are under way. */
export function statusOf(
  facts: Facts,
  outcome: Outcome,
  inProgress: boolean,
  incidents: Incident[],
  paused?: PauseView,
): Status {
  const open = incidents.some(({ endedAt }) => endedAt === undefined);
  return {
    healthy: outcome.settled && !inProgress && !open,
    sentence: outcome.sentence,
    inProgress: inProgress || open,
    paused: paused ?? null,
    machines: machineNames.map((name) => {
      const { address, cloud } = facts.machines[name];
      return { name, address: address ?? null, state: cloud ?? "unknown" };
    }),
    shards: outcome.shards.map((view) => shardStatus(facts, view)),
    incidents,
  };
}

function shardStatus(facts: Facts, view: ShardView): ShardStatus {
  const master = soleMaster(view);
  const other = master && otherOf(view, master);
  const replica = other?.answers && other.followsCounterpart ? other : undefined;
  const { index, redisPort } = view.shard;
  return {
    index,
    port: redisPort,
    master: master?.machine ?? null,
    replica: replica?.machine ?? null,
    replicaLink: other?.synced ? "up" : "down",
    lagBytes: master?.info && replica?.info ? Math.max(master.info.offset - replica.info.offset, 0) : null,
    proxies: {
      haproxy1: trafficTarget(facts, "haproxy1", index) ?? null,
      haproxy2: trafficTarget(facts, "haproxy2", index) ?? null,
    },
  };
}
