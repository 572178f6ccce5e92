/** Asks the cloud for the machines: every 5 s, or twice a second while not all is settled. Failures of the cloud delay nobody. */
import type { Clock } from "../clock.ts";
import type { Cloud, Instance } from "../cloud/cloud.ts";
import type { Pace } from "./pace.ts";

const pauseMs: Record<Pace, number> = { calm: 5_000, hurry: 500 };
/** Failures in a row double the pause, up to this (milliseconds). */
const pauseMaxMs = 10_000;

export interface CloudWatcherOptions {
  cloud: Cloud;
  clock: Clock;
  onView: (instances: Instance[]) => void;
}

export class CloudWatcher {
  readonly #options: CloudWatcherOptions;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #pace: Pace = "calm";
  #failures = 0;
  /** Why the last call failed; undefined after a success. */
  trouble: string | undefined;

  constructor(options: CloudWatcherOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#loop();
  }

  stop(): void {
    this.#stop.abort();
    this.#wake.abort();
  }

  /** A change to `hurry` ends the present pause at once. */
  setPace(pace: Pace): void {
    if (pace === "hurry" && this.#pace === "calm") this.#wake.abort();
    this.#pace = pace;
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#look();
      if (this.#stop.signal.aborted) return;
      this.#wake = new AbortController();
      const grown = pauseMs[this.#pace] * 2 ** Math.min(this.#failures, 6);
      await this.#options.clock.sleep(Math.min(grown, pauseMaxMs), this.#wake.signal);
    }
  }

  async #look(): Promise<void> {
    try {
      const instances = await this.#options.cloud.describe();
      this.#failures = 0;
      this.trouble = undefined;
      if (!this.#stop.signal.aborted) this.#options.onView(instances);
    } catch (error) {
      this.#failures += 1;
      this.trouble = `the cloud's API fails (${this.#failures} times in a row): ${(error as Error).message}`;
    }
  }
}
