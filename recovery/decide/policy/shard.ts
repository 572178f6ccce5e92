/** The table of situations of one shard: who is master, and what is done when nobody or somebody else is. */
import type { RedisMachine } from "../../topology.ts";
import { compareCopies, describeCopy } from "../rules/copies.ts";
import { planFence, powerOffsForFence } from "../rules/fence.ts";
import { lagged, whyNotPromotable } from "../rules/promotable.ts";
import { isSwitchReady, type OrderedShardView } from "../rules/switchover.ts";
import type { Step } from "../steps.ts";
import { isStale, soleMaster } from "../view/mastership.ts";
import { otherOf, type ServerView, type ShardView, viewShard } from "../view/view.ts";
import { troubleOf } from "../view/words.ts";
import type { Row } from "./table.ts";

/** What the proxies shall do with the shard's traffic: send it to the master, hold it, or go on as they do. */
export type Traffic = "to master" | "hold" | "as it is";

export type ShardRow = Row<OrderedShardView> & { traffic: Traffic };

export const shardSituations: ShardRow[] = [
  {
    situation: "two-masters",
    leadsTo: ["replica-syncing"],
    opens: true,
    meaning:
      "An old master came back by itself: the one with the better copy stays, the other becomes its replica.",
    traffic: "as it is",
    when: ({ masters }) => masters.length === 2,
    steps: (view) => demote(view, loserOf(view), winnerOf(view)),
    because: (view) =>
      `${loserOf(view).machine} is a master too: it becomes replica of ${winnerOf(view).machine}`,
    about: (view) => loserOf(view).machine,
  },
  {
    situation: "stale-master",
    leadsTo: ["no-master", "nothing-promotable"],
    holds: true,
    opens: true,
    meaning:
      "The only master is of an earlier term than the shard has reached: held, because better data may exist, and demoted, so that the better one cannot become its copy.",
    traffic: "hold",
    when: (view) => isStale(view),
    steps: (view) => [follow(view, masterOf(view), otherOf(view, masterOf(view)))],
    because: (view) =>
      `${copyText(soleMaster(view))} answers, but the shard has reached epoch ${view.epoch}: traffic waits`,
    about: (view) => soleMaster(view)?.machine,
  },
  {
    situation: "promotion-unanswered",
    leadsTo: ["served"],
    meaning:
      "The counterpart was to be promoted and never answered (it hung), and the master is used again: should that promotion come true after all, the master's data must be of a later term.",
    traffic: "as it is",
    when: (view) => isSole(view) && epochOf(soleMaster(view)) < view.attempted,
    steps: (view) => [
      {
        do: "write epoch",
        shard: view.shard.index,
        machine: masterOf(view).machine,
        epoch: nextEpoch(view),
      },
    ],
    because: (view) =>
      `${masterOf(view).machine} serves again after a promotion that was not answered: its data get a later epoch`,
  },
  {
    situation: "epoch-missing",
    leadsTo: ["served"],
    meaning: "The master's data lost recovery's epoch (somebody emptied them): it is written again.",
    traffic: "to master",
    when: (view) => isSole(view) && epochOf(soleMaster(view)) < Math.max(view.epoch, 1),
    steps: (view) => [
      {
        do: "write epoch",
        shard: view.shard.index,
        machine: masterOf(view).machine,
        epoch: Math.max(view.epoch, 1),
      },
    ],
    because: (view) => `${masterOf(view).machine}'s data carry no epoch: it is written again`,
  },
  {
    situation: "master-leaves",
    leadsTo: ["two-masters", "replica-away"],
    opens: true,
    meaning: "The master's machine is to be replaced while it still works: a planned switch, without loss.",
    traffic: "as it is",
    when: (view) => leavesReady(view) && !switchTrouble(view),
    steps: (view) => plannedSwitch(view, masterOf(view), otherOf(view, masterOf(view))),
    because: (view) =>
      `${otherOf(view, masterOf(view)).machine} takes over from ${masterOf(view).machine}, which is to be replaced`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "switch-blocked",
    leadsTo: ["master-leaves"],
    holds: true,
    meaning: "As above, but a proxy can be neither told nor proven unable to carry a write (rule 2).",
    traffic: "to master",
    when: (view) => leavesReady(view),
    because: (view) => `${masterOf(view).machine} cannot be relieved yet: ${switchTrouble(view)}`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "switch-ordered",
    leadsTo: ["replica-syncing"],
    meaning:
      "Somebody ordered another master (`barton switchover`): a planned switch, without error and loss.",
    traffic: "as it is",
    when: isSwitchReady,
    steps: (view) => plannedSwitch(view, masterOf(view), otherOf(view, masterOf(view))),
    because: (view) =>
      `${otherOf(view, masterOf(view)).machine} takes over from ${masterOf(view).machine}, as was ordered`,
  },
  {
    situation: "disk-full",
    leadsTo: ["replica-syncing"],
    opens: true,
    meaning:
      "The master's disk is full, and it refuses writes: its counterpart takes over by a planned switch, without loss.",
    traffic: "as it is",
    when: (view) => isSole(view) && refusesWrites(masterOf(view)) && !whyNoRelief(view),
    steps: (view) => plannedSwitch(view, masterOf(view), otherOf(view, masterOf(view))),
    because: (view) =>
      `${masterOf(view).machine}'s disk is full, it refuses writes: ${otherOf(view, masterOf(view)).machine} takes over`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "replica-astray",
    leadsTo: ["replica-syncing"],
    meaning:
      "The counterpart does not follow the master by its present address (it has just started): it is told to.",
    traffic: "to master",
    when: (view) => isSole(view) && isAstray(otherOf(view, masterOf(view))),
    steps: (view) => [follow(view, otherOf(view, masterOf(view)), masterOf(view))],
    because: (view) => `${otherOf(view, masterOf(view)).machine} is told to follow ${masterOf(view).machine}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "replica-syncing",
    leadsTo: ["served"],
    meaning:
      "The master serves, its replica is receiving or loading its copy, or lags a second or more behind.",
    traffic: "to master",
    when: (view) =>
      isSole(view) && otherOf(view, masterOf(view)).answers && !otherOf(view, masterOf(view)).synced,
    because: (view) => `${masterText(view)}, ${syncText(otherOf(view, masterOf(view)))}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "replica-away",
    leadsTo: ["replica-astray", "replica-syncing"],
    meaning: "The master serves alone.",
    traffic: "to master",
    when: (view) => isSole(view) && !otherOf(view, masterOf(view)).answers,
    because: (view) => `${masterText(view)} alone: ${troubleOf(otherOf(view, masterOf(view)))}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "writes-refused",
    leadsTo: ["disk-full", "served"],
    holds: true,
    opens: true,
    meaning: "As in `disk-full`, but the counterpart cannot take over now: somebody must make room.",
    traffic: "to master",
    when: (view) => isSole(view) && refusesWrites(masterOf(view)),
    because: (view) =>
      `${masterOf(view).machine}'s disk is full, it refuses writes, and cannot be relieved: ${whyNoRelief(view)}`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "served",
    leadsTo: ["doubt", "stall", "replica-away", "master-leaves", "switch-ordered", "disk-full"],
    meaning: "The desired state: one master, its counterpart a replica that has everything.",
    traffic: "to master",
    settled: true,
    when: (view) => isSole(view) && otherOf(view, masterOf(view)).synced,
    because: (view) =>
      `${masterOf(view).machine} serves, ${otherOf(view, masterOf(view)).machine} has a copy`,
  },
  {
    situation: "stall",
    leadsTo: ["served", "master-lost"],
    meaning: "The master accepts but does not reply (fork, long script, swap): patience, then a verdict.",
    traffic: "as it is",
    when: ({ lastMaster }) => lastMaster?.condition === "stalling",
    because: ({ lastMaster }) => `${trouble(lastMaster)}: patience`,
  },
  {
    situation: "doubt",
    leadsTo: ["served", "master-lost"],
    meaning: "The master fails probes, or has not been seen since recovery started, but there is no verdict.",
    traffic: "as it is",
    when: ({ lastMaster }) => lastMaster !== undefined && !lastMaster.answers && !lastMaster.out,
    because: ({ lastMaster }) => trouble(lastMaster),
  },
  {
    situation: "first-start-waits",
    leadsTo: ["first-start"],
    meaning: "No data has ever had a master, and one of the two servers has not been seen: wait for it.",
    traffic: "as it is",
    when: (view) => isVirgin(view) && silentOnes(view).some(({ out }) => !out),
    because: (view) => `the first start waits: ${silentOnes(view).map(troubleOf).join(", ")}`,
  },
  {
    situation: "first-start",
    leadsTo: ["replica-syncing"],
    opens: true,
    meaning: "Every redis starts as a replica (rule 1): the first master is made.",
    traffic: "as it is",
    when: (view) => isVirgin(view) && heirOf(view) !== undefined && !fenceTrouble(view),
    steps: (view) => takeOver(view),
    because: (view) => `the first start: ${heirOf(view)?.machine} becomes master`,
    about: () => "first start",
  },
  {
    situation: "master-lost",
    leadsTo: ["replica-away"],
    opens: true,
    meaning:
      "The master is gone and its counterpart has its data: fence, promote, let the waiting traffic go on.",
    traffic: "as it is",
    when: (view) => Boolean(view.lastMaster?.out) && heirOf(view) !== undefined && !fenceTrouble(view),
    steps: (view) => takeOver(view),
    because: (view) => `${trouble(view.lastMaster)}: ${heirText(view)} takes over`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "no-master",
    leadsTo: ["replica-away"],
    opens: true,
    meaning: "The master's process restarted as a replica (rule 1): the best copy becomes master.",
    traffic: "as it is",
    when: (view) => heirOf(view) !== undefined && !fenceTrouble(view),
    steps: (view) => takeOver(view),
    because: (view) => `nobody is master: ${heirText(view)} takes over`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "fence-blocked",
    leadsTo: ["master-lost", "no-master"],
    holds: true,
    opens: true,
    meaning:
      "A promotion would be right, but a proxy can be neither told nor proven unable to carry a write (rule 2): what is given up and would prove it is powered off.",
    traffic: "hold",
    when: (view) => heirOf(view) !== undefined,
    steps: (view) => powerOffsFor(view),
    because: (view) => `${heirOf(view)?.machine} cannot take over yet: ${fenceTrouble(view)}`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "nothing-promotable",
    leadsTo: ["master-lost", "no-master"],
    holds: true,
    opens: true,
    meaning: "Somebody answers, but better data may exist (rule 3): traffic waits, loudly.",
    traffic: "hold",
    when: ({ answering }) => answering.length > 0,
    because: (view) =>
      `traffic waits: ${view.answering.map(({ machine }) => whyNotPromotable(view, machine)).join("; ")}`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "shard-lost",
    leadsTo: ["nothing-promotable", "no-master"],
    holds: true,
    opens: true,
    meaning: "No server answers, and every verdict is in: traffic waits, loudly.",
    traffic: "hold",
    when: ({ servers }) => servers.redis1.out && servers.redis2.out,
    because: ({ servers }) => `no server is left: ${troubleOf(servers.redis1)}; ${troubleOf(servers.redis2)}`,
    about: ({ servers, lastMaster }) => (lastMaster ?? servers.redis1).machine,
  },
  {
    situation: "unseen",
    leadsTo: ["first-start-waits", "served", "doubt"],
    meaning: "No server answers, but not every verdict is in.",
    traffic: "as it is",
    when: ({ answering }) => answering.length === 0,
    because: ({ servers }) => `${troubleOf(servers.redis1)}; ${troubleOf(servers.redis2)}`,
  },
];

const isSole = (view: ShardView) => view.masters.length === 1;
const epochOf = (server: ServerView | undefined) => server?.info?.epoch ?? 0;
const trouble = (server: ServerView | undefined) => (server ? troubleOf(server) : "no server is known");
const copyText = (server: ServerView | undefined) => (server?.copy ? describeCopy(server.copy) : "nobody");
const silentOnes = (view: ShardView) =>
  [view.servers.redis1, view.servers.redis2].filter(({ answers }) => !answers);

function masterOf(view: ShardView): ServerView {
  const master = soleMaster(view);
  if (!master) throw new Error(`shard ${view.shard.index} has no single master`);
  return master;
}

/** A machine that is given up leaves before one whose failover is only ordered: when both are, one must serve meanwhile. */
const urgencyOf = ({ leaving, givenUp }: ServerView) => (givenUp ? 2 : leaving ? 1 : 0);
const maySucceed = (server: ServerView, master: ServerView) =>
  server.answers && server.synced && urgencyOf(server) < urgencyOf(master);
/** A replica whose copy of the present term's first write, the epoch, was not seen yet is left to its sync. */
const hasReached = (view: ShardView, server: ServerView) => epochOf(server) >= view.epoch;

const leavesReady = (view: ShardView) =>
  isSole(view) &&
  maySucceed(otherOf(view, masterOf(view)), masterOf(view)) &&
  hasReached(view, otherOf(view, masterOf(view)));

const refusesWrites = ({ info }: ServerView) => info?.refusesWrites === true;

const masterText = (view: ShardView) =>
  `${masterOf(view).machine} ${refusesWrites(masterOf(view)) ? "refuses writes, for its disk is full: it serves reads" : "serves"}`;

/** A replica that has a link, and only waits for what is on its way, is behind; else it is about to be given a copy. */
function syncText({ machine, lags, info }: ServerView): string {
  const hasData = info?.follows?.linkUp === true && !info.loading && !info.follows.syncing;
  return hasData && lags ? `${machine} lags behind` : `${machine} is receiving its copy`;
}

/** Why the counterpart of a master that refuses writes cannot take over now, or undefined. */
function whyNoRelief(view: ShardView): string | undefined {
  const other = otherOf(view, masterOf(view));
  if (!other.answers || !other.synced || !hasReached(view, other)) return `${other.machine} has no copy yet`;
  if (other.givenUp) return `${other.machine} is being replaced`;
  return refusesWrites(other) ? `${other.machine}'s disk is full too` : switchTrouble(view);
}

const switchTrouble = (view: ShardView) =>
  planFence(view.known.facts, view.known.memory, masterOf(view).machine).blocked;

/** By address: a redis that starts follows nobody, a name may lead to a machine that is gone. */
const isAstray = (server: ServerView) => server.answers && !server.followsCounterpart;

/** Nobody has ever been promoted: neither the data nor recovery's memory know an epoch. */
function isVirgin(view: ShardView): boolean {
  const { answering, epoch, masters } = view;
  return (
    epoch === 0 &&
    masters.length === 0 &&
    answering.length > 0 &&
    answering.every(({ info }) => info?.epoch === 0)
  );
}

/**
 * The best copy among those that may be promoted. Its counterpart must have been looked at: one that
 * simply was not seen yet may be the master.
 */
function heirOf(view: ShardView): ServerView | undefined {
  if (view.masters.length > 0) return undefined;
  return view.answering
    .filter((server) => otherOf(view, server).looked && !whyNotPromotable(view, server.machine))
    .sort((a, b) => (a.copy && b.copy ? compareCopies(a.copy, b.copy) : 0))[0];
}

function heirText(view: ShardView): string {
  const heir = heirOf(view);
  const loss = heir && lagged(view, heir) ? ", which lagged behind: what it lacks is lost," : "";
  return `${copyText(heir)}${loss}`;
}

/** Why the heir's counterpart cannot be fenced now. */
function fenceTrouble(view: ShardView): string | undefined {
  const heir = heirOf(view);
  if (!heir) return undefined;
  return planFence(view.known.facts, view.known.memory, otherOf(view, heir).machine).blocked;
}

function powerOffsFor(view: ShardView): Step[] {
  const heir = heirOf(view);
  const shards = view.known.facts.topology.shards.map((shard) => viewShard(view.known, shard));
  return heir ? powerOffsForFence(view.known, otherOf(view, heir).machine, shards) : [];
}

/** docs/architecture.md, "Takeover": fence on both proxies, promote, release, and cut what is left a little later. */
function takeOver(view: ShardView): Step[] {
  const heir = heirOf(view);
  if (!heir) throw new Error(`shard ${view.shard.index} has nobody to promote`);
  const from = otherOf(view, heir).machine;
  return [fence(view, from), promote(view, heir.machine), release(view, heir.machine), cut(view, from)];
}

/**
 * The old master still works, so nothing that it acknowledged may be lost, and no client may see an error. Short sessions end by
 * themselves, also those whose connection is still on its way (drain); the others are cut (fence). From the pause on, the old
 * master executes no write, whatever still reaches it: what the replica has then is everything. The old master follows before
 * the pause ends, so that it never acknowledges a write beside its successor.
 */
function plannedSwitch(view: ShardView, from: ServerView, to: ServerView): Step[] {
  const { machine } = from;
  const shard = view.shard.index;
  return [
    { do: "drain", shard, machine, proxies: commandable(view) },
    fence(view, machine),
    { do: "pause writes", shard, machine },
    { do: "catch up", shard, from: machine, to: to.machine },
    promote(view, to.machine),
    release(view, to.machine),
    follow(view, from, to),
    cut(view, machine),
    { do: "resume writes", shard, machine },
  ];
}

/** The loser is fenced before it is told to follow, so that no client sees a master turn read-only. */
function demote(view: ShardView, loser: ServerView, winner: ServerView): Step[] {
  return [
    fence(view, loser.machine),
    follow(view, loser, winner),
    release(view, winner.machine),
    cut(view, loser.machine),
  ];
}

function winnerOf(view: ShardView): ServerView {
  if (!view.winner) throw new Error(`shard ${view.shard.index} does not have two masters`);
  return view.winner;
}

const loserOf = (view: ShardView) => otherOf(view, winnerOf(view));

function fence(view: ShardView, machine: RedisMachine): Step {
  const { proxies, proven } = planFence(view.known.facts, view.known.memory, machine);
  return { do: "fence", shard: view.shard.index, machine, proxies, proven };
}

const nextEpoch = ({ epoch, attempted }: ShardView) => Math.max(epoch, attempted) + 1;

function promote(view: ShardView, machine: RedisMachine): Step {
  return { do: "promote", shard: view.shard.index, machine, epoch: nextEpoch(view) };
}

function release(view: ShardView, machine: RedisMachine): Step {
  return { do: "release", shard: view.shard.index, machine, proxies: commandable(view) };
}

function cut(view: ShardView, machine: RedisMachine): Step {
  return { do: "cut", shard: view.shard.index, machine, proxies: commandable(view) };
}

const commandable = (view: ShardView) => planFence(view.known.facts, view.known.memory, "redis1").proxies;

function follow(view: ShardView, replica: ServerView, master: ServerView): Step {
  return { do: "follow", shard: view.shard.index, machine: replica.machine, master: master.machine };
}
