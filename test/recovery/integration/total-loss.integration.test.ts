/** Both redis machines are lost at once, and come back with what is on their data volumes. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownDatabase } from "../../../recovery/observe/own-keys.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { connectTo, Traffic } from "./traffic.ts";
import { passwords, TestWorld } from "./world.ts";

let world: TestWorld;
let traffic: Traffic;

beforeEach(async () => {
  world = await TestWorld.healthy();
  traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
});
afterEach(async () => {
  await traffic.stop();
  await world.close();
});

async function beatOf(machine: RedisMachine): Promise<number> {
  const redis = connectTo(world.machine(machine).address, 9001, "recovery", passwords.recoveryPassword);
  try {
    await redis.select(ownDatabase);
    return Number(await redis.get("barton:beat"));
  } finally {
    redis.disconnect();
  }
}

test("the beat grows in the master's data and travels to its replica", async () => {
  const before = await beatOf("redis2");
  await world.until("the beat on the replica", async () => (await beatOf("redis2")) > before + 2);
});

test("both lose their power: both are replaced, nothing is lost, traffic has waited", async () => {
  await Promise.all([world.loseMachine("redis1"), world.loseMachine("redis2")]);
  // By one run, or, where monit has still heard one of them when it gave up the other, by two.
  const launched = () =>
    world.calls.flatMap((call) =>
      call.startsWith("launch ") ? call.slice("launch ".length).split(",") : [],
    );
  await world.until("the launch of both", () =>
    ["redis1", "redis2"].every((one) => launched().includes(one)),
  );
  await world.untilHealthy();
  await traffic.flowing();
  const account = await traffic.stop();
  const master = world.status?.shards[0]?.master as RedisMachine;
  expect(await traffic.lostAt(world.machine(master).address, 9001)).toEqual([]);
  expect(account.errorsAnew).toBeLessThanOrEqual(1);
  expect(account.errorsPersistent).toBeLessThanOrEqual(1);
});

test("the file that reaches further wins", async () => {
  await world.machine("redis2").crash(9001);
  await world.until("the replica's verdict", () => world.status?.shards[0]?.replica === null);
  const before = await beatOf("redis1");
  await world.until("beats that only redis1 has", async () => (await beatOf("redis1")) > before + 4);
  await traffic.flowing();
  await Promise.all([world.loseMachine("redis1"), world.loseMachine("redis2")]);
  const status = await world.untilHealthy();
  expect(status.shards[0]?.master).toBe("redis1");
  await traffic.flowing();
  await traffic.stop();
  expect(await traffic.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
});
