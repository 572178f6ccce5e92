/** Two monitors by mistake, with real proxies and redis servers: only one acts. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { monitorId } from "../../../recovery/loop/monitor-id.ts";
import { type Monitor, TestWorld } from "./world.ts";

const [older, younger] = ["2026-11-25T03:00:00.000Z", "2026-11-25T04:00:00.000Z"].map((launchedAt, number) =>
  monitorId({ launchedAt, instanceId: `i-monit-${number}` }),
) as [string, string];

let world: TestWorld;
let monitors: Monitor[];
beforeEach(async () => {
  world = new TestWorld();
  monitors = [];
  await world.startMachines();
});
afterEach(async () => {
  for (const monitor of monitors) await monitor.stop();
  await world.close();
});

async function start(self: string): Promise<Monitor> {
  const monitor = await world.startMonitor({ self, state: self.replaceAll("/", "-") });
  monitors.push(monitor);
  return monitor;
}
const isHealthy = (monitor: Monitor) => monitor.reconciler.status()?.healthy === true;
const sentenceOf = (monitor: Monitor) => monitor.reconciler.status()?.sentence ?? "";
const masterSeenBy = (monitor: Monitor) => monitor.reconciler.status()?.shards[0]?.master ?? undefined;

test("the older one steps back, the younger one heals; when that ends, the older one is at work again", async () => {
  const first = await start(older);
  await world.until("the first monitor's work", () => isHealthy(first));
  const second = await start(younger);
  await world.until("that the first steps back", () => sentenceOf(first).includes("a younger monitor"));
  await world.until("the second monitor's view", () => isHealthy(second));
  const looksOn = { subject: "recovery", situation: "looks-on", because: sentenceOf(first) };
  expect(first.reconciler.plan()).toMatchObject([looksOn]);
  expect(second.reconciler.plan()).toEqual([]);

  const master = await world.until("a master", () => masterSeenBy(second));
  await world.loseMachine(master);
  await world.until("the failover by the second", () => isHealthy(second) && masterSeenBy(second) !== master);
  expect(first.reconciler.journal.openIncidents).toEqual([]);
  expect(world.calls.filter((call) => call === `launch ${master}`)).toHaveLength(1);

  await second.stop();
  await world.until("that the first is at work again", () => isHealthy(first));
  const next = await world.until("a master", () => masterSeenBy(first));
  await world.loseMachine(next);
  await world.until("the failover by the first", () => isHealthy(first) && masterSeenBy(first) !== next);
  expect(world.calls.filter((call) => call === `launch ${next}`)).toHaveLength(1);
});

test("a monitor that starts beside a younger one never acts", async () => {
  const second = await start(younger);
  await world.until("its work", () => isHealthy(second));
  const first = await start(older);
  await world.until("that it steps back", () => sentenceOf(first).includes("a younger monitor"));
  const master = await world.until("a master", () => masterSeenBy(second));
  const log = world.lines.length;
  await world.loseMachine(master);
  await world.until("the failover", () => isHealthy(second) && masterSeenBy(second) !== master);
  const acting = world.lines.slice(log).filter((line) => line.includes(older) && line.includes('"step"'));
  expect(acting).toEqual([]);
  expect(first.reconciler.journal.openIncidents).toEqual([]);
});
