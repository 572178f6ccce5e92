/** Asking the cloud for the machines, seldom in peace and often in trouble; its failures delay nobody. */
import type { Clock } from "../clock.ts";
import type { Cloud, Instance } from "../cloud/cloud.ts";
import type { Pace } from "./pace.ts";

const pauseMs: Record<Pace, number> = { calm: 5_000, hurry: 500 };
/** After failures in a row the pause grows up to this. */
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
  /** What the last call said when it failed; undefined after a success. */
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

  /** In a hurry, the present pause ends at once. */
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
