/** Rule 6: every step may be the last. The monitor ends after each step in turn; the next one finishes the job. */
import { afterEach, expect, test } from "vitest";
import { Traffic } from "./traffic.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
afterEach(() => world.close());

/** Ends the monitor after step number `position` of the recovery from a lost machine; tells whether there was one. */
async function endAfterStep(machine: "redis1" | "haproxy1", position: number): Promise<boolean> {
  world = new TestWorld();
  await world.startMachines();
  await world.startRecovery();
  await world.untilHealthy();
  await world.stopRecovery();
  let steps = 0;
  let ended: Promise<void> | undefined;
  const traffic = new Traffic(world.machine("haproxy2").address, 8001);
  await traffic.flowing();
  await world.startRecovery(() => {
    if (steps++ === position) ended = world.stopRecovery();
  });
  const isDone = () => world.calls.includes(`launch ${machine}`) && world.status?.healthy === true;
  await world.until("sight", () => world.status?.healthy);
  await world.loseMachine(machine);
  await world.until("the end of the monitor or of the job", () => ended !== undefined || isDone());
  const wasEnded = ended !== undefined;
  if (wasEnded) {
    await ended;
    await world.startRecovery();
    await world.until("the launch", () => world.calls.includes(`launch ${machine}`));
    await world.untilHealthy();
  }
  await traffic.flowing();
  const account = await traffic.stop();
  expect(account.errorsAnew).toBeLessThanOrEqual(1);
  const master = world.status?.shards[0]?.master ?? "redis1";
  const lost = await traffic.lostAt(world.machine(master).address, 9001);
  expect(lost, `${lost.length} lost after step ${position}\n${world.lines.join("\n")}`).toEqual([]);
  return wasEnded;
}

test.each(["redis1", "haproxy1"] as const)(
  "the monitor ends after every single step of replacing %s",
  async (machine) => {
    let position = 0;
    while (await endAfterStep(machine, position)) {
      await world.close();
      position += 1;
    }
    expect(position).toBeGreaterThan(machine === "redis1" ? 8 : 4);
  },
);
