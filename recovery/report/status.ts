/** The output of `barton status --json`, from the outcome of one cycle. */
import type { Outcome } from "../decide/decide.ts";
import { findingsOf } from "../decide/decision.ts";
import { soleMaster } from "../decide/view/mastership.ts";
import { trafficTarget } from "../decide/view/traffic.ts";
import { otherOf, type ShardView } from "../decide/view/view.ts";
import { list } from "../decide/view/words.ts";
import type { Incident } from "../incidents/record.ts";
import type { PauseView } from "../loop/pause.ts";
import type { Facts } from "../observe/facts.ts";
import type { FailedWrite } from "../storage/files.ts";
import { machineNames, type ProxyMachine, type RedisMachine } from "../topology.ts";
import { type Bug, type Bugs, describeBug } from "./bugs.ts";
import type { NotificationsView } from "./webhook.ts";

export interface Status {
  /** The desired state, with nothing in progress. */
  healthy: boolean;
  sentence: string;
  /** What a person should do about each subject that is not as it should be, blocked ones first. Missing before the first cycle. */
  toDo?: string[];
  inProgress: boolean;
  /** While set, recovery looks on but begins nothing (`barton pause`). */
  paused: PauseView | null;
  machines: { name: string; address: string | null; state: string }[];
  shards: ShardStatus[];
  /** Open incidents, and the latest closed ones; oldest first. */
  incidents: Incident[];
  /** Files that recovery cannot write now (disk full, read-only); it tries again until it can. */
  notKept: FailedWrite[];
  /** Exceptions that nobody expected, since the monitor began; recovery goes on. */
  bugs: Bug[];
  /** The queue of notifications; null without a receiver (`BARTON_WEBHOOK_URL`). */
  notifications: NotificationsView | null;
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

/** What a status tells beside what the cycle found. */
export interface Circumstances {
  /** Steps are under way. */
  inProgress: boolean;
  incidents: Incident[];
  paused?: PauseView;
  notKept?: FailedWrite[];
  bugs?: Pick<Bugs, "all" | "recent">;
  notifications?: NotificationsView;
}

const noBugs = { all: [], recent: [] };

/** The status after a cycle. */
export function statusOf(
  facts: Facts,
  outcome: Outcome,
  { inProgress, incidents, paused, notKept = [], bugs = noBugs, notifications }: Circumstances,
): Status {
  const troubles = [...bugs.recent.map(describeBug), ...whyNotKept(notKept)];
  const open = incidents.some(({ endedAt }) => endedAt === undefined);
  return {
    healthy: outcome.settled && !inProgress && !open && troubles.length === 0,
    sentence: [...troubles, outcome.sentence].join("; "),
    toDo: toDoOf(outcome),
    inProgress: inProgress || open,
    paused: paused ?? null,
    machines: machineNames.map((name) => {
      const { address, cloud } = facts.machines[name];
      return { name, address: address ?? null, state: cloud ?? "unknown" };
    }),
    shards: outcome.shards.map((view) => shardStatus(facts, view)),
    incidents,
    notKept,
    bugs: bugs.all,
    notifications: notifications ?? null,
  };
}

/** The status while no cycle has come to its end yet, because of an exception. */
export function statusWithoutCycle({
  notKept,
  bugs,
}: {
  notKept: FailedWrite[];
  bugs: Pick<Bugs, "all" | "recent">;
}): Status {
  return {
    healthy: false,
    sentence: [...bugs.all.map(describeBug), ...whyNotKept(notKept)].join("; "),
    inProgress: false,
    paused: null,
    machines: [],
    shards: [],
    incidents: [],
    notKept,
    bugs: bugs.all,
    notifications: null,
  };
}

/**
 * What a person should do about each subject that is not as it should be, or that there is nothing to do; subjects with the same
 * sentence share one. What waits for a person comes first.
 */
function toDoOf({ decisions }: Outcome): string[] {
  const entries = decisions
    .filter(({ settled }) => !settled)
    .flatMap((decision) =>
      findingsOf(decision).map((finding) => ({ ...finding, subject: decision.subject })),
    );
  const urgentFirst = [...entries.filter(({ holds }) => holds), ...entries.filter(({ holds }) => !holds)];
  return [...Map.groupBy(urgentFirst, ({ operator }) => operator)].map(([operator, group]) => {
    const bySituation = [...Map.groupBy(group, ({ situation }) => situation)].map(
      ([situation, same]) => `${list(same.map(({ subject }) => subject))}, ${situation}`,
    );
    return `${bySituation.join("; ")}: ${operator}`;
  });
}

/** What a person must know of files that cannot be written. */
function whyNotKept(notKept: FailedWrite[]): string[] {
  const [first] = notKept;
  if (!first) return [];
  const others = notKept.length > 1 ? ` and ${notKept.length - 1} more` : "";
  return [
    `recovery cannot write ${first.path}${others} (${first.why}) and tries again: it promotes, but switches no machine off, ` +
      "and after a restart of the monitor it may not know what it did; make room on monit's disk",
  ];
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
