/**
 * The clock, passed in as a value. Durations are measured on the monotonic clock, so a jump of the wall clock never starts or
 * delays a failover. The wall clock only dates what people read. Tests and the simulation use clocks of their own.
 */
import { setTimeout as delay } from "node:timers/promises";

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. */
  now(): number;
  /** The wall clock, for records that people read. */
  date(): Date;
  /** Resolves after `ms`, or at once (without an error) when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal }).catch((error: unknown) => {
      if (!signal?.aborted) throw error;
    });
  },
};

/** The wall-clock time (ISO 8601, milliseconds) of a monotonic moment in the past. */
export function wallTimeOf(clock: Clock, momentMs: number): string {
  return new Date(clock.date().getTime() - (clock.now() - momentMs)).toISOString();
}

/** What `promise` resolves to, or `otherwise` when it takes longer than `ms`; the timer does not outlive the call. */
export async function within<T, U>(
  clock: Clock,
  ms: number,
  promise: Promise<T>,
  otherwise: U,
): Promise<T | U> {
  const done = new AbortController();
  try {
    return await Promise.race([promise, clock.sleep(ms, done.signal).then(() => otherwise)]);
  } finally {
    // With a reason: without one an error would be made, with its stack, at every call.
    done.abort("done");
  }
}
