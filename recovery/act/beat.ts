/**
 * The heartbeat ("beat"): a number in each master's data. Recovery raises it as long as it sees the master serve. It is replicated and is
 * in the append-only file. After a power failure of both machines every process counts its replication offset from the beginning.
 * Then the heartbeat tells which file has the later data (rule 3), with a precision of one beat. See docs/decisions/006.
 */
import { masterOfPresentEpoch } from "../decide/view/mastership.ts";
import type { ShardView } from "../decide/view/view.ts";
import { raiseBeat } from "../observe/own-keys.ts";
import type { RedisMachine } from "../topology.ts";
import { commandTimeoutMs, redisOf, type World } from "./world.ts";

/** Milliseconds between two beats. */
export const beatMs = 250;

export class Beats {
  readonly #world: Pick<World, "board" | "clock">;
  /** Shards whose last beat was not answered yet: one that is stuck gets no second one behind it. */
  readonly #underWay = new Set<number>();
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(world: Pick<World, "board" | "clock">) {
    this.#world = world;
  }

  /** One beat for every shard that is served as it should be and is not being acted upon, if it is time. */
  beat(shards: ShardView[], isBusy: (shard: number) => boolean): void {
    const nowMs = this.#world.clock.now();
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + beatMs;
    for (const view of shards) {
      const { index } = view.shard;
      const machine = masterOfPresentEpoch(view);
      if (machine && !isBusy(index) && !this.#underWay.has(index)) void this.#raise(index, machine);
    }
  }

  async #raise(shard: number, machine: RedisMachine): Promise<void> {
    this.#underWay.add(shard);
    try {
      await redisOf(this.#world, machine, shard).run([raiseBeat()], commandTimeoutMs);
    } catch {
      // Whatever is wrong with the server, its watcher sees it too.
    } finally {
      this.#underWay.delete(shard);
    }
  }
}
