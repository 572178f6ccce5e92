/** What the clients did and saw: one line per operation, in the manner of Jepsen. */
import { open } from "node:fs/promises";

/**
 * `ok`: the server said yes. `fail`: it certainly did not happen (never sent, or refused by an error reply).
 * `unknown`: sent, and no answer came; it may have happened.
 */
export type Outcome = "ok" | "fail" | "unknown";

/** How a client uses connections: a new one for each request, one that it keeps, one that it keeps and pipelines on. */
export const clientKinds = ["anew", "persistent", "pipelined"] as const;
export type ClientKind = (typeof clientKinds)[number];

/**
 * `set`: a key of its own for each write. `add`: a member of the shard's set. `increment`: the shard's counter.
 * `write` and `read`: the shard's register, whose one writer only ever increases it.
 */
export type Action = "set" | "add" | "increment" | "write" | "read";

export interface Operation {
  /** One sequential client: it has one operation (or one pipeline) under way at a time. */
  process: string;
  client: ClientKind;
  shard: number;
  action: Action;
  /** Without the run's prefix; the set, the counter and the register have none. */
  key?: string;
  /** What was written; what a read returned, or the counter after an increment. */
  value?: number;
  /** Milliseconds since 1970 with fractions; one clock for the clients, the faults and the machines. */
  invokedAt: number;
  /** When the answer came, or the error. For a confirmed write: the write's own answer, before WAIT's. */
  completedAt: number;
  outcome: Outcome;
  /** Only of writes that asked for it: whether WAIT 1 said that the replica has it. */
  confirmed?: boolean;
  /** When WAIT answered, or failed. */
  confirmedAt?: number;
  /** Why WAIT has no answer, although the write has one. */
  confirmError?: string;
  /** ADDRESS:PORT of the redis that answered, as it says itself on the same connection. */
  server?: string;
  error?: string;
}

/** What stood in a shard after everything was well again: read through the same way as the clients. */
export interface FinalState {
  shard: number;
  /** Value of each key of `set` operations that was attempted; null where there is none. */
  keys: Map<string, number | null>;
  members: Set<number>;
  counter: number | null;
  register: number | null;
}

/** A line of finals.jsonl: keys come in pieces. */
export type FinalLine =
  | { shard: number; keys: string[]; values: (number | null)[] }
  | { shard: number; members: number[]; counter: number | null; register: number | null };

/** Everything but reads: what may be lost. */
export const isWrite = (operation: Operation): boolean => operation.action !== "read";

/** How long WAIT may wait for the replica, in milliseconds: what a client that confirms its writes asks for. */
export const waitMs = 500;

/** When the client had all its answers, WAIT's too. */
export const endOf = ({ completedAt, confirmedAt = completedAt }: Operation): number =>
  Math.max(completedAt, confirmedAt);

/** How long a client waits for its write to be taken: the duration of the answer, in milliseconds. */
export const durationOf = ({ invokedAt, completedAt }: Operation): number => completedAt - invokedAt;

/** The wall clock with fractions of a millisecond, the same in every process of this host. */
export const now = (): number => performance.timeOrigin + performance.now();

/** Reads a file of JSON lines; a last line that was broken off is left out. */
export async function readLines<T>(file: string): Promise<T[]> {
  const result: T[] = [];
  for await (const line of (await open(file)).readLines()) {
    if (line.endsWith("}")) result.push(JSON.parse(line) as T);
  }
  return result;
}

/** Puts the pieces of finals.jsonl together. */
export function finalStates(lines: readonly FinalLine[]): FinalState[] {
  const states = new Map<number, FinalState>();
  for (const line of lines) {
    const state = states.get(line.shard) ?? {
      shard: line.shard,
      keys: new Map<string, number | null>(),
      members: new Set<number>(),
      counter: null,
      register: null,
    };
    states.set(line.shard, state);
    if ("keys" in line) {
      for (const [i, key] of line.keys.entries()) state.keys.set(key, line.values[i] ?? null);
    } else {
      state.members = new Set(line.members);
      state.counter = line.counter;
      state.register = line.register;
    }
  }
  return [...states.values()];
}
