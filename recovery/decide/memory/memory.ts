/**
 * What recovery remembers from cycle to cycle, passed into `decide` and out of it.
 *
 * `durable` is kept on disk. Losing it loses no data: the next cycle starts from what it observes
 * (rule 6), with the epochs that the data themselves carry.
 */
import type { Facts } from "../../observe/facts.ts";
import type { MachineName, ProxyMachine, RedisMachine } from "../../topology.ts";
import type { Judgement } from "../view/verdict.ts";

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
export interface Reached {
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

/** How far back a master's offset is remembered, in milliseconds. */
export const trailMs = 1_000;

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
