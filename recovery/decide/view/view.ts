/**
 * Views: the facts and the memory of one shard, one redis machine or one proxy, as the tables of situations need it. They are
 * computed once per cycle, without side effects.
 */
import { type Facts, type RedisInfo, type Refusal, serverId, type Vantage } from "../../observe/facts.ts";
import type { Limits } from "../../settings.ts";
import { counterpartOf, type RedisMachine, redisMachines, type Shard } from "../../topology.ts";
import {
  isCondemned,
  isUnfinished,
  type Memory,
  offsetToHave,
  orderFor,
  shardIn,
  verdictOn,
} from "../memory/memory.ts";
import type { Copy } from "../rules/copies.ts";
import { copyOf } from "./copy.ts";
import { isInSync } from "./in-sync.ts";
import { isUsurper, lastMasterOf, winnerOf } from "./mastership.ts";
import { type Condition, isOut, judgeServer } from "./verdict.ts";

/** The facts of a cycle, the memory, and the limits: everything from which it decides. */
export interface Known {
  facts: Facts;
  memory: Memory;
  limits: Limits;
}

export interface ServerView {
  machine: RedisMachine;
  condition: Condition;
  /** When the first sign of its trouble was seen, and when the verdict was reached (monotonic milliseconds). */
  sinceMs?: number;
  noticedMs?: number;
  by: (Vantage | "the cloud")[];
  /** It tells monit, now, what it is. */
  answers: boolean;
  /** It answers monit, whatever others say of it. */
  heard: boolean;
  /** Out by a verdict that still stands. */
  out: boolean;
  /** Monit knows whether it answers: it does, or it failed often enough, or there is a verdict; or it cannot be the master. */
  looked: boolean;
  /** The instance that was master is gone, and this one took its place: its server starts as a replica of nobody (rule 1). */
  succeeded: boolean;
  /** Its answer when it refuses recovery's credentials or commands. */
  refusal?: Refusal;
  /** Its machine is condemned: recovery does not use the server any more, whatever it says. */
  condemned: boolean;
  /** Somebody ordered its machine's failover, or the engine does not know its instance and will launch another. */
  leaving: boolean;
  info?: RedisInfo;
  /** Follows its counterpart at the address that this has now. */
  followsCounterpart: boolean;
  /** … and has received everything. */
  synced: boolean;
  /** It lacks what its counterpart, the master, had a second ago. */
  lags: boolean;
  copy?: Copy;
}

export interface ShardView {
  shard: Shard;
  servers: Record<RedisMachine, ServerView>;
  /** Servers that answer as masters; not one that somebody made master by hand while the serving one does not answer. */
  masters: ServerView[];
  /** Of two masters, the one that stays. */
  winner?: ServerView;
  /** Servers that answer, whatever they are. */
  answering: ServerView[];
  /** The server that was last known to serve as master. */
  lastMaster?: ServerView;
  /** The highest epoch that these data were ever seen to carry. */
  epoch: number;
  /** The highest epoch with which a promotion was ever begun, carried out or not. */
  attempted: number;
  known: Known;
}

/** The view of one shard. */
export function viewShard(known: Known, shard: Shard): ShardView {
  const servers = {
    redis1: viewServer(known, "redis1", shard),
    redis2: viewServer(known, "redis2", shard),
  };
  const all = redisMachines.map((machine) => servers[machine]);
  const { epoch, attempted } = shardIn(known.memory, shard.index);
  const last = lastMasterOf(known, shard.index);
  const isMaster = ({ machine, answers, info }: ServerView) =>
    answers &&
    info?.role === "master" &&
    (servers[counterpartOf(machine)].answers || !isUsurper(known, shard.index, { machine, info }));
  const masters = all.filter(isMaster);
  return {
    shard,
    servers,
    masters,
    winner: betterOf(known, shard.index, masters),
    answering: all.filter(({ answers }) => answers),
    lastMaster: last && servers[last],
    epoch,
    attempted,
    known,
  };
}

function betterOf(known: Known, shard: number, masters: ServerView[]): ServerView | undefined {
  const [a, b] = masters.flatMap((server) => (server.info ? [{ ...server, info: server.info }] : []));
  const winner = a && b && winnerOf(known, shard, a, b);
  return masters.find(({ machine }) => machine === winner?.machine);
}

function viewServer(known: Known, machine: RedisMachine, shard: Shard): ServerView {
  const { facts, memory } = known;
  const id = serverId(machine, shard.index);
  const server = facts.servers[id];
  const standing = verdictOn(memory, id);
  const judgement = standing ?? judgeServer(facts, machine, shard.index);
  const { info, refusal } = server ?? {};
  const monit = server?.looks.monit.state;
  const condemned = isCondemned(facts, memory, machine);
  // A condemned machine is being powered off: its silence needs no second witness.
  const out = isOut(judgement.condition) || (condemned && monit !== "up");
  const follows = followsAddress(facts, machine, shard, info);
  const succeeded = isSuccessor(known, machine, shard);
  const lags = follows && info !== undefined && isBehind(memory, machine, shard.index, info);
  return {
    machine,
    condition: judgement.condition,
    sinceMs: judgement.sinceMs,
    // An earlier verdict of the same trouble counts: patience does not begin again with each restart of the process.
    noticedMs: standing && (memory.seen[id]?.trouble?.sinceMs ?? standing.noticedMs),
    by: judgement.by,
    answers: !out && monit === "up" && info !== undefined && !refusal,
    heard: monit === "up",
    out,
    succeeded,
    looked: out || succeeded || monit === "down" || (monit === "up" && info !== undefined),
    refusal,
    condemned,
    leaving: orderFor(memory, machine) !== undefined || isUnfinished(facts, memory, machine),
    info,
    followsCounterpart: follows,
    synced:
      follows &&
      info?.follows?.linkUp === true &&
      !info.follows.syncing &&
      !info.loading &&
      isInSync(memory, facts, machine, shard.index) &&
      !lags,
    lags,
    copy: info && copyOf(facts, memory, machine, shard.index, info),
  };
}

function isSuccessor({ facts, memory }: Known, machine: RedisMachine, shard: Shard): boolean {
  const last = shardIn(memory, shard.index).master;
  const { instanceId } = facts.machines[machine];
  return last?.machine === machine && last.instanceId !== undefined && last.instanceId !== instanceId;
}

/** By address, not by name: a name may still lead to a machine that is gone. */
function followsAddress(
  facts: Facts,
  machine: RedisMachine,
  shard: Shard,
  info: RedisInfo | undefined,
): boolean {
  const { address } = facts.machines[counterpartOf(machine)];
  return (
    info?.follows !== undefined && info.follows.host === address && info.follows.port === shard.redisPort
  );
}

/** A link may be "up" while nothing passes, and for seconds after: TCP waits longer from try to try. */
function isBehind(memory: Memory, machine: RedisMachine, shard: number, info: RedisInfo): boolean {
  const needed = offsetToHave(memory, serverId(counterpartOf(machine), shard));
  return needed !== undefined && info.offset < needed;
}

/** The counterpart of a server. */
export function otherOf(view: ShardView, server: ServerView): ServerView {
  return view.servers[counterpartOf(server.machine)];
}
