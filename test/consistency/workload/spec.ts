/** What the workload is told on its standard input, and what it tells on its standard output. */
import type { Action, ClientKind } from "../history.ts";

/** The first line of standard input. It holds the password, which must not be in an argument or in the environment. */
export interface WorkloadSpec {
  host: string;
  username: string;
  password: string;
  shards: { index: number; port: number }[];
  /** What every key begins with. */
  prefix: string;
  /** Operations per second and shard, at the most. */
  rate: number;
  /** How long WAIT waits for the replica, in milliseconds. */
  waitMs: number;
  historyFile: string;
  finalsFile: string;
}

/** Later lines: end the load; read back what there is; remove it. The end of the input ends everything. */
export type Order = "stop" | "read back" | "clean";

/**
 * What happened since the last tick, and in how much time; per shard. `slowestMs`: the longest that a client waited for its
 * answer, or has been waiting until now.
 */
export interface Tick {
  at: number;
  ms: number;
  shards: Record<string, { writes: number; errors: number; slowestMs: number }>;
}

export type Told = { tick: Tick } | { done: Order; operations: number } | { trouble: string };

/** How often the workload reports, in milliseconds. */
export const tickMs = 250;
/** How long a client waits for an answer before it gives up, in milliseconds. */
export const patienceMs = 60_000;
/** How many writes a pipelining client sends at once. */
export const pipelineLength = 5;

/** One sequential client of a shard. */
export interface ClientSpec {
  name: string;
  client: ClientKind;
  action: Action;
  /** Its writes ask for WAIT 1. */
  confirm: boolean;
}

/** The clients of each shard. Each does the same number of operations per second. */
export const clientSpecs: readonly ClientSpec[] = [
  { name: "anew-1", client: "anew", action: "set", confirm: false },
  { name: "anew-2", client: "anew", action: "set", confirm: false },
  { name: "anew-confirmed", client: "anew", action: "set", confirm: true },
  { name: "persistent", client: "persistent", action: "set", confirm: false },
  { name: "persistent-confirmed", client: "persistent", action: "set", confirm: true },
  { name: "pipelined", client: "pipelined", action: "set", confirm: false },
  { name: "pipelined-confirmed", client: "pipelined", action: "set", confirm: true },
  { name: "set", client: "anew", action: "add", confirm: false },
  { name: "counter", client: "persistent", action: "increment", confirm: false },
  // The register's one writer. Confirmed, so that it is known which values a later read must not miss.
  { name: "register", client: "persistent", action: "write", confirm: true },
  { name: "reader-anew", client: "anew", action: "read", confirm: false },
  { name: "reader", client: "persistent", action: "read", confirm: false },
];

/** Milliseconds from the beginning of one operation (or pipeline) to that of the next, for a rate per shard. */
export function pauseOf(client: ClientKind, rate: number): number {
  const batch = client === "pipelined" ? pipelineLength : 1;
  return (1000 * batch * clientSpecs.length) / rate;
}
