/** How the facts of a cycle change recovery's memory: facts and memory in, the next memory out. */
import { type Facts, type RedisInfo, serverId } from "../../observe/facts.ts";
import type { Limits } from "../../settings.ts";
import {
  counterpartOf,
  machineNames,
  proxyMachines,
  type RedisMachine,
  redisMachines,
} from "../../topology.ts";
import type { Attempt } from "../isolate.ts";
import { rememberSync } from "../view/in-sync.ts";
import { isContradicted, isUsed, lastMasterOf, servingMaster } from "../view/mastership.ts";
import { isOut, type Judgement, judgeServer } from "../view/verdict.ts";
import { copyOf } from "./copy.ts";
import { continued, failingMs } from "./flapping.ts";
import { entryOf, type Memory, type Reached, shardIn, trailMs, verdictOn } from "./memory.ts";

/**
 * The memory after it has taken in the facts of this cycle; the given one is left as it is. A server whose facts make no
 * sense is remembered as it was.
 */
export function remember(memory: Memory, facts: Facts, limits: Limits, attempt: Attempt): Memory {
  const next = copyOf(memory);
  for (const machine of redisMachines) {
    for (const { index } of facts.topology.shards) {
      attempt(serverId(machine, index), () => rememberServer(next, facts, limits, machine, index));
    }
  }
  for (const { index } of facts.topology.shards) {
    attempt(`shard ${index}`, () => rememberShard(next, facts, index));
  }
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
  const remembered = entryOf(memory.durable.servers, id, {});
  const { verdict } = remembered;
  const answersAgain =
    server?.looks.monit.state === "up" &&
    (server.askedMs ?? 0) > (verdict?.noticedMs ?? 0) &&
    // A server that hung in a script and now answers -BUSY still hangs.
    server.refusal?.kind !== "busy";
  if (verdict && (answersAgain || verdict.instanceId !== instanceId)) delete remembered.verdict;
  if (isOut(judgement.condition) && !remembered.verdict) {
    remembered.verdict = { ...judgement, noticedMs: facts.nowMs, instanceId };
  }
  rememberTrouble(memory, facts, limits, id, judgement.sinceMs ?? facts.nowMs, instanceId);
  if (server?.info) rememberInfo(memory, id, shard, server.info, instanceId);
  rememberReached(memory, facts, machine, shard);
  if (server?.info?.role === "master") rememberTrail(memory, id, server.askedMs ?? 0, server.info.offset);
  if (server?.info?.role === "replica") delete entryOf(memory.seen, id, {}).trail;
}

/** A process that loads its data, or refuses recovery, is not well, but it lives: that is no trouble, and ends none. */
function rememberTrouble(
  memory: Memory,
  { servers, nowMs }: Facts,
  { graceMs }: Limits,
  id: string,
  badSinceMs: number,
  instanceId: string | undefined,
): void {
  const server = servers[id];
  const seen = entryOf(memory.seen, id, {});
  const before = seen.trouble?.instanceId === instanceId ? seen.trouble : undefined;
  const isWell = server?.looks.monit.state === "up" && server.info?.loading === false && !server.refusal;
  const health = verdictOn(memory, id) ? "bad" : isWell ? "well" : "unclear";
  const trouble = continued(before, health, before ? badSinceMs : nowMs, nowMs, graceMs);
  if (trouble) seen.trouble = { ...trouble, instanceId };
  else delete seen.trouble;
}

/** A server that monit alone watches has no second witness: it gets a verdict after the time that a machine takes to boot. */
function judgeInTime(facts: Facts, limits: Limits, machine: RedisMachine, shard: number): Judgement {
  const judgement = judgeServer(facts, machine, shard);
  const looks = facts.servers[serverId(machine, shard)]?.looks;
  if (isOut(judgement.condition) || looks?.monit.state !== "down") return judgement;
  const isMonitsAlone = proxyMachines.every((proxy) => looks[proxy].state === "none");
  // A server that answered at first and then stopped (its machine was lost while it booted) has failed since then.
  const sinceMs =
    judgement.condition === "unseen"
      ? facts.machines[machine].knownSinceMs
      : facts.nowMs - failingMs(looks.monit, facts.nowMs);
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
  const remembered = entryOf(memory.durable.shards, shard, { epoch: 0, attempted: 0 });
  remembered.epoch = Math.max(remembered.epoch, info.epoch ?? 0);
  const seen = entryOf(memory.seen, id, {});
  const last = seen.offset;
  const ownHistory = !last || last.runId === info.runId || info.role === "master" || info.follows?.linkUp;
  if (ownHistory) seen.offset = { runId: info.runId, offset: info.offset, instanceId };
}

/**
 * How far the server's data reach. A replica that cannot be seen may go on receiving: until there is a verdict on it, and
 * after it as long as its master says that some replica acknowledges, it may have whatever its master was seen with. That replica
 * may be the former instance of a machine that is being replaced: its volume comes back with the next one.
 */
function rememberReached(memory: Memory, facts: Facts, machine: RedisMachine, shard: number): void {
  const id = serverId(machine, shard);
  const { info, looks } = facts.servers[id] ?? {};
  const masterId = serverId(counterpartOf(machine), shard);
  const seen = info?.epoch === undefined ? undefined : { epoch: info.epoch, beat: info.beat ?? 0 };
  const mayReceive = info?.follows?.linkUp && !verdictOn(memory, id);
  const isFed = mayReceive || isAcknowledged(facts, masterId);
  const masters = isFed ? memory.seen[masterId]?.reached : undefined;
  const former = memory.seen[id]?.reached;
  const isHeard = looks?.monit.state === "up";
  const reached = isHeard && seen ? seen : further(further(seen, former), masters);
  if (reached) entryOf(memory.seen, id, {}).reached = reached;
}

function isAcknowledged({ servers }: Facts, masterId: string): boolean {
  const { looks, info } = servers[masterId] ?? {};
  return looks?.monit.state === "up" && (info?.acknowledgedBy ?? []).length > 0;
}

function further(a: Reached | undefined, b: Reached | undefined): Reached | undefined {
  if (!a || !b) return a ?? b;
  return b.epoch > a.epoch || (b.epoch === a.epoch && b.beat > a.beat) ? b : a;
}

const trailSpacingMs = 200;

/** Keeps samples of the last second, and one that is older. */
function rememberTrail(memory: Memory, id: string, askedMs: number, offset: number): void {
  const seen = entryOf(memory.seen, id, {});
  const trail = seen.trail ?? [];
  seen.trail = trail;
  const last = trail.at(-1);
  if (last && askedMs - last.atMs < trailSpacingMs) return;
  trail.push({ atMs: askedMs, offset });
  while (trail[1] && trail[1].atMs <= askedMs - trailMs) trail.shift();
}

/** Who is master, and whether its replica has everything. */
function rememberShard(memory: Memory, facts: Facts, shard: number): void {
  if (isContradicted({ facts, memory }, shard))
    delete entryOf(memory.durable.shards, shard, { epoch: 0, attempted: 0 }).master;
  const master = servingMaster({ facts, memory }, shard);
  if (!master) {
    rememberUse(memory, facts, shard);
    return;
  }
  const { machine, info } = master;
  const remembered = entryOf(memory.durable.shards, shard, { epoch: 0, attempted: 0 });
  const { instanceId } = facts.machines[machine];
  remembered.master = { machine, runId: info.runId, epoch: info.epoch, instanceId };
  delete remembered.usedLast;
  if (isUsed(facts, shard, machine)) memory.confirmed = { ...memory.confirmed, [shard]: true };
  rememberSync(memory, facts, machine, shard);
}

/**
 * A monitor that has lost its memory learns from the proxies which server the clients used last. It then takes that server out
 * of the proxies itself, so it must remember this: the other copy may be old.
 */
function rememberUse(memory: Memory, facts: Facts, shard: number): void {
  const used = lastMasterOf({ facts, memory }, shard);
  if (!used || shardIn(memory, shard).master) return;
  entryOf(memory.durable.shards, shard, { epoch: 0, attempted: 0 }).usedLast = used;
}

/** A machine whose replacement was launched has arrived when the cloud shows another instance in its place. */
function forgetArrived(memory: Memory, facts: Facts): void {
  for (const name of machineNames) {
    const machine = memory.durable.machines[name];
    if (!machine?.replacement) continue;
    if (facts.machines[name].instanceId === machine.replacement.instanceId) continue;
    delete machine.ordered;
    const { phase } = machine.replacement;
    if (phase === "launched" || phase === "taken back") delete machine.replacement;
  }
}
