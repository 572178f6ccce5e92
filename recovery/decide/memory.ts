/**
 * What recovery remembers from cycle to cycle, passed into `decide` and out of it.
 *
 * `durable` is kept on disk. Losing it loses no data: the next cycle starts from what it observes
 * (rule 6), with the epochs that the data themselves carry.
 */
import { type Facts, type RedisInfo, serverId } from "../observe/facts.ts";
import type { Limits } from "../settings.ts";
import {
  counterpartOf,
  type MachineName,
  type ProxyMachine,
  proxyMachines,
  type RedisMachine,
  redisMachines,
} from "../topology.ts";
import { rememberSync } from "./in-sync.ts";
import { isOut, type Judgement, judgeServer } from "./judge.ts";

/** A machine that recovery has given up and is replacing. */
export interface GivenUp {
  /** The instance that failed; the machine is new as soon as its current instance is another one. */
  instanceId?: string;
  because: string;
  /** The steps of the replacement that are done. */
  tainted?: boolean;
  powerOffRequested?: boolean;
  launched?: boolean;
  /** It is used again, and only its taint is still to be taken away. */
  takenBack?: boolean;
  /** A person renews all machines: it says nothing of how often this one fails. */
  planned?: boolean;
  /** Why the replacement waits, and when it is looked at again (monotonic milliseconds). */
  held?: { why: string; untilMs: number };
}

/** Why a machine is replaced by `barton roll`. Such a replacement does not count for the budget (rule 8). */
export const rollReason = "barton roll";

export interface Durable {
  /** Per shard, the highest epoch that its data were ever seen to carry. */
  epochs: Record<number, number>;
  /** Per shard, the highest epoch with which a promotion was ever begun; one that never answered may still come true. */
  attempted: Record<number, number>;
  /** Per shard, the last server that was seen serving as master, with the process it was and the term it served. */
  masters: Record<number, { machine: RedisMachine; runId: string; epoch?: number }>;
  /** Per shard, the processes of which one was seen to receive everything from the other. */
  inSync: Record<number, { master: string; replica: string } | undefined>;
  givenUp: Partial<Record<MachineName, GivenUp>>;
  /** Machines whose failover somebody ordered, with the reason given. */
  ordered: Partial<Record<MachineName, string>>;
  /** Proxies that were given up and whose replacement was not registered yet: they have carried no traffic. */
  newcomers: Partial<Record<ProxyMachine, { configured: boolean; failedAttempts: number }>>;
  /** Verdicts that stand until the server answers again, by `serverId`. */
  out: Record<string, Judgement & { noticedMs: number; instanceId?: string }>;
  /** The instance that monit's record names, as far as is known: a new monit that its group has launched takes it over. */
  recordedMonit?: string;
  /** Wall-clock milliseconds of the replacements of the last hour, for the budget (rule 8). */
  replacements: { machine: MachineName; wallMs: number }[];
}

export interface LinkMemory {
  up: boolean;
  /** When it was first seen so (monotonic milliseconds), and the replica's offset then. */
  sinceMs: number;
  offset: number;
}

/** How far data reach: a term, and a beat of it. */
interface Reached {
  epoch: number;
  beat: number;
}

export interface Memory {
  durable: Durable;
  /** The link of each replica to its master, by `serverId`. */
  links: Record<string, LinkMemory>;
  /** The last offset of each server's process, by `serverId`: a restarted process forgets its own. */
  offsets: Record<string, { runId: string; offset: number; instanceId?: string }>;
  /** How far each server's data were last seen to reach, or may reach since, by `serverId`. */
  reached: Record<string, Reached>;
  /** Offsets of masters of the last second and a bit, oldest first, by `serverId`. */
  trails: Record<string, { atMs: number; offset: number }[]>;
  /** Since when monit sees somebody (monotonic milliseconds); undefined while it sees nobody. */
  sightSinceMs?: number;
}

export const emptyMemory: Memory = {
  durable: {
    epochs: {},
    attempted: {},
    masters: {},
    inSync: {},
    givenUp: {},
    ordered: {},
    newcomers: {},
    out: {},
    replacements: [],
  },
  links: {},
  offsets: {},
  reached: {},
  trails: {},
};

/** Is the machine's present instance the one that was given up? */
export function isGivenUp(facts: Facts, memory: Memory, machine: MachineName): boolean {
  const givenUp = memory.durable.givenUp[machine];
  const isPresent = givenUp?.instanceId === facts.machines[machine].instanceId;
  return givenUp !== undefined && isPresent && !givenUp.takenBack;
}

/**
 * Was another instance launched in the failed one's place, by a run of the engine that has not ended? It may have
 * been killed before it knew of that instance: the next run will launch one more.
 */
export function isUnfinished(facts: Facts, memory: Memory, machine: MachineName): boolean {
  const givenUp = memory.durable.givenUp[machine];
  const isAnother = givenUp?.instanceId !== facts.machines[machine].instanceId;
  return givenUp !== undefined && isAnother && !givenUp.launched && !givenUp.takenBack;
}

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
const trailMs = 1_000;

/** Keeps samples of the last second, and one that is older. */
function rememberTrail(memory: Memory, id: string, askedMs: number, offset: number): void {
  const trail = memory.trails[id] ?? [];
  memory.trails[id] = trail;
  const last = trail.at(-1);
  if (last && askedMs - last.atMs < trailSpacingMs) return;
  trail.push({ atMs: askedMs, offset });
  while (trail[1] && trail[1].atMs <= askedMs - trailMs) trail.shift();
}

/**
 * The offset that this master had a second before its last answer: a replica with less lags. Anything
 * younger may simply have been on its way when the master died.
 */
export function offsetToHave(memory: Memory, id: string): number | undefined {
  const trail = memory.trails[id] ?? [];
  const [oldest] = trail;
  const newest = trail.at(-1);
  return oldest && newest && newest.atMs - oldest.atMs >= trailMs ? oldest.offset : undefined;
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

/**
 * Calls itself master in the very term in which its counterpart was seen to serve: recovery did not promote it, so
 * somebody did by hand. It is no master while the serving one may only be out of sight.
 */
export function isUsurper(memory: Memory, machine: RedisMachine, shard: number, info: RedisInfo): boolean {
  const last = memory.durable.masters[shard];
  return last !== undefined && last.machine !== machine && info.epoch === last.epoch;
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

/** What acting adds to memory: the steps that are done, so that nothing is done twice after a restart. */
export type Remembered =
  | { event: "ordered"; machine: MachineName; why: string }
  | { event: "withdrawn"; machine: MachineName }
  /** A person has found out why the machine failed so often: its budget is whole again (rule 8). */
  | { event: "forgiven"; machine: MachineName }
  | { event: "given up"; machine: MachineName; instanceId?: string; because: string }
  | { event: "taken back"; machine: MachineName; because: string }
  | { event: "tainted" | "untainted" | "power-off requested"; machine: MachineName }
  /** `instanceId`: the new instance, as far as the engine says it. */
  | { event: "launched"; machine: MachineName; instanceId?: string }
  | { event: "held"; machine: MachineName; why: string; untilMs: number }
  | { event: "registered" | "configured" | "configuration failed"; proxy: ProxyMachine }
  | { event: "recorded"; instanceId?: string }
  | { event: "promoting"; shard: number; epoch: number }
  | { event: "promoted"; shard: number; machine: RedisMachine; epoch: number };

const hourMs = 3_600_000;

/** The memory after one such event; the given one is left as it is. */
export function apply(memory: Memory, event: Remembered, wallMs: number): Memory {
  const next = structuredClone(memory);
  const { durable } = next;
  switch (event.event) {
    case "ordered":
      durable.ordered[event.machine] = event.why;
      break;
    case "withdrawn":
      delete durable.ordered[event.machine];
      break;
    case "forgiven":
      durable.replacements = durable.replacements.filter(({ machine }) => machine !== event.machine);
      break;
    case "given up":
      durable.givenUp[event.machine] = {
        instanceId: event.instanceId,
        because: event.because,
        ...(durable.ordered[event.machine] === rollReason ? { planned: true } : {}),
      };
      if (isProxy(event.machine)) durable.newcomers[event.machine] = { configured: false, failedAttempts: 0 };
      break;
    case "registered":
      delete durable.newcomers[event.proxy];
      break;
    case "configured":
      durable.newcomers[event.proxy] = { configured: true, failedAttempts: 0 };
      break;
    case "configuration failed":
      addFailedAttempt(durable, event.proxy);
      break;
    case "recorded":
      durable.recordedMonit = event.instanceId;
      break;
    case "promoting":
      durable.attempted[event.shard] = Math.max(durable.attempted[event.shard] ?? 0, event.epoch);
      break;
    case "promoted":
      durable.epochs[event.shard] = Math.max(durable.epochs[event.shard] ?? 0, event.epoch);
      // It may die before a cycle has seen it serve: the old master must not pass for the last one then. Which
      // process it is, the next look tells.
      durable.masters[event.shard] = { machine: event.machine, runId: "", epoch: event.epoch };
      break;
    default:
      applyToGivenUp(durable, event, wallMs);
  }
  return next;
}

function addFailedAttempt(durable: Durable, proxy: ProxyMachine): void {
  const newcomer = durable.newcomers[proxy];
  if (newcomer) newcomer.failedAttempts += 1;
}

type ReplacementEvent = Extract<
  Remembered,
  { event: "taken back" | "tainted" | "untainted" | "power-off requested" | "launched" | "held" }
>;

function applyToGivenUp(durable: Durable, event: ReplacementEvent, wallMs: number): void {
  const givenUp = durable.givenUp[event.machine];
  if (!givenUp) return;
  if (event.event === "tainted") givenUp.tainted = true;
  // Not simply forgotten: the taint must be taken away, and one may be under way this moment.
  if (event.event === "taken back") Object.assign(givenUp, { takenBack: true, because: event.because });
  // It may have been given up anew meanwhile.
  if (event.event === "untainted" && givenUp.takenBack) delete durable.givenUp[event.machine];
  if (event.event === "power-off requested") givenUp.powerOffRequested = true;
  if (event.event === "held") givenUp.held = { why: event.why, untilMs: event.untilMs };
  // The new instance may have failed and been given up while its launch was still under way: that one is to be
  // launched yet.
  if (event.event === "launched" && event.instanceId !== givenUp.instanceId) {
    givenUp.launched = true;
    if (givenUp.planned) return;
    const recent = durable.replacements.filter((one) => wallMs - one.wallMs < hourMs);
    durable.replacements = [...recent, { machine: event.machine, wallMs }];
  }
}

function isProxy(machine: MachineName): machine is ProxyMachine {
  return proxyMachines.some((proxy) => proxy === machine);
}

/**
 * The memory that an earlier run of the monitor left on disk. Its monotonic times mean nothing any more:
 * patience and holds begin anew. Anything unreadable counts as no memory, which loses no data.
 */
export function revive(saved: unknown, nowMs: number): Memory {
  const memory = structuredClone(emptyMemory);
  if (typeof saved !== "object" || saved === null) return memory;
  Object.assign(memory.durable, saved);
  const { out, givenUp } = memory.durable;
  for (const verdict of Object.values(out)) Object.assign(verdict, { noticedMs: nowMs, sinceMs: nowMs });
  for (const one of Object.values(givenUp)) delete one.held;
  return memory;
}
