/**
 * Two masters of the same epoch, and a monitor that has lost its memory: with real redis servers and proxies. The server that the
 * proxies use stays, so that no acknowledged write is lost.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { counterpartOf, type RedisMachine, redisMachines } from "../../../recovery/topology.ts";
import { connectTo, Traffic } from "./traffic.ts";
import { passwords, TestWorld } from "./world.ts";

let world: TestWorld;
beforeEach(async () => {
  world = await TestWorld.healthy({ shards: 1 });
});
afterEach(() => world.close());

const masterNow = () => world.status?.shards[0]?.master ?? undefined;

async function makeMaster(machine: RedisMachine): Promise<void> {
  if (masterNow() === machine) return;
  world.reconciler.orderSwitch(1, machine);
  await world.until(`that ${machine} is master`, () => masterNow() === machine);
  world.reconciler.forgetSwitch(1);
  await world.untilHealthy();
}

async function makeMasterByHand(machine: RedisMachine): Promise<void> {
  const redis = connectTo(world.machine(machine).address, 9001, "recovery", passwords.recoveryPassword);
  try {
    await redis.call("REPLICAOF", "NO", "ONE");
  } finally {
    redis.disconnect();
  }
}

test.each(redisMachines)("%s serves, and its replica is made a master by hand", async (master) => {
  await makeMaster(master);
  const traffic = new Traffic(world.machine("haproxy2").address, 8001);
  await traffic.flowing();
  await world.stopRecovery();
  await rm(join(world.folder, "state"), { recursive: true });
  await makeMasterByHand(counterpartOf(master));
  await traffic.flowing(200);

  await world.startRecovery();
  await world.untilHealthy();
  await traffic.flowing();
  const { errorsAnew } = await traffic.stop();
  const lost = await traffic.lostAt(world.machine(masterNow() ?? master).address, 9001);
  expect(lost, `${lost.length} acknowledged writes lost\n${world.lines.join("\n")}`).toEqual([]);
  expect(masterNow()).toBe(master);
  expect(errorsAnew).toBe(0);
});
