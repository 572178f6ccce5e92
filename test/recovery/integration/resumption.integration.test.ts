/** Rule 6: every step may be the last. The monitor ends after each step in turn; the next one finishes the job. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Traffic } from "./traffic.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
beforeEach(async () => {
  // A month of failures in a minute, which the budget (rule 8) would rightly hold; it has a test of its own.
  world = await TestWorld.healthy({ limits: { replacementsPerHourMax: 100 } });
});
afterEach(() => world.close());

const masterNow = () => world.status?.shards[0]?.master ?? "redis1";

/**
 * Loses a machine and ends the monitor after step number `position` of the recovery; another one finishes.
 * Tells whether there was such a step.
 */
async function endAfterStep(machine: "redis1" | "redis2" | "haproxy1", position: number): Promise<boolean> {
  await world.stopRecovery();
  world.calls.length = 0;
  world.lines.length = 0;
  let steps = 0;
  let ended: Promise<void> | undefined;
  const traffic = new Traffic(world.machine("haproxy2").address, 8001);
  await traffic.flowing();
  await world.startRecovery(() => {
    if (steps++ === position) ended = world.stopRecovery();
  });
  await world.untilHealthy();
  await world.loseMachine(machine);
  const isLaunched = () => world.calls.includes(`launch ${machine}`);
  await world.until("the end of the monitor or of the job", () => {
    return ended !== undefined || (isLaunched() && world.status?.healthy === true);
  });
  const wasEnded = ended !== undefined;
  if (wasEnded) {
    await ended;
    await world.startRecovery();
    await world.until("the launch", isLaunched);
    await world.untilHealthy();
  }
  await traffic.flowing();
  const account = await traffic.stop();
  expect(account.errorsAnew).toBeLessThanOrEqual(1);
  const lost = await traffic.lostAt(world.machine(masterNow()).address, 9001);
  expect(lost, `${lost.length} lost after step ${position}\n${world.lines.join("\n")}`).toEqual([]);
  return wasEnded;
}

test("the monitor ends after every single step of replacing the master's machine", async () => {
  let position = 0;
  while (await endAfterStep(masterNow(), position)) position += 1;
  expect(position).toBeGreaterThan(8);
});

test("the monitor ends after every single step of replacing a proxy", async () => {
  let position = 0;
  while (await endAfterStep("haproxy1", position)) position += 1;
  expect(position).toBeGreaterThan(4);
});
