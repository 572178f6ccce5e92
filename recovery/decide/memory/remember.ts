/** What recovery learns from the facts of a cycle: facts and memory in, the next memory out. */
import { type Facts, type RedisInfo, serverId } from "../../observe/facts.ts";
import type { Limits } from "../../settings.ts";
import {
  counterpartOf,
  type MachineName,
  proxyMachines,
  type RedisMachine,
  redisMachines,
} from "../../topology.ts";
import { rememberSync } from "../view/in-sync.ts";
import { isUsurper } from "../view/mastership.ts";
import { isOut, type Judgement, judgeServer } from "../view/verdict.ts";
import { type Memory, type Reached, trailMs } from "./memory.ts";

/** The memory after it has taken in the facts of this cycle; the given one is left as it is. */
export function remember(memory: Memory, facts: Facts, limits: Limits): Memory {
  const next = structuredClone(memory);
  for (const machine of redisMachines) {
    for (const { index } of facts.topology.shards) rememberServer(next, facts, limits, machine, index);
  }
  for (const { index } of facts.topology.shards) rememberShard(next, facts, index);
  forgetArrived(next, facts);
  return next;
}

function rememberServer(
  memory: Memory,
  facts: Facts,
  limits: Limits,
  machine: RedisMachine,
  shard: number,
): void {
  const id = serverId(machine, shard);
  const server = facts.servers[id];
  const judgement = judgeInTime(facts, limits, machine, shard);
  const { instanceId } = facts.machines[machine];
  const out = memory.durable.out[id];
  const answersAgain = server?.looks.monit.state === "up" && (server.askedMs ?? 0) > (out?.noticedMs ?? 0);
  if (out && (answersAgain || out.instanceId !== instanceId)) delete memory.durable.out[id];
  if (isOut(judgement.condition) && !memory.durable.out[id]) {
    memory.durable.out[id] = { ...judgement, noticedMs: facts.nowMs, instanceId };
  }
  if (server?.info) rememberInfo(memory, id, shard, server.info, instanceId);
  rememberReached(memory, facts, machine, shard);
  if (server?.info?.role === "master") rememberTrail(memory, id, server.askedMs ?? 0, server.info.offset);
  if (server?.info?.role === "replica") delete memory.trails[id];
}

/** A server that monit alone watches has no second witness: it is given up after the time that a machine takes to boot. */
function judgeInTime(facts: Facts, limits: Limits, machine: RedisMachine, shard: number): Judgement {
  const judgement = judgeServer(facts, machine, shard);
  const looks = facts.servers[serverId(machine, shard)]?.looks;
  if (isOut(judgement.condition) || looks?.monit.state !== "down") return judgement;
  const isMonitsAlone = proxyMachines.every((proxy) => looks[proxy].state === "none");
  // One that answered at first and then no more (its machine was lost while it booted) fails since then.
  const sinceMs =
    judgement.condition === "unseen" ? facts.machines[machine].knownSinceMs : looks.monit.sinceMs;
  const isLate = sinceMs !== undefined && facts.nowMs - sinceMs > limits.bootMs;
  if (!isLate || (judgement.condition !== "unseen" && !isMonitsAlone)) return judgement;
  return { condition: looks.monit.silence === "silent" ? "silent" : "refused", by: ["monit"], sinceMs };
}

function rememberInfo(
  memory: Memory,
  id: string,
  shard: number,
  info: RedisInfo,
  instanceId: string | undefined,
): void {
  const { epochs } = memory.durable;
  epochs[shard] = Math.max(epochs[shard] ?? 0, info.epoch ?? 0);
  const last = memory.offsets[id];
  const ownHistory = !last || last.runId === info.runId || info.role === "master" || info.follows?.linkUp;
  if (ownHistory) memory.offsets[id] = { runId: info.runId, offset: info.offset, instanceId };
}

/**
 * How far the server's data reach. A replica that cannot be seen may go on receiving: until there is a verdict on it, and
 * after it as long as its master says that it acknowledges, it may have whatever its master was seen with.
 */
function rememberReached(memory: Memory, facts: Facts, machine: RedisMachine, shard: number): void {
  const id = serverId(machine, shard);
  const server = facts.servers[id];
  if (server?.info?.epoch === undefined) return;
  const seen = { epoch: server.info.epoch, beat: server.info.beat ?? 0 };
  const isHeard = server.looks.monit.state === "up";
  const masterId = serverId(counterpartOf(machine), shard);
  const mayReceive = server.info.follows?.linkUp && !memory.durable.out[id];
  const former = memory.reached[id] ?? seen;
  const masters =
    ((mayReceive || acknowledges(facts, machine, masterId)) && memory.reached[masterId]) || seen;
  memory.reached[id] = isHeard ? seen : further(further(seen, former), masters);
}

function acknowledges(facts: Facts, machine: RedisMachine, masterId: string): boolean {
  const master = facts.servers[masterId];
  const { address = "" } = facts.machines[machine];
  return master?.looks.monit.state === "up" && master.info?.acknowledgedBy?.includes(address) === true;
}

function further(a: Reached, b: Reached): Reached {
  return b.epoch > a.epoch || (b.epoch === a.epoch && b.beat > a.beat) ? b : a;
}

const trailSpacingMs = 200;

/** Keeps samples of the last second, and one that is older. */
function rememberTrail(memory: Memory, id: string, askedMs: number, offset: number): void {
  const trail = memory.trails[id] ?? [];
  memory.trails[id] = trail;
  const last = trail.at(-1);
  if (last && askedMs - last.atMs < trailSpacingMs) return;
  trail.push({ atMs: askedMs, offset });
  while (trail[1] && trail[1].atMs <= askedMs - trailMs) trail.shift();
}

/** Who is master, and whether its replica has everything. */
function rememberShard(memory: Memory, facts: Facts, shard: number): void {
  const serving = redisMachines.filter((machine) => isServingMaster(memory, facts, machine, shard));
  const [machine] = serving;
  if (!machine || serving.length > 1) return;
  const info = facts.servers[serverId(machine, shard)]?.info;
  if (
    !info ||
    (isUsurper(memory, machine, shard, info) && !hasResigned(facts, counterpartOf(machine), shard))
  )
    return;
  memory.durable.masters[shard] = { machine, runId: info.runId, epoch: info.epoch };
  rememberSync(memory, facts, machine, shard);
}

/**
 * Answers monit as a master that recovery promoted: its data carry the epoch that the shard has reached. An
 * old master that is the only one to answer does not become the serving one by that.
 */
function isServingMaster(memory: Memory, facts: Facts, machine: RedisMachine, shard: number): boolean {
  const server = facts.servers[serverId(machine, shard)];
  const reached = memory.durable.epochs[shard] ?? 0;
  const isMaster = server?.looks.monit.state === "up" && server.info?.role === "master";
  return isMaster && reached > 0 && (server.info?.epoch ?? 0) >= reached;
}

/** Says itself that it is no master any more. */
function hasResigned(facts: Facts, machine: RedisMachine, shard: number): boolean {
  const server = facts.servers[serverId(machine, shard)];
  return server?.looks.monit.state === "up" && server.info?.role === "replica";
}

/** A machine whose replacement was launched has arrived when the cloud shows another instance in its place. */
function forgetArrived(memory: Memory, facts: Facts): void {
  for (const [name, givenUp] of Object.entries(memory.durable.givenUp)) {
    const machine = name as MachineName;
    if (facts.machines[machine].instanceId === givenUp.instanceId) continue;
    delete memory.durable.ordered[machine];
    if (givenUp.launched || givenUp.takenBack) delete memory.durable.givenUp[machine];
  }
}
