/** `barton roll` through the monitor's socket: real servers are replaced one by one while clients write. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type RollTools, roll } from "../../../recovery/cli/roll.ts";
import { systemClock } from "../../../recovery/clock.ts";
import { getView, order } from "../../../recovery/control/client.ts";
import { rollReason } from "../../../recovery/decide/memory/memory.ts";
import type { Step } from "../../../recovery/decide/steps.ts";
import type { Status } from "../../../recovery/report/status.ts";
import { type MachineName, machineNames, type Topology } from "../../../recovery/topology.ts";
import { Traffic } from "./traffic.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
let socket: string;
const said: string[] = [];

beforeEach(async () => {
  said.length = 0;
  world = await TestWorld.healthy();
  socket = await world.serveSocket();
});
afterEach(() => world.close());

/** What the first generation was made from is outdated. */
function topology(): Topology {
  const { machines, ...rest } = world.topology;
  const built = (name: MachineName) => {
    const machine = machines[name];
    const isFirst = machine.instanceId.endsWith("-0");
    return [name, { ...machine, build: isFirst ? "old" : "new", wantedBuild: "new" }] as const;
  };
  return { ...rest, machines: Object.fromEntries(machineNames.map(built)) as Topology["machines"] };
}

const tools = (signal = new AbortController().signal): RollTools => ({
  topology: async () => topology(),
  status: () => getView<Status>(socket, "status", 2_000),
  switchover: (machine) => order(socket, "switchover", machine, (line) => said.push(line)),
  failover: (machine) => order(socket, "failover", machine, (line) => said.push(line), rollReason),
  clock: systemClock,
  say: (line) => void said.push(line),
  signal,
});

const launches = () => world.calls.filter((call) => call.startsWith("launch"));

test("both redis machines, then the proxies: writes see no error and nothing is lost", async () => {
  const traffic = [8001, 8002].map((port) => new Traffic(world.machine("haproxy1").address, port));
  await Promise.all(traffic.map((one) => one.flowing()));
  for (const one of traffic) one.forget();
  const redis = await roll(tools(), ["redis1", "redis2"]);
  expect(redis).toMatchObject({ ok: true, message: "replaced: redis2, redis1" });
  expect(launches()).toEqual(["launch redis2", "launch redis1"]);
  expect(said.filter((line) => line.includes("is new and well"))).toHaveLength(2);
  await Promise.all(traffic.map((one) => one.flowing()));
  for (const [position, one] of traffic.entries()) {
    const account = await one.stop();
    expect(account.errorsAnew).toBe(0);
    expect(account.longestGapMs).toBeLessThan(1_500);
    expect(await one.lostAt(world.machine("redis2").address, 9001 + position)).toEqual([]);
  }
  expect(world.status?.shards.map(({ master }) => master)).toEqual(["redis2", "redis2"]);

  const proxies = await roll(tools(), ["haproxy1", "haproxy2"]);
  expect(proxies).toMatchObject({ ok: true, message: "replaced: haproxy2, haproxy1" });
  expect(await roll(tools(), ["redis1", "redis2", "haproxy1", "haproxy2"])).toMatchObject({
    ok: true,
    message: "nothing to replace: every machine is as the last up would make it",
  });
  expect(world.reconciler.gauges().replacements).toEqual([]);
});

test("the proxy that app uses leaves: requests under way on it may end", async () => {
  // Many at once, so that some are always under way.
  const app = world.machine("app").address;
  const traffic = Array.from({ length: 12 }, (_, lane) => new Traffic(app, 7001 + (lane % 2)));
  await Promise.all(traffic.map((one) => one.flowing()));
  for (const one of traffic) one.forget();
  expect(await roll(tools(), ["haproxy1"])).toMatchObject({ ok: true, message: "replaced: haproxy1" });
  await Promise.all(traffic.map((one) => one.flowing()));
  const errors = (await Promise.all(traffic.map((one) => one.stop()))).map(({ errorsAnew }) => errorsAnew);
  expect(errors).toEqual(errors.map(() => 0));
});

test("Ctrl-C in the middle: the monitor finishes the machine under way, and a second roll does the rest", async () => {
  const stop = new AbortController();
  const interrupted = roll(tools(stop.signal), ["redis1", "redis2"]);
  await world.until("the first machine's end", () =>
    said.some((line) => line.startsWith("stop monitoring redis2: done")),
  );
  stop.abort();
  expect(await interrupted).toMatchObject({
    ok: false,
    message: expect.stringContaining("the monitor finishes redis2"),
  });
  await world.untilHealthy();
  expect(launches()).toEqual(["launch redis2"]);
  expect(await roll(tools(), ["redis1", "redis2"])).toMatchObject({ ok: true, message: "replaced: redis1" });
  expect(launches()).toEqual(["launch redis2", "launch redis1"]);
});

/**
 * The monitor ends as by SIGTERM, and systemd starts it again: the present one now, each of the next ones after its first
 * step of this kind. Steps under way end before the next monitor starts, for they share this process.
 */
async function restartMonitor(...nextEnds: Step["do"][]): Promise<void> {
  const { reconciler } = world;
  const [nextEnd, ...others] = nextEnds;
  await world.stopRecovery();
  await reconciler.idle();
  // A roll looks twice a second: now also while nobody listens.
  await systemClock.sleep(600);
  let isEnding = false;
  await world.startRecovery(({ do: done }) => {
    if (isEnding || done !== nextEnd) return;
    isEnding = true;
    void restartMonitor(...others);
  });
  await world.serveSocket();
}

test("the monitor restarts in the middle of a machine and in the middle of a switch: the roll goes on", async () => {
  await restartMonitor("stop monitoring", "launch", "drain");
  await world.untilHealthy();
  const traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
  expect(await roll(tools(), ["redis1", "redis2"])).toMatchObject({
    ok: true,
    message: "replaced: redis2, redis1",
  });
  expect(said.join("\n")).toMatch(/redis2 is not replaced yet: recovery was stopped meanwhile/);
  expect(said.join("\n")).toMatch(/shard \d: the monitor was stopped in the middle of the switch/);
  expect(launches()).toEqual(["launch redis2", "launch redis1"]);
  await traffic.flowing();
  await traffic.stop();
  expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
});
