/** What single steps tell redis servers and proxies, and when: each of these has survived a mutation once. */
import { expect, test } from "vitest";
import { drain } from "../../../recovery/act/drain.ts";
import { fence } from "../../../recovery/act/fence.ts";
import { pauseWrites, resumeWrites } from "../../../recovery/act/paused-writes.ts";
import { promote } from "../../../recovery/act/promote.ts";
import { setServers } from "../../../recovery/act/proxies.ts";
import { cut, release } from "../../../recovery/act/release.ts";
import { addressOf, proxyOf, redisOf, shardOf, type World } from "../../../recovery/act/world.ts";
import { replicaInfo, topologyOf } from "../world-of-facts.ts";
import { FakeWorld, session } from "./fake-world.ts";

const shard = 1;
const raising7 = "EVAL (script) 1 barton:epoch 7";
const promoting = { shard, machine: "redis2", epoch: 7 } as const;

test("promote: the epoch is in the same round trip, and the server must say that it is master", async () => {
  const bench = new FakeWorld();
  bench.replies = { ROLE: ["master", 100, []], [raising7]: "7" };
  await promote(bench.world, promoting);
  expect(bench.told).toEqual([
    "0 redis2: REPLICAOF NO ONE",
    "0 redis2: CLIENT UNPAUSE",
    "0 redis2: EVAL (script) 1 barton:epoch 7",
    "0 redis2: ROLE",
  ]);
  expect(bench.remembered).toEqual([{ event: "promoted", ...promoting, instanceId: "i-redis2" }]);
});

test.each([[["slave", "10.42.1.11", 9001, "connected", 100]], ["OK"], [null]])(
  "promote: a server that answers %j to ROLE was not promoted",
  async (role) => {
    const bench = new FakeWorld();
    bench.replies = { ROLE: role, [raising7]: "7" };
    await expect(promote(bench.world, promoting)).rejects.toThrow("redis2 did not become master of shard 1");
    expect(bench.remembered).toEqual([]);
  },
);

test("promote: a server in whose data a later promotion is was not promoted", async () => {
  const bench = new FakeWorld();
  bench.replies = { ROLE: ["master", 100, []], [raising7]: "8" };
  await expect(promote(bench.world, promoting)).rejects.toThrow(
    "redis2 has epoch 8 of shard 1: another promotion came later than number 7",
  );
  expect(bench.remembered).toEqual([]);
});

test.each([
  [{ loading: true }, "it loads its data"],
  [{ follows: { host: "10.42.1.11", port: 9001, linkUp: false, syncing: true } }, "it receives a copy"],
  [{ epoch: 7 }, "its data are of epoch 7, not older than 7"],
  [{ epoch: undefined }, "its epoch cannot be read"],
])("promote: a server that says %j by now is told nothing", async (info, why) => {
  const bench = new FakeWorld();
  bench.answers.redis2 = { info: { ...replicaInfo("redis1", 9001), ...info } };
  bench.replies = { ROLE: ["master", 100, []] };
  await expect(promote(bench.world, promoting)).rejects.toThrow(`redis2 is not promoted for shard 1: ${why}`);
  expect(bench.told).toEqual([]);
  expect(bench.remembered).toEqual([]);
});

test("pause and resume: of writes alone, and for four seconds at most", async () => {
  const bench = new FakeWorld();
  await pauseWrites(bench.world, { shard, machine: "redis1" });
  await resumeWrites(bench.world, { shard, machine: "redis1" });
  expect(bench.told).toEqual(["0 redis1: CLIENT PAUSE 4000 WRITE", "0 redis1: CLIENT UNPAUSE"]);
});

test("fence: out, then its established sessions, and no other ones, are cut until none is left", async () => {
  const bench = new FakeWorld();
  bench.facts.lines("haproxy1", 1).redis1.traffic = {
    ...bench.facts.lines("haproxy1", 1).redis1.traffic,
    ready: false,
    maintenance: true,
  };
  const others = [session("0x2", "redis1", false), session("0x3", "redis2")];
  bench.listings = [[session("0x1", "redis1"), ...others], [session("0x1", "redis1"), ...others], others];
  await fence(bench.world, { shard, machine: "redis1", proxies: ["haproxy1"] });
  expect(bench.told).toEqual([
    "0 haproxy1: set server shard1/redis1 state maint",
    "0 haproxy1: next generation of shard 1",
    "0 haproxy1: cut 0x1",
    "5 haproxy1: cut 0x1",
  ]);
});

test("fence: sessions that fifty cuts do not end are no fence", async () => {
  const bench = new FakeWorld();
  bench.listings = [[session("0x1", "redis1")]];
  const fenced = fence(bench.world, { shard, machine: "redis1", proxies: ["haproxy1"] });
  await expect(fenced).rejects.toThrow(
    "haproxy1 still has sessions with redis1 for shard 1 after 50 attempts to cut them",
  );
  expect(bench.told.filter((line) => line.endsWith("cut 0x1"))).toHaveLength(50);
});

test("cut: not before every attempt to connect has ended, on every proxy", async () => {
  const bench = new FakeWorld();
  bench.listings = [[session("0x1", "redis1")], [session("0x1", "redis1")], []];
  await cut(bench.world, { shard, machine: "redis1", proxies: ["haproxy1", "haproxy2"] });
  const { connectTimeoutMs } = bench.world.topology.detection;
  expect(bench.told).toEqual([
    `${connectTimeoutMs + 50} haproxy1: cut 0x1`,
    `${connectTimeoutMs + 50} haproxy2: cut 0x1`,
  ]);
});

test("release: the other server is out first", async () => {
  const bench = new FakeWorld();
  await release(bench.world, { shard, machine: "redis2", proxies: ["haproxy1"] });
  expect(bench.told.map((line) => line.replace(/^0 haproxy1: set server /, ""))).toEqual([
    "shard1/redis1 state maint",
    "shard1/redis2 state maint",
    "shard1/redis2 addr 10.42.2.12 port 9001",
    "shard1/redis2 weight 100%",
    "shard1/redis2 health up",
    "shard1/redis2 state ready",
  ]);
});

test("release: one proxy that fails does not hold up the other, and is in the log", async () => {
  const bench = new FakeWorld();
  bench.proxyFaults = { haproxy2: "no answer" };
  await release(bench.world, { shard, machine: "redis2", proxies: ["haproxy1", "haproxy2"] });
  expect(bench.told).toHaveLength(6);
  expect(bench.logged).toEqual([[{ failure: "Error: no answer" }, "a proxy was not released"]]);
});

test("release: it failed when no proxy took it; without proxies there is nothing that could", async () => {
  const bench = new FakeWorld();
  bench.proxyFaults = { haproxy1: "no answer", haproxy2: "refused" };
  const order = { shard, machine: "redis2" } as const;
  await expect(release(bench.world, { ...order, proxies: ["haproxy1", "haproxy2"] })).rejects.toThrow(
    "Error: no answer; Error: refused",
  );
  await release(bench.world, { ...order, proxies: [] });
});

test("what lets traffic go names the generation of the shard's lines; what stops it does not", async () => {
  const bench = new FakeWorld();
  bench.generation = "7";
  await release(bench.world, { shard, machine: "redis2", proxies: ["haproxy1"] });
  const line = { shard, line: "traffic" } as const;
  await setServers(bench.world, {
    proxy: "haproxy1",
    changes: [
      { ...line, machine: "redis1", ready: true },
      { ...line, machine: "redis2", ready: false },
      { shard, line: "probe", machine: "redis1", ready: true },
    ],
  });
  expect(bench.told).toEqual([
    "0 haproxy1: set server shard1/redis1 state maint",
    "0 haproxy1: use server 7 shard1/redis2 10.42.2.12 9001",
    "0 haproxy1: use server 7 shard1/redis1",
    "0 haproxy1: set server shard1/redis2 state maint",
    "0 haproxy1: set server probe1/redis1 state ready",
  ]);
});

test("set servers: sessions are cut with a server that is taken out, and before a line moves, with nobody else", async () => {
  const bench = new FakeWorld();
  const line = { shard, line: "traffic" } as const;
  const twin = { address: "10.42.2.22", port: 8001 };
  bench.listings = [[session("0x1", "redis1")], [], [session("0x2", "redis2")], []];
  await setServers(bench.world, {
    proxy: "haproxy1",
    changes: [
      { ...line, machine: "redis1", address: twin, ready: true, cut: true },
      { ...line, machine: "redis2", ready: false },
      { shard, line: "probe", machine: "redis1", ready: false },
    ],
  });
  expect(bench.told.map((told) => told.replace(/^\d+ haproxy1: (set server )?/, ""))).toEqual([
    "shard1/redis1 state maint",
    "cut 0x1",
    "shard1/redis1 state maint",
    "shard1/redis1 addr 10.42.2.22 port 8001",
    "shard1/redis1 weight 100%",
    "shard1/redis1 health up",
    "shard1/redis1 state ready",
    "shard1/redis2 state maint",
    "probe1/redis1 state maint",
    "cut 0x2",
  ]);
});

test.each([
  ["sessions that end: not longer than they last", [[session("0x1", "redis1")], []], 5],
  ["sessions that stay: 0.1 s", [[session("0x1", "redis1")]], 100],
  ["other servers' sessions are not waited for", [[session("0x1", "redis2")]], 0],
  [
    "one that is connecting for 50 ms: 0.1 s from then on",
    [...Array(11).fill([session("0x1", "redis1", false)]), [session("0x1", "redis1")]],
    150,
  ],
  [
    "one that is connecting beside one that stays: 0.1 s from its last attempt on",
    [
      ...Array(11).fill([session("0x1", "redis1"), session("0x2", "redis1", false)]),
      [session("0x1", "redis1")],
    ],
    150,
  ],
  ["connecting for ever: until haproxy has given it up", [[session("0x1", "redis1", false)]], 300],
])("drain: %s", async (_, listings, waitedMs) => {
  const bench = new FakeWorld();
  bench.listings = listings;
  await drain(bench.world, { shard, machine: "redis1", proxies: ["haproxy1"] });
  expect(bench.told).toEqual(["0 haproxy1: set server shard1/redis1 state maint"]);
  expect(bench.nowMs).toBe(waitedMs);
});

test.each<[string, (world: World) => unknown, string]>([
  ["a proxy", (world) => proxyOf(world, "haproxy1"), "haproxy1 has no address yet"],
  ["a redis server", (world) => redisOf(world, "redis1", 1), "redis1 has no address yet"],
  ["a machine", (world) => addressOf(world, "redis2"), "redis2 has no address yet"],
  ["a shard", (world) => shardOf(world, 9), "the topology has no shard 9"],
])("%s that is not there yet: the step fails with a sentence", (_, ask, message) => {
  const { world, facts } = new FakeWorld();
  delete facts.facts.machines.redis2.address;
  const board = { ...world.board, proxy: () => undefined, redis: () => undefined };
  expect(() => ask({ ...world, board } as unknown as World)).toThrow(message);
});

test("each shard has its own port", () => {
  const { world } = new FakeWorld();
  expect(shardOf({ ...world, topology: topologyOf(2) }, 2).redisPort).toBe(9002);
});
