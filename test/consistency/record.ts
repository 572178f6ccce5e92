/** What a run knows beside the history: the faults that were injected, and what was observed from outside. */
import type { Incident } from "../../recovery/incidents/record.ts";
import type { FinalState, Operation } from "./history.ts";

/** One injected fault (or two at once). Times are milliseconds since 1970. */
export interface FaultRecord {
  number: number;
  /** A name of the catalogue: `scripts/chaos --help` lists them. */
  kind: string;
  /** What was done, to whom: "vanish redis1". */
  title: string;
  /** Only processes died; no machine lost power or its link: then not even unconfirmed writes may be lost. */
  processCrash: boolean;
  /**
   * Whether clients that connect anew may see errors only for what was in flight at the fault itself. Else (a stall, a
   * partition) a request may also be in flight when recovery cuts the sessions, seconds later: one per client.
   */
  strict: boolean;
  /**
   * The server itself refuses requests, plainly (they were not carried out), for at most so many milliseconds: until
   * recovery looks at it next and has relieved it. Missing for faults after which none may be refused.
   */
  refusesMs?: number;
  /** When its injection began, and when it was done. */
  at: number;
  doneAt: number;
  /** When what lasts was undone; missing for what needs no hand. */
  healedAt?: number;
  /** When the system was seen in its desired state again; missing when it was not (yet). */
  healthyAt?: number;
  /** Set when it was waited for in vain, so many milliseconds long. */
  waitedInVainMs?: number;
  /** Writes per second and shard in the two seconds before the fault. */
  loadBefore: Record<string, number>;
  /** The host's load average (1 min) at the fault: how busy the machine was. */
  loadAverage: number;
}

/** One look at one machine, from outside of it and of recovery: asked at `askedAt` (if known), answered at `at`. */
export type Observation = {
  askedAt?: number;
} /** A proxy: per shard, the redis machines that its traffic may go to. */ & (
  | { at: number; source: "haproxy1" | "haproxy2"; enabled: Record<string, string[]> }
  /** app's local proxy: per shard, the proxies that it sends clients to or still has clients on. */
  | { at: number; source: "app"; uses: Record<string, string[]> }
  /** A redis server: its role. */
  | { at: number; source: "redis1" | "redis2"; shard: number; role: string }
);

/** Everything that the checkers look at. */
export interface Evidence {
  operations: readonly Operation[];
  /** Undefined when nothing could be read back. */
  finals: readonly FinalState[] | undefined;
  faults: readonly FaultRecord[];
  observations: readonly Observation[];
  incidents: readonly Incident[];
}

/** The fault that an event belongs to: the last one that had begun by then, unless all was well again since. */
export function faultOf(faults: readonly FaultRecord[], at: number): FaultRecord | undefined {
  const fault = faults.findLast((each) => each.at <= at);
  return fault?.healthyAt !== undefined && fault.healthyAt < at ? undefined : fault;
}
