/** Faults, and what people do meanwhile, as data: a trace names them, a test can write them down. */
import type { MachineName, ProxyMachine, RedisMachine } from "../../../recovery/topology.ts";
import type { LineState } from "../proxy.ts";

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
  | { fault: "engine"; mood: "failing" | "hanging"; forMs: number }
  /** The cloud answers, but has no machine to give. */
  | { fault: "no capacity"; forMs: number }
  | { fault: "no names"; forMs: number }
  | { fault: "kill the monitor"; forMs: number; afterSteps?: number }
  | { fault: "stop the monitor"; forMs: number }
  | { fault: "lose probes"; share: number; forMs: number }
  | { fault: "slow replication"; machine: RedisTarget; forMs: number }
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
