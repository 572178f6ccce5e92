import { afterAll, beforeAll, expect, test } from "vitest";
import { TestWorld } from "./world.ts";

let world: TestWorld;

beforeAll(async () => {
  world = new TestWorld();
  await world.startMachines();
  await world.startRecovery();
});
afterAll(() => world.close());

test("the first start makes redis1 master of every shard and registers everything", async () => {
  const status = await world.untilHealthy();
  for (const shard of status.shards) {
    expect(shard).toMatchObject({ master: "redis1", replica: "redis2", replicaLink: "up" });
    expect(shard.proxies).toEqual({ haproxy1: "redis1", haproxy2: "redis1" });
  }
  expect(world.lines.join("\n")).toContain("the first start");
});
