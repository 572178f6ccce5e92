/**
 * The one place that says who is a shard's legitimate master, who is stale, who is a usurper, and which of two masters stays.
 *
 * Three witnesses, in this order. The epoch, which recovery alone writes, with each promotion. The proxies: a server that
 * carries the clients' sessions has acknowledged writes that no other server has. The copies themselves (rules/copies.ts).
 * The process that recovery remembers as the last master comes before the copies. It is never needed: a monitor that has lost its memory decides likewise.
 */
import { type Facts, type RedisInfo, serverId } from "../../observe/facts.ts";
import { counterpartOf, proxyMachines, type RedisMachine, redisMachines } from "../../topology.ts";
import { isCondemned, type LastMaster, type Memory, shardIn, verdictOn } from "../memory/memory.ts";
import { compareCopies } from "../rules/copies.ts";
import { copyOf } from "./copy.ts";
import { sessionTarget } from "./traffic.ts";

/** Facts and memory, from which mastership is judged. */
export interface Evidence {
  facts: Facts;
  memory: Memory;
}

/** A server that says that it is master. */
interface Claimant {
  machine: RedisMachine;
  info: RedisInfo;
}

/** The server that was last known to serve: as recovery remembers it, or else by the sessions that the proxies have. */
export function lastMasterOf({ facts, memory }: Evidence, shard: number): RedisMachine | undefined {
  const { master, usedLast } = shardIn(memory, shard);
  return master?.machine ?? usedByProxies(facts, shard)[0] ?? usedLast;
}

/**
 * Is the server, which says that it is master, none while its counterpart may only be out of sight? Recovery did not
 * promote it, so somebody did by hand: it is in the very epoch in which the counterpart served, or in one that recovery
 * never began, or nobody knows of an epoch; and no proxy uses it.
 */
export function isUsurper(evidence: Evidence, shard: number, { machine, info }: Claimant): boolean {
  const { facts, memory } = evidence;
  const users = usedByProxies(facts, shard);
  if (users.length > 0 && users.every((used) => used === machine)) return false;
  const { master: last, attempted, usedLast } = shardIn(memory, shard);
  if (last?.machine === machine) return false;
  if (last && info.epoch === last.epoch) return true;
  // Nobody remembers who served: only its use by the proxies shows that this server is not one that was fenced.
  if (!last) return users.length > 0 ? !users.includes(machine) : usedLast !== machine;
  const isOtherInUse = users.length > 0 && !users.includes(machine);
  if (!isOtherInUse || isCondemned(facts, memory, counterpartOf(machine))) return false;
  return (info.epoch ?? 0) > attempted;
}

/**
 * Do the proxies contradict the memory that was on disk? They use the counterpart of the master that it names, and there is no verdict
 * on the counterpart. Recovery tells them to use a server only after it has promoted it, so the memory is older: the disk was full.
 */
export function isContradicted({ facts, memory }: Evidence, shard: number): boolean {
  const { master } = shardIn(memory, shard);
  if (!master || memory.confirmed?.[shard]) return false;
  const other = counterpartOf(master.machine);
  const users = usedByProxies(facts, shard);
  if (users.length === 0 || users.some((used) => used !== other)) return false;
  // Of two that answer, the data themselves tell.
  if (answers(facts, other, shard)) return false;
  return !verdictOn(memory, serverId(other, shard)) && !isCondemned(facts, memory, other);
}

/** Does some proxy use this server? */
export function isUsed(facts: Facts, shard: number, machine: RedisMachine): boolean {
  return usedByProxies(facts, shard).includes(machine);
}

/** Of two servers that say that they are master, the one that stays. */
export function winnerOf<C extends Claimant>(evidence: Evidence, shard: number, a: C, b: C): C {
  return compareClaimants(evidence, shard, a, b) <= 0 ? a : b;
}

/** Sorts the legitimate master first. */
function compareClaimants(evidence: Evidence, shard: number, a: Claimant, b: Claimant): number {
  const { facts, memory } = evidence;
  const { master: last } = shardIn(memory, shard);
  const copy = ({ machine, info }: Claimant) => copyOf(facts, memory, machine, shard, info);
  return (
    byEpoch(evidence, shard, a, b) ||
    Number(isUsedAlone(facts, shard, b.machine)) - Number(isUsedAlone(facts, shard, a.machine)) ||
    Number(isLast(b, last)) - Number(isLast(a, last)) ||
    compareCopies(copy(a), copy(b))
  );
}

/**
 * The later epoch first. An epoch can also be there by a person's hand, or be gone with the data (`FLUSHALL`). So it does not
 * count against a server that both proxies use, unless recovery knows that it made the other one master.
 */
function byEpoch({ facts, memory }: Evidence, shard: number, a: Claimant, b: Claimant): number {
  const { master: last, attempted } = shardIn(memory, shard);
  const difference = termOf(b, last) - termOf(a, last);
  if (difference === 0) return 0;
  const [later, earlier] = difference > 0 ? [b, a] : [a, b];
  const isRecoverys = later.machine === last?.machine || termOf(later, last) <= attempted;
  const isInUse = proxyMachines.every((proxy) => sessionTarget(facts, proxy, shard) === earlier.machine);
  return isInUse && !isRecoverys ? 0 : difference;
}

/** The epoch of a claimant; the process that served last has its epoch also when its data have lost the key. */
function termOf({ machine, info }: Claimant, last: LastMaster | undefined): number {
  const epoch = info.epoch ?? 0;
  return isLast({ machine, info }, last) ? Math.max(epoch, last?.epoch ?? 0) : epoch;
}

/** The process that served last: its counterpart may be a master of the same epoch by a promotion of which only half took effect. */
const isLast = ({ machine, info }: Claimant, last: LastMaster | undefined) =>
  last?.machine === machine && last.runId === info.runId;

/** The servers that the proxies' sessions are with, as the proxies say that answer, haproxy1 first. */
function usedByProxies(facts: Facts, shard: number): RedisMachine[] {
  return proxyMachines.flatMap((proxy) => sessionTarget(facts, proxy, shard) ?? []);
}

/** Does some proxy use this server, and none its counterpart? */
function isUsedAlone(facts: Facts, shard: number, machine: RedisMachine): boolean {
  const users = usedByProxies(facts, shard);
  return users.includes(machine) && !users.includes(counterpartOf(machine));
}

/**
 * The server that recovery is to remember as the one that serves: it answers monit as master, in the epoch that the shard
 * has reached, or it stays of two. An old master that is the only one to answer does not become the serving one by that.
 */
export function servingMaster(evidence: Evidence, shard: number): Claimant | undefined {
  const { facts, memory } = evidence;
  const { epoch: reached } = shardIn(memory, shard);
  const [a, b] = redisMachines.flatMap((machine) => claimOf(facts, machine, shard) ?? []);
  const hasReached = ({ info }: Claimant) => (info.epoch ?? 0) >= reached;
  if (!a || reached === 0) return undefined;
  // Two of an earlier epoch are both stale: better data may exist elsewhere.
  if (b) return hasReached(a) || hasReached(b) ? winnerOf(evidence, shard, a, b) : undefined;
  const hasResigned = answersAs("replica", facts, counterpartOf(a.machine), shard) !== undefined;
  const isLegitimate = hasResigned || !isUsurper(evidence, shard, a);
  return hasReached(a) && isLegitimate ? a : undefined;
}

function claimOf(facts: Facts, machine: RedisMachine, shard: number): Claimant | undefined {
  const info = answersAs("master", facts, machine, shard);
  return info && { machine, info };
}

function answers(facts: Facts, machine: RedisMachine, shard: number): boolean {
  const { looks, info, refusal } = facts.servers[serverId(machine, shard)] ?? {};
  return looks?.monit.state === "up" && info !== undefined && !refusal;
}

function answersAs(
  role: RedisInfo["role"],
  facts: Facts,
  machine: RedisMachine,
  shard: number,
): RedisInfo | undefined {
  const server = facts.servers[serverId(machine, shard)];
  return server?.looks.monit.state === "up" && server.info?.role === role ? server.info : undefined;
}

/** The part of a shard view that is about its masters. */
interface MasterView<S> {
  masters: S[];
  /** The highest epoch that the shard was seen with. */
  epoch: number;
  shard: { index: number };
  known: { memory: Memory };
}

/** The only server of the shard that counts as master, if there is exactly one. */
export function soleMaster<S>({ masters }: Pick<MasterView<S>, "masters">): S | undefined {
  return masters.length === 1 ? masters[0] : undefined;
}

/** Is the only master of an earlier epoch, and not simply the serving process whose epoch key somebody removed? */
export function isStale(view: MasterView<{ info?: RedisInfo }>): boolean {
  const master = soleMaster(view);
  const last = shardIn(view.known.memory, view.shard.index).master;
  return master !== undefined && (master.info?.epoch ?? 0) < view.epoch && last?.runId !== master.info?.runId;
}

/** The master that recovery made or knows, in the epoch that the shard has reached: no other data may look newer. */
export function masterOfPresentEpoch(
  view: MasterView<{ machine: RedisMachine; info?: RedisInfo }>,
): RedisMachine | undefined {
  const master = soleMaster(view);
  const last = shardIn(view.known.memory, view.shard.index).master;
  const isServing = last?.machine === master?.machine && last?.runId === master?.info?.runId;
  return isServing && view.epoch > 0 && (master?.info?.epoch ?? 0) >= view.epoch
    ? master?.machine
    : undefined;
}
