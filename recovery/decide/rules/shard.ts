/** Questions about one shard and plans for it, by which the rows of its two tables are written (policy/shard.ts, policy/writes.ts). */
import type { RedisMachine } from "../../topology.ts";
import type { Step } from "../steps.ts";
import { soleMaster } from "../view/mastership.ts";
import { progressOf, whyCopyIsStuck } from "../view/reasons.ts";
import { otherOf, type ServerView, type ShardView, viewShard } from "../view/view.ts";
import { troubleOf } from "../view/words.ts";
import { compareCopies, describeCopy } from "./copies.ts";
import { planFence, powerOffsForFence } from "./fence.ts";
import { lagged, whyNotPromotable } from "./promotable.ts";

export const isSole = (view: ShardView) => view.masters.length === 1;
export const epochOf = (server: ServerView | undefined) => server?.info?.epoch ?? 0;
export const trouble = (server: ServerView | undefined) =>
  server ? troubleOf(server) : "no server is known";
export const copyText = (server: ServerView | undefined) =>
  server?.copy ? describeCopy(server.copy) : "nobody";
export const silentOnes = (view: ShardView) =>
  [view.servers.redis1, view.servers.redis2].filter(({ answers }) => !answers);

export function masterOf(view: ShardView): ServerView {
  const master = soleMaster(view);
  if (!master) throw new Error(`shard ${view.shard.index} has no single master`);
  return master;
}

/** A machine that is given up leaves before one whose failover is only ordered: when both are, one must serve meanwhile. */
export const urgencyOf = ({ leaving, givenUp }: ServerView) => (givenUp ? 2 : leaving ? 1 : 0);
export const maySucceed = (server: ServerView, master: ServerView) =>
  server.answers && server.synced && !refusesWrites(server) && urgencyOf(server) < urgencyOf(master);
/** A replica whose copy of the present term's first write, the epoch, was not seen yet is left to its sync. */
export const hasReached = (view: ShardView, server: ServerView) => epochOf(server) >= view.epoch;

export const leavesReady = (view: ShardView) =>
  isSole(view) &&
  maySucceed(otherOf(view, masterOf(view)), masterOf(view)) &&
  hasReached(view, otherOf(view, masterOf(view)));

export const refusesWrites = ({ info }: ServerView) => info?.refusesWrites === true;

export const masterText = (view: ShardView) => `${masterOf(view).machine} serves`;

/** The counterpart of the only master. */
export const replicaOf = (view: ShardView) => otherOf(view, masterOf(view));

/** What the counterpart is doing on its way to a full copy. */
export const syncText = (view: ShardView) => progressOf(view.known, view.shard.index, replicaOf(view));

/** Does the counterpart get no full copy, for a reason that does not end by itself? */
export const isCopyStuck = (view: ShardView) =>
  isSole(view) &&
  replicaOf(view).answers &&
  whyCopyIsStuck(view.known, view.shard.index, replicaOf(view)) !== undefined;

/** Does the counterpart, which is not master, say that it cannot write to its disk? */
export const diskOfReplicaIsFull = (view: ShardView) => {
  const other = otherOf(view, masterOf(view));
  return other.answers && refusesWrites(other);
};

/** Why the counterpart of a master that refuses writes cannot take over now, or undefined. */
export function whyNoRelief(view: ShardView): string | undefined {
  const other = otherOf(view, masterOf(view));
  if (!other.answers || !other.synced || !hasReached(view, other)) return `${other.machine} has no copy yet`;
  if (other.givenUp) return `${other.machine} is being replaced`;
  return refusesWrites(other) ? `${other.machine}'s disk is full too` : switchTrouble(view);
}

export const switchTrouble = (view: ShardView) =>
  planFence(view.known.facts, view.known.memory, masterOf(view).machine).blocked;

/**
 * By address: a redis that starts follows nobody, a name may lead to a machine that is gone. One that loads refuses to be told,
 * so it is told when it has loaded.
 */
export const isAstray = (server: ServerView) =>
  server.answers && !server.followsCounterpart && server.info?.loading !== true;

/** Nobody has ever been promoted: neither the data nor recovery's memory know an epoch. */
export function isVirgin(view: ShardView): boolean {
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
export function heirOf(view: ShardView): ServerView | undefined {
  if (view.masters.length > 0) return undefined;
  return view.answering
    .filter((server) => otherOf(view, server).looked && !whyNotPromotable(view, server.machine))
    .sort((a, b) => (a.copy && b.copy ? compareCopies(a.copy, b.copy) : 0))[0];
}

export function heirText(view: ShardView): string {
  const heir = heirOf(view);
  const loss = heir && lagged(view, heir) ? ", which lagged behind: what it lacks is lost," : "";
  return `${copyText(heir)}${loss}`;
}

/** Why the heir's counterpart cannot be fenced now. */
export function fenceTrouble(view: ShardView): string | undefined {
  const heir = heirOf(view);
  if (!heir) return undefined;
  return planFence(view.known.facts, view.known.memory, otherOf(view, heir).machine).blocked;
}

export function powerOffsFor(view: ShardView): Step[] {
  const heir = heirOf(view);
  const shards = view.known.facts.topology.shards.map((shard) => viewShard(view.known, shard));
  return heir ? powerOffsForFence(view.known, otherOf(view, heir).machine, shards) : [];
}

/** docs/architecture.md, "Takeover": fence on both proxies, promote, release, and cut what is left a little later. */
export function takeOver(view: ShardView): Step[] {
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
export function plannedSwitch(view: ShardView, from: ServerView, to: ServerView): Step[] {
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
export function demote(view: ShardView, loser: ServerView, winner: ServerView): Step[] {
  return [
    fence(view, loser.machine),
    follow(view, loser, winner),
    release(view, winner.machine),
    cut(view, loser.machine),
  ];
}

export function winnerOf(view: ShardView): ServerView {
  if (!view.winner) throw new Error(`shard ${view.shard.index} does not have two masters`);
  return view.winner;
}

export const loserOf = (view: ShardView) => otherOf(view, winnerOf(view));

export function fence(view: ShardView, machine: RedisMachine): Step {
  const { proxies, proven } = planFence(view.known.facts, view.known.memory, machine);
  return { do: "fence", shard: view.shard.index, machine, proxies, proven };
}

export const nextEpoch = ({ epoch, attempted }: ShardView) => Math.max(epoch, attempted) + 1;

export function promote(view: ShardView, machine: RedisMachine): Step {
  return { do: "promote", shard: view.shard.index, machine, epoch: nextEpoch(view) };
}

export function release(view: ShardView, machine: RedisMachine): Step {
  return { do: "release", shard: view.shard.index, machine, proxies: commandable(view) };
}

export function cut(view: ShardView, machine: RedisMachine): Step {
  return { do: "cut", shard: view.shard.index, machine, proxies: commandable(view) };
}

export const commandable = (view: ShardView) =>
  planFence(view.known.facts, view.known.memory, "redis1").proxies;

export function follow(view: ShardView, replica: ServerView, master: ServerView): Step {
  return { do: "follow", shard: view.shard.index, machine: replica.machine, master: master.machine };
}
