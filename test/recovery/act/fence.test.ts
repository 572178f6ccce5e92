/** What counts as a fence: integration tests see only proxies that do what they are told. */
import { expect, test } from "vitest";
import { cutEstablished, fence } from "../../../recovery/act/fence.ts";
import type { World } from "../../../recovery/act/world.ts";
import { systemClock } from "../../../recovery/clock.ts";
import { World as FactsWorld } from "../world-of-facts.ts";
import { FakeWorld, session } from "./fake-world.ts";

/** A proxy that answers nothing to commands, has no sessions, and goes on saying this of redis1's line. */
function worldWhere(line: { ready: boolean; maintenance: boolean }): World {
  const facts = new FactsWorld();
  Object.assign(facts.lines("haproxy1", 1).redis1.traffic, line);
  const { view } = facts.facts.proxies.haproxy1;
  const link = {
    tell: async () => {},
    nextGeneration: async () => {},
    sessions: async () => [],
    ask: async () => ({ view }),
  };
  return { board: { proxy: () => link }, clock: systemClock } as unknown as World;
}

/** A clock on which no wait takes time. */
const hurried = { ...systemClock, sleep: async () => {} };

const order = { shard: 1, machine: "redis1", proxies: ["haproxy1"] } as const;
const fenceIn = (world: World) => fence(world, { ...order, proxies: [...order.proxies] });

test("a line in maintenance is fenced", async () => {
  await fenceIn(worldWhere({ ready: false, maintenance: true }));
});

test.each([
  ["drains, or has no weight", { ready: false, maintenance: false }],
  ["is in use", { ready: true, maintenance: false }],
])("a line that %s is not", async (_, line) => {
  await expect(fenceIn(worldWhere(line))).rejects.toThrow(
    "haproxy1 did not confirm that redis1 is out for shard 1",
  );
});

test("a proxy that does not know the shard, or does not answer, has confirmed nothing", async () => {
  const world = worldWhere({ ready: false, maintenance: true });
  const silent = { proxy: () => ({ ...world.board.proxy("haproxy1"), ask: () => new Promise(() => {}) }) };
  const at = (board: unknown) => ({ ...world, clock: hurried, board }) as World;
  const message = "haproxy1 did not confirm that redis1 is out for shard 1";
  await expect(fenceIn(at(silent))).rejects.toThrow(message);
  const without = {
    proxy: () => ({ ...world.board.proxy("haproxy1"), ask: async () => ({ view: { shards: {} } }) }),
  };
  await expect(fenceIn(at(without))).rejects.toThrow(message);
});

const many = (count: number) => Array.from({ length: count }, (_, i) => session(`s${i}`, "redis1"));
const cutIn = async (...listings: FakeWorld["listings"]) => {
  const fake = new FakeWorld();
  fake.listings = listings;
  await cutEstablished(fake.world, "haproxy1", { shard: 1, machine: "redis1" });
  return fake.told;
};

test("few sessions are cut one by one, those that are connecting are spared", async () => {
  const connecting = session("new", "redis1", false);
  expect(await cutIn([...many(2), connecting], [connecting])).toEqual(["0 haproxy1: cut s0,s1"]);
});

test("thousands of sessions are cut by one command", async () => {
  expect(await cutIn(many(9000), [])).toEqual(["0 haproxy1: cut all of shard1/redis1"]);
});

test("thousands of sessions beside one that is connecting: all are cut when that one has failed or is connected", async () => {
  const connecting = session("new", "redis1", false);
  // connectTimeoutMs and a little.
  expect(await cutIn([...many(9000), connecting], [])).toEqual(["220 haproxy1: cut all of shard1/redis1"]);
});

test("sessions that do not go: the fence fails, after three seconds if each list takes a second", async () => {
  const after = (attempts: number) =>
    `haproxy1 still has sessions with redis1 for shard 1 after ${attempts} attempts to cut them`;
  await expect(cutIn(many(9000))).rejects.toThrow(after(50));
  const slow = new FakeWorld();
  slow.listings = [many(9000)];
  const proxy = slow.world.board.proxy("haproxy1");
  const sessions = async () => {
    slow.nowMs += 1_000;
    return many(9000);
  };
  const world = { ...slow.world, board: { ...slow.world.board, proxy: () => ({ ...proxy, sessions }) } };
  await expect(
    cutEstablished(world as unknown as World, "haproxy1", { shard: 1, machine: "redis1" }),
  ).rejects.toThrow(after(3));
});
