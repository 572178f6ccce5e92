/**
 * Exceptions that nobody expected. One of them must not stop the healing of everything else: it is reported (status, metrics,
 * one notification, one line in the log with its stack), and the loop goes on.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";

/** One kind of exception: the same message at the same place counts as the same bug. */
export interface Bug {
  /** The part of recovery that threw. */
  where: string;
  message: string;
  times: number;
  /** ISO 8601. */
  firstAt: string;
  lastAt: string;
}

/** A message may carry a changing number, and make a new bug of each: no more than these are told apart. */
const bugsMax = 20;
/** A bug that was not seen for this long does not disturb any more; it stays listed. */
const recentMs = 60_000;

export class Bugs {
  readonly #clock: Clock;
  readonly #log: Pick<Log, "error">;
  readonly #seen = new Map<string, Bug & { lastMs: number }>();
  readonly #watchers = new Set<(bug: Bug) => void>();

  constructor({ clock, log }: { clock: Clock; log: Pick<Log, "error"> }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Every kind of bug since this process began, with how often it was seen. */
  get all(): Bug[] {
    return [...this.#seen.values()].map(({ lastMs, ...bug }) => bug);
  }

  /** Those that were seen within the last minute. */
  get recent(): Bug[] {
    const sinceMs = this.#clock.now() - recentMs;
    return [...this.#seen.values()].filter(({ lastMs }) => lastMs > sinceMs).map(({ lastMs, ...bug }) => bug);
  }

  /** Calls `watcher` with each kind of bug once, when it is first seen. */
  watch(watcher: (bug: Bug) => void): void {
    this.#watchers.add(watcher);
  }

  /** Takes in what was thrown. Never throws itself. */
  report(where: string, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const isFull = this.#seen.size >= bugsMax;
    const message = isFull ? "several further exceptions: see the log" : error.message;
    const key = `${where}: ${error.message}`;
    const known = this.#seen.get(key) ?? (isFull ? this.#seen.get(`${where}: ${message}`) : undefined);
    const at = this.#clock.date().toISOString();
    if (known) {
      Object.assign(known, { times: known.times + 1, lastAt: at, lastMs: this.#clock.now() });
      return;
    }
    const bug: Bug = { where, message, times: 1, firstAt: at, lastAt: at };
    this.#seen.set(`${where}: ${message}`, { ...bug, lastMs: this.#clock.now() });
    this.#log.error({ stack: error.stack }, describeBug(bug));
    for (const watcher of this.#watchers) {
      try {
        watcher(bug);
      } catch (cause) {
        this.#log.error(`a bug could not be told: ${(cause as Error).message}`);
      }
    }
  }

  /** Runs `work`; what it throws is reported, and nothing else happens. */
  guard(where: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.report(where, error);
    }
  }
}

/** One English sentence. */
export function describeBug({ where, message, times }: Bug): string {
  const often = times === 1 ? "" : ` (${times} times)`;
  return `BUG in ${where}${often}: ${message}; recovery goes on, but that part of its work was not done: please report it`;
}
