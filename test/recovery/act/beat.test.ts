/** The heartbeat: which masters get one, and when. */
import { expect, test } from "vitest";
import { Beats } from "../../../recovery/act/beat.ts";
import type { World as ActWorld } from "../../../recovery/act/world.ts";
import { viewShard } from "../../../recovery/decide/view/view.ts";
import { raiseBeat } from "../../../recovery/observe/own-keys.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { World } from "../world-of-facts.ts";

const isBeat = (words: string[]) => words.join(" ") === raiseBeat().join(" ");

class Bench {
  nowMs = 0;
  readonly beats: string[] = [];
  readonly world = new World();
  answer: () => Promise<unknown> = async () => {};
  readonly #beats = new Beats({
    clock: { now: () => this.nowMs },
    board: {
      redis: (machine: RedisMachine, shard: number) => ({
        run: async ([words = []]: string[][]) => {
          this.beats.push(`${machine}/${shard}: ${isBeat(words) ? "beat" : words}`);
          await this.answer();
        },
      }),
    },
  } as unknown as ActWorld);

  /** One cycle at this moment, and what was told in it. */
  async at(nowMs: number, busy: number[] = []): Promise<string[]> {
    this.nowMs = nowMs;
    this.beats.length = 0;
    const { facts, memory } = this.world;
    const known = { facts, memory, limits: defaultLimits };
    const views = facts.topology.shards.map((shard) => viewShard(known, shard));
    this.#beats.beat(views, (shard) => busy.includes(shard));
    await new Promise((resolve) => setImmediate(resolve));
    return [...this.beats];
  }
}

const both = ["redis1/1: beat", "redis1/2: beat"];

test("every serving master gets one beat each quarter of a second", async () => {
  const bench = new Bench();
  expect(await bench.at(0)).toEqual(both);
  expect(await bench.at(249)).toEqual([]);
  expect(await bench.at(250)).toEqual(both);
});

test("none while the shard is being acted upon, or without a master of the present epoch", async () => {
  const bench = new Bench();
  expect(await bench.at(0, [1])).toEqual(both.slice(1));
  bench.world.remembered(2).epoch = 2;
  expect(await bench.at(250)).toEqual(both.slice(0, 1));
});

test("a beat that is not answered gets no second one behind it; one that failed does", async () => {
  const bench = new Bench();
  let fail = () => {};
  bench.answer = () => new Promise((_, reject) => (fail = () => reject(new Error("gone"))));
  expect(await bench.at(0, [2])).toEqual(both.slice(0, 1));
  expect(await bench.at(250, [2])).toEqual([]);
  fail();
  await new Promise((resolve) => setImmediate(resolve));
  expect(await bench.at(500, [2])).toEqual(both.slice(0, 1));
});
