/** The steps by which recovery moves, makes or removes the master of one shard (policy/shard.ts, policy/writes.ts). */
import type { RedisMachine } from "../../topology.ts";
import type { Step } from "../steps.ts";
import { otherOf, type ServerView, type ShardView, viewShard } from "../view/view.ts";
import { planFence, powerOffsForFence } from "./fence.ts";
import { candidateOf, epochToHave, loserOf, masterOf, replicaOf, winnerOf } from "./shard.ts";

/** docs/architecture.md, "Takeover": fence on both proxies, promote, release, and cut what is left a little later. */
export function takeOver(view: ShardView): Step[] {
  const candidate = candidateOf(view);
  if (!candidate) throw new Error(`shard ${view.shard.index} has no candidate`);
  const { machine } = candidate;
  const from = otherOf(view, candidate).machine;
  return [fence(view, from), promote(view, machine), release(view, machine), cut(view, from)];
}

/**
 * The replica succeeds a master that still works, so nothing that this master acknowledged may be lost, and no client may see an error.
 * Short sessions end by themselves, also those whose connection is still on its way (drain); the others are cut (fence). From the pause
 * on, the old master executes no write, whatever still reaches it: what the replica has then is everything. The old master follows
 * before the pause ends, so that it never acknowledges a write beside its successor.
 */
export function plannedSwitch(view: ShardView): Step[] {
  const { machine } = masterOf(view);
  const { machine: successor } = replicaOf(view);
  const shard = view.shard.index;
  return [
    { do: "drain", shard, machine, proxies: commandable(view) },
    fence(view, machine),
    { do: "pause writes", shard, machine },
    { do: "catch up", shard, from: machine, to: successor },
    promote(view, successor),
    release(view, successor),
    follow(view, masterOf(view), replicaOf(view)),
    cut(view, machine),
    { do: "resume writes", shard, machine },
  ];
}

/** The loser of two masters is fenced before it is told to follow, so that no client sees a master turn read-only. */
export function demoteLoser(view: ShardView): Step[] {
  const [loser, winner] = [loserOf(view), winnerOf(view)];
  return [
    fence(view, loser.machine),
    follow(view, loser, winner),
    release(view, winner.machine),
    cut(view, loser.machine),
  ];
}

/** A stale master becomes a replica, so that the better data cannot become its copy. */
export const demoteStale = (view: ShardView): Step[] => [follow(view, masterOf(view), replicaOf(view))];

export const followMaster = (view: ShardView): Step[] => [follow(view, replicaOf(view), masterOf(view))];

/** The master's data get an epoch that no promotion has had. */
export const writeNextEpoch = (view: ShardView): Step[] => [writeEpoch(view, nextEpoch(view))];

export const writeMissingEpoch = (view: ShardView): Step[] => [writeEpoch(view, epochToHave(view))];

/** Power-offs of condemned machines that would prove the missing fence (rule 2). */
export function powerOffsForCandidate(view: ShardView): Step[] {
  const candidate = candidateOf(view);
  const shards = view.known.facts.topology.shards.map((shard) => viewShard(view.known, shard));
  return candidate ? powerOffsForFence(view.known, otherOf(view, candidate).machine, shards) : [];
}

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

/** The proxies that take commands, whichever server these are about. */
const commandable = (view: ShardView) => planFence(view.known.facts, view.known.memory, "redis1").proxies;

function follow(view: ShardView, replica: ServerView, master: ServerView): Step {
  return { do: "follow", shard: view.shard.index, machine: replica.machine, master: master.machine };
}

function writeEpoch(view: ShardView, epoch: number): Step {
  return { do: "write epoch", shard: view.shard.index, machine: masterOf(view).machine, epoch };
}
