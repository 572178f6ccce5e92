/** Faults, and what people do meanwhile, as data: a trace names them, a test can write them down. */
import type { MachineName, ProxyMachine, RedisMachine } from "../../../recovery/topology.ts";
import type { LineState } from "../proxy.ts";
import type { Refusal } from "../redis-server.ts";

/** A machine by its name, or by what it is for the first shard when the fault comes. */
export type Target = MachineName | "the master" | "the replica";
export type RedisTarget = RedisMachine | "the master" | "the replica";

export type Fault =
  /** A process ends (one server of a redis machine, or all); it is started again then, or when all faults are over. */
  | { fault: "crash"; machine: Target; shard?: number; forMs?: number }
  /** A process stands still: a stop signal, a fork, a long script. */
  | { fault: "hang"; machine: Target; shard?: number; forMs: number }
  /** The link is down: packets disappear, nothing is refused. */
  | { fault: "vanish"; machine: Target; forMs: number }
  /** The power fails: the last second of the files is lost. Without `forMs` it stays off until all faults are over. */
  | { fault: "power off"; machine: Target; forMs?: number }
  | { fault: "terminate"; machine: Target }
  /** A partition, of one direction or both. */
  | { fault: "cut"; from: Target; to: Target[]; direction: "there" | "both"; forMs: number }
  | { fault: "cloud"; mood: "failing" | "hanging"; forMs: number }
  | { fault: "late cloud"; lagMs: number }
  /** Locked: another run of Pulumi has the stack, or died with it. */
  | { fault: "engine"; mood: "failing" | "hanging" | "locked"; forMs: number }
  /** The last `up` ran another program than the one on monit. */
  | { fault: "other program"; forMs: number }
  /** The cloud answers, but has no machine to give. */
  | { fault: "no capacity"; forMs: number }
  | { fault: "no names"; forMs: number }
  | { fault: "kill the monitor"; forMs: number; afterSteps?: number }
  | { fault: "stop the monitor"; forMs: number }
  /** The monitor dies, and starts without what it remembered, or with a part of it. */
  | { fault: "lose the memory"; how: "gone" | "cut off" | "other values"; forMs: number }
  /** Monit's machine is lost; its group launches another one. */
  | { fault: "lose monit"; forMs: number }
  /** A second monit, younger than the first one, which lives on. */
  | { fault: "second monitor"; forMs: number }
  | { fault: "monit's disk is full"; forMs: number }
  | { fault: "lose probes"; share: number; forMs: number }
  | { fault: "slow replication"; machine: RedisTarget; forMs: number }
  /** What the replica has missed is not in the master's backlog any more: a full copy, however short it was away. */
  | { fault: "backlog overflow"; shard: number }
  /** A server's disk is full: it refuses its clients' writes. */
  | { fault: "redis disk is full"; machine: RedisTarget; forMs: number }
  /** It answers recovery with an error: a script runs, or it has too many clients. */
  | { fault: "refuses recovery"; machine: RedisTarget; why: Refusal; forMs: number }
  /** The next batch of commands is carried out by half, and the process hangs. */
  | { fault: "hang in a batch"; machine: Target; forMs: number }
  /** A slow network, or a busy machine: its packets come up to so much later, each one by itself. */
  | { fault: "late packets"; machine: Target; upToMs: number; forMs: number }
  /** A share of the new sessions needs so long to connect to a redis server. */
  | { fault: "late connections"; share: number; upToMs: number; forMs: number }
  /** By somebody's hand, or by `shutdown frontend`. */
  | { fault: "frontend shut"; proxy: ProxyMachine; shard?: number; state: "paused" | "shut" }
  | { fault: "clock jump"; minutes: number }
  | { fault: "order failover"; machine: Target }
  | { fault: "order switchover"; shard: number; to: RedisTarget }
  | { fault: "pause recovery"; forMs: number }
  | {
      fault: "REPLICAOF by hand";
      machine: RedisTarget;
      shard: number;
      master: "nobody" | "the counterpart" | "a stranger";
    }
  | {
      fault: "proxy changed by hand";
      proxy: ProxyMachine;
      shard: number;
      machine: RedisTarget;
      state: LineState;
    }
  | { fault: "proxy unregistered by hand"; proxy: ProxyMachine };

export type FaultOf<Name extends Fault["fault"]> = Extract<Fault, { fault: Name }>;

/** One fault at its time. */
export interface Planned {
  atMs: number;
  fault: Fault;
}

export interface Schedule {
  faults: Planned[];
  /** When everything that still goes on ends, and all must become well. */
  endMs: number;
}

/** As a line of a trace has it. */
export function describeFault({ fault, ...details }: Fault): string {
  const words = Object.entries(details).flatMap(([name, value]) =>
    value === undefined ? [] : `${name} ${Array.isArray(value) ? value.join(" and ") : value}`,
  );
  return words.length > 0 ? `${fault}: ${words.join(", ")}` : fault;
}
