/** One redis process fails while its machine lives. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { connectTo, Traffic } from "./traffic.ts";
import { passwords, TestWorld } from "./world.ts";

let world: TestWorld;
let traffic: Traffic;

beforeEach(async () => {
  world = await TestWorld.healthy();
  traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
  traffic.forget();
  world.lines.length = 0;
});
afterEach(async () => {
  await traffic.stop();
  await world.close();
});

const masters = () => world.status?.shards.map(({ master }) => master);

test("a master crashes: its replica takes over, and the restarted process becomes a replica again", async () => {
  await world.machine("redis1").crash(9001);
  await world.until("the takeover", () => masters()?.[0] === "redis2");
  await traffic.flowing();
  world.machine("redis1").startRedis(9001);
  const status = await world.untilHealthy();
  const account = await traffic.stop();
  expect(status.shards.map(({ master }) => master)).toEqual(["redis2", "redis1"]);
  expect(world.calls).toEqual([]);
  expect(account.longestGapMs).toBeLessThan(2_000);
  expect(account.errorsAnew).toBeLessThanOrEqual(1);
  expect(account.errorsPersistent).toBeLessThanOrEqual(1);
  expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
  const incident = status.incidents.at(-1);
  expect(incident).toMatchObject({ machine: "redis1", because: expect.stringContaining("process is gone") });
  expect(incident?.steps.map(({ outcome }) => outcome)).not.toContain(expect.stringContaining("failed"));
});

test("a replica crashes: writes do not notice, and it comes back", async () => {
  await world.machine("redis2").crash(9001);
  await world.until("the verdict", () => world.status?.shards[0]?.replica === null);
  world.machine("redis2").startRedis(9001);
  const status = await world.untilHealthy();
  const account = await traffic.stop();
  expect(status.shards[0]).toMatchObject({ master: "redis1", replica: "redis2", replicaLink: "up" });
  expect(account.errorsAnew + account.errorsPersistent).toBe(0);
  expect(account.longestGapMs).toBeLessThan(500);
});

test("a process that does not come back costs its machine: the other masters leave it without loss, then it is replaced", async () => {
  await world.machine("redis1").crash(9001);
  await world.until("the launch", () => world.calls.includes("launch redis1"));
  const status = await world.untilHealthy();
  expect(status.shards.map(({ master }) => master)).toEqual(["redis2", "redis2"]);
  expect(world.calls).toEqual(["taint redis1", "power off i-redis1-0", "launch redis1"]);
});

test("a master that stops for a second is left alone", async () => {
  world.machine("redis1").stop(9001);
  await world.until("the stall to be seen", () => world.lines.some((line) => line.includes("patience")));
  await new Promise((resolve) => setTimeout(resolve, 800));
  world.machine("redis1").continue(9001);
  await traffic.flowing();
  await world.untilHealthy();
  expect(masters()).toEqual(["redis1", "redis1"]);
  expect(world.status?.incidents.map(({ machine }) => machine)).toEqual(["first start"]);
  expect((await traffic.stop()).errorsAnew).toBe(0);
});

test("a master that hangs for too long is fenced; when it wakes up it is demoted and stays out of the proxies", async () => {
  world.machine("redis1").stop(9001);
  await world.until("the takeover", () => masters()?.[0] === "redis2");
  await traffic.flowing();
  world.machine("redis1").continue(9001);
  const status = await world.untilHealthy();
  const account = await traffic.stop();
  expect(status.shards[0]).toMatchObject({ master: "redis2", replica: "redis1", replicaLink: "up" });
  expect(status.shards[0]?.proxies).toEqual({ haproxy1: "redis2", haproxy2: "redis2" });
  expect(world.calls).toEqual([]);
  expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
  expect(account.errorsPersistent).toBeLessThanOrEqual(1);
});

/** What a client sends, and does not get an answer to. */
function runForever(machine: RedisMachine, script: string) {
  const client = connectTo(world.machine(machine).address, 9001);
  client.call("EVAL", script, "0").catch(() => {});
  return client;
}

test("a client's script does not end, twice: it is killed, and the shard heals alone", async () => {
  for (const [from, to] of [
    ["redis1", "redis2"],
    ["redis2", "redis1"],
  ] as const) {
    const client = runForever(from, "while true do end");
    await world.until("the takeover", () => masters()?.[0] === to);
    const status = await world.untilHealthy();
    expect(status.shards[0]).toMatchObject({ master: to, replica: from, replicaLink: "up" });
    client.disconnect();
  }
  await traffic.flowing();
  expect(world.calls).toEqual([]);
  await traffic.stop();
  expect(await traffic.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
}, 120_000);

test("a script that has written cannot be killed: its process is ended, and comes back as a replica", async () => {
  const client = runForever("redis1", "redis.call('SET', 'half', 1) while true do end");
  await world.until("the takeover", () => masters()?.[0] === "redis2");
  await world.until("the end of the process", () => world.machine("redis1").process(9001).exitCode !== null);
  world.machine("redis1").startRedis(9001);
  const status = await world.untilHealthy();
  expect(status.shards[0]).toMatchObject({ master: "redis2", replica: "redis1", replicaLink: "up" });
  expect(world.calls).toEqual([]);
  client.disconnect();
  const reader = connectTo(world.machine("redis2").address, 9001);
  expect(await reader.get("half")).toBeNull();
  reader.disconnect();
}, 120_000);

test("a replica that somebody made master by hand becomes a replica again", async () => {
  const admin = connectTo(world.machine("redis2").address, 9001, "recovery", passwords.recoveryPassword);
  await admin.call("REPLICAOF", "NO", "ONE");
  admin.disconnect();
  await world.until("the second master to be seen", () =>
    world.lines.some((line) => line.includes("is a master too")),
  );
  const status = await world.untilHealthy();
  const account = await traffic.stop();
  expect(status.shards[0]).toMatchObject({ master: "redis1", replica: "redis2", replicaLink: "up" });
  expect(account.errorsAnew + account.errorsPersistent).toBe(0);
});

test("both servers of a shard crash: traffic waits until the one with the newest data is back", async () => {
  await world.machine("redis2").crash(9001);
  await world.until("the replica's verdict", () => world.status?.shards[0]?.replica === null);
  await traffic.flowing(); // only redis1 has these
  await world.machine("redis1").crash(9001);
  world.machine("redis2").startRedis(9001);
  await world.until("recovery to hold", () => world.lines.some((line) => line.includes("lagged behind")));
  world.machine("redis1").startRedis(9001);
  const status = await world.untilHealthy();
  expect(status.shards[0]?.master).toBe("redis1");
  await traffic.flowing();
  await traffic.stop();
  expect(await traffic.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
});
