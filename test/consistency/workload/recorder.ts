/** The history as it grows: a line per operation, and counts for whoever watches. */
import { createWriteStream, type WriteStream } from "node:fs";
import { durationOf, isWrite, now, type Operation } from "../history.ts";
import type { Tick } from "./spec.ts";

export class Recorder {
  readonly #file: WriteStream;
  #operations = 0;
  #since = now();
  #shards: Tick["shards"] = {};

  constructor(path: string) {
    this.#file = createWriteStream(path, { mode: 0o600 });
  }

  get operations(): number {
    return this.#operations;
  }

  record(operation: Operation): void {
    this.#operations += 1;
    this.#file.write(`${JSON.stringify(operation)}\n`);
    const shard = this.#shard(operation.shard);
    if (operation.outcome !== "ok") shard.errors += 1;
    else if (isWrite(operation)) shard.writes += 1;
    shard.slowestMs = Math.max(shard.slowestMs, Math.round(durationOf(operation)));
  }

  #shard(index: number | string) {
    const shard = this.#shards[index] ?? { writes: 0, errors: 0, slowestMs: 0 };
    this.#shards[index] = shard;
    return shard;
  }

  /** What happened since the last tick. `waiting`: how long somebody has been waiting now, in milliseconds, per shard. */
  tick(waiting: Record<string, number>): Tick {
    const at = now();
    for (const [index, ms] of Object.entries(waiting)) {
      const shard = this.#shard(index);
      shard.slowestMs = Math.max(shard.slowestMs, Math.round(ms));
    }
    const tick = { at, ms: at - this.#since, shards: this.#shards };
    this.#since = at;
    this.#shards = {};
    return tick;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#file.end(resolve));
  }
}
