/**
 * The life of one process of the monitor. What reaches it (an answer, the end of a pause) waits while the process is stopped;
 * a dead process is reached by nothing.
 */
import type { Clock } from "../../recovery/clock.ts";
import type { Scheduler } from "./scheduler.ts";

export class Life {
  readonly #scheduler: Scheduler;
  ended = false;
  #isStopped = false;
  /** What came while the process was stopped. As in Node's event loop, timers are heard before connections. */
  #timers: (() => void)[] = [];
  #answers: (() => void)[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** The clock that the process looks at. */
  readonly clock: Clock = {
    now: () => this.#scheduler.nowMs,
    date: () => new Date(this.#scheduler.wallMs),
    sleep: (ms, signal) => this.#sleep(ms, signal),
  };

  /** Something arrives at the process: it settles promises, whose reactions come at once. */
  reach(run: () => void): void {
    if (this.ended) return;
    if (this.#isStopped) {
      this.#answers.push(run);
      return;
    }
    this.#scheduler.awaited();
    run();
  }

  stop(): void {
    this.#isStopped = true;
  }

  goOn(): void {
    this.#isStopped = false;
    for (const run of [...this.#timers, ...this.#answers]) this.#scheduler.in(0, () => this.reach(run));
    this.#timers = [];
    this.#answers = [];
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const callOff = () => {
        planned.isCalledOff = true;
        resolve();
      };
      const planned = this.#scheduler.in(ms, () => {
        signal?.removeEventListener("abort", callOff);
        if (this.#isStopped) this.#timers.push(resolve);
        else this.reach(resolve);
      });
      signal?.addEventListener("abort", callOff, { once: true });
    });
  }
}
