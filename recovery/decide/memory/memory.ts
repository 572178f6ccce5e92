/**
 * What recovery remembers from cycle to cycle, passed into `decide` and out of it.
 *
 * `durable` is kept on disk. Losing it loses no data: the next cycle starts from what it observes
 * (rule 6), with the epochs that the data themselves carry.
 */
import type { Facts, RedisCounters } from "../../observe/facts.ts";
import type { MachineName, RedisMachine } from "../../topology.ts";
import type { Judgement } from "../view/verdict.ts";
import type { Spell, Spells } from "./flapping.ts";
import type { Replacement } from "./replacement.ts";
import { readSaved, type SavedReplacement } from "./saved.ts";

/** Why a machine is replaced by `barton roll`. Such a replacement does not count for the budget (rule 8). */
export const rollReason = "barton roll";

/** A verdict on a redis server, reached by this instance of its machine; `noticedMs` is when (monotonic milliseconds). */
export type Verdict = Judgement & { noticedMs: number; instanceId?: string };

/** The last server of a shard that was seen serving as master, with the process it was and the epoch it served. */
export interface LastMaster {
  machine: RedisMachine;
  runId: string;
  epoch?: number;
  /** The instance of its machine that had it. */
  instanceId?: string;
}

/** What is on disk of one redis server. */
export interface ServerMemory {
  /** Stands until the server answers again. */
  verdict?: Verdict;
}

/** What is on disk of one shard. */
export interface ShardMemory {
  /** The highest epoch that its data were ever seen to carry. */
  epoch: number;
  /** The highest epoch with which a promotion was ever begun; one that never answered may still come true. */
  attempted: number;
  master?: LastMaster;
  /** While no master is remembered: the server that the proxies used when they were last seen to use one. */
  usedLast?: RedisMachine;
  /** The processes of which one was seen to receive everything from the other. */
  inSync?: { master: string; replica: string };
}

/** A proxy that takes the place of another one and was not registered yet: it has carried no traffic. */
export interface Newcomer {
  configured: boolean;
  failedAttempts: number;
}

/** What is on disk of one machine. */
export interface MachineMemory {
  /** Somebody ordered its failover, for this reason. */
  ordered?: string;
  replacement?: Replacement;
  /** Only of proxies. */
  newcomer?: Newcomer;
}

/** What is kept on disk. */
export interface Durable {
  /** By `serverId`. */
  servers: Record<string, ServerMemory>;
  shards: Record<number, ShardMemory>;
  machines: Partial<Record<MachineName, MachineMemory>>;
  /** The instance that monit's record names, as far as is known: a new monit that its group has launched takes it over. */
  recordedMonit?: string;
  /** The replacements of the last hour (wall-clock milliseconds), for the budget (rule 8). */
  replacements: { machine: MachineName; wallMs: number }[];
}

export interface LinkMemory {
  up: boolean;
  /** When it was first seen so (monotonic milliseconds), and the replica's offset then. */
  sinceMs: number;
  offset: number;
  /** What its master had counted then. */
  master?: RedisCounters;
}

/** How far data reach: an epoch, and a beat of it. */
export interface Reached {
  epoch: number;
  beat: number;
}

/** What this process has seen of one redis server; the next process begins without it. */
export interface SeenServer {
  /** A replica's link to its master. */
  link?: LinkMemory;
  /** The last offset of its process: a restarted process forgets its own. */
  offset?: { runId: string; offset: number; instanceId?: string };
  /** How far its data were last seen to reach, or may reach since. */
  reached?: Reached;
  /** A master's offsets of the last second and a bit, oldest first. */
  trail?: { atMs: number; offset: number }[];
  /** The trouble that began with a verdict, and the instance that it is about. */
  trouble?: Spell & { instanceId?: string };
}

export interface Memory {
  /** On disk. */
  durable: Durable;
  /** By `serverId`; gone when the process ends. */
  seen: Record<string, SeenServer>;
  /** Since when monit sees somebody (monotonic milliseconds); undefined while it sees nobody. Gone when the process ends. */
  sightSinceMs?: number;
  /**
   * Shards of which this process has made the master, or has seen it serve. Of the others the disk may tell an old story: what
   * happened while it was full was not stored.
   */
  confirmed?: Record<number, true>;
  /** Looks that are down, or were a short while ago. Gone when the process ends. */
  spells?: Spells;
}

export const emptyMemory: Memory = {
  durable: { servers: {}, shards: {}, machines: {}, replacements: [] },
  seen: {},
};

/** The memory of a shard. A shard that was never initialised has epoch 0. */
export function shardIn({ durable }: Memory, shard: number): Readonly<ShardMemory> {
  return durable.shards[shard] ?? { epoch: 0, attempted: 0 };
}

/** The replacement of the machine, if it has one that is not finished. */
export function replacementOf({ durable }: Memory, machine: MachineName): Replacement | undefined {
  return durable.machines[machine]?.replacement;
}

/** Why somebody ordered the machine's failover; undefined when nobody did. */
export function orderFor({ durable }: Memory, machine: MachineName): string | undefined {
  return durable.machines[machine]?.ordered;
}

/** The verdict that stands on the server, by `serverId`. */
export function verdictOn({ durable }: Memory, id: string): Verdict | undefined {
  return durable.servers[id]?.verdict;
}

/** The entry of a map, made first if there is none: for those who write into a memory of their own. */
export function entryOf<Key extends PropertyKey, T>(map: Partial<Record<Key, T>>, key: Key, made: T): T {
  const entry = map[key] ?? made;
  map[key] = entry;
  return entry;
}

/** Is the machine's present instance the condemned one? */
export function isCondemned(facts: Facts, memory: Memory, machine: MachineName): boolean {
  const replacement = replacementOf(memory, machine);
  const isPresent = replacement?.instanceId === facts.machines[machine].instanceId;
  return replacement !== undefined && isPresent && replacement.phase !== "taken back";
}

/**
 * Was another instance launched in the failed one's place, by a run of the engine that has not ended? It may have
 * been killed before it knew of that instance: the next run will launch one more.
 */
export function isUnfinished(facts: Facts, memory: Memory, machine: MachineName): boolean {
  const replacement = replacementOf(memory, machine);
  if (replacement?.phase !== "condemned" && replacement?.phase !== "tainted") return false;
  return replacement.instanceId !== facts.machines[machine].instanceId;
}

/** How far back a master's offset is remembered, in milliseconds. */
export const trailMs = 1_000;

/**
 * The offset that this master had a second before its last answer: a replica with less lags. Anything
 * younger may simply have been on its way when the master died.
 */
export function offsetToHave(memory: Memory, id: string): number | undefined {
  const trail = memory.seen[id]?.trail ?? [];
  const [oldest] = trail;
  const newest = trail.at(-1);
  return oldest && newest && newest.atMs - oldest.atMs >= trailMs ? oldest.offset : undefined;
}

/**
 * The memory that an earlier run of the monitor left on disk. Its monotonic times mean nothing any more: patience begins
 * again, and so do holds. A part that is damaged is left out, which loses no data; `dropped` has a sentence for each.
 */
export function revive(saved: unknown, nowMs: number): { memory: Memory; dropped: string[] } {
  const { servers, shards, machines, recordedMonit, replacements, dropped } = readSaved(saved);
  const { durable, ...rest } = structuredClone(emptyMemory);
  for (const [id, verdict] of servers) {
    durable.servers[id] = { verdict: { ...verdict, noticedMs: nowMs, sinceMs: nowMs } };
  }
  for (const [index, { epoch = 0, attempted = 0, ...shard }] of shards) {
    durable.shards[index] = { epoch, attempted, ...shard };
  }
  for (const [name, { replacement, ...machine }] of machines) {
    durable.machines[name] = { ...machine, ...(replacement && { replacement: revived(replacement, nowMs) }) };
  }
  return { memory: { ...rest, durable: { ...durable, recordedMonit, replacements } }, dropped };
}

/** Nobody heard the answer to a power-off that was begun. */
function revived(saved: SavedReplacement, nowMs: number): Replacement {
  if (saved.phase !== "condemned" && saved.phase !== "tainted") return saved;
  return { ...saved, powerOff: saved.powerOff === "begun" ? { inDoubtSinceMs: nowMs } : saved.powerOff };
}
