/** A whole redis machine fails. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canSilence, restoreAll, silence } from "./silence.ts";
import { Traffic } from "./traffic.ts";
import { TestWorld } from "./world.ts";

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
  restoreAll();
  await traffic.stop();
  await world.close();
});

const masters = () => world.status?.shards.map(({ master }) => master);

describe.runIf(canSilence)("silence", () => {
  test("the master machine vanishes: traffic waits and goes on, the machine is replaced", async () => {
    const old = world.machine("redis1").address;
    silence(old);
    await world.until("the takeover", () => masters()?.every((master) => master === "redis2"));
    const status = await world.untilHealthy();
    await traffic.flowing();
    const account = await traffic.stop();
    expect(account.longestGapMs).toBeLessThan(2_000);
    // The one that was in flight when the machine vanished.
    expect(account.errorsAnew).toBeLessThanOrEqual(1);
    expect(account.errorsPersistent).toBeLessThanOrEqual(1);
    expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
    expect(status.machines.find(({ name }) => name === "redis1")?.address).not.toBe(old);
    expect(world.calls).toEqual(["taint redis1", "power off i-redis1-0", "launch redis1"]);
    const incident = status.incidents.at(-1);
    // Two of the three vantage points make the verdict, whichever they are.
    expect(incident?.because).toMatch(
      /^redis1 does not answer on any port \(say (haproxy1|haproxy2|haproxy1, haproxy2) and (haproxy2|monit)\)/,
    );
    expect(incident?.steps[0]?.step).toBe("stop monitoring redis1");
  });

  test("roles wander: three failures in a row, the last of a machine that is master of one shard only", async () => {
    for (const round of ["redis1", "redis2"] as const) {
      silence(world.machine(round).address);
      await world.until(`${round} to be launched`, () => world.calls.includes(`launch ${round}`));
      await world.untilHealthy();
      restoreAll();
      expect(masters()).toEqual(round === "redis1" ? ["redis2", "redis2"] : ["redis1", "redis1"]);
    }
    await world.machine("redis1").crash(9002);
    await world.until("shard 2 to move", () => masters()?.[1] === "redis2");
    world.machine("redis1").startRedis(9002);
    await world.untilHealthy();
    world.calls.length = 0;
    silence(world.machine("redis2").address);
    await world.until("redis2 to be launched again", () => world.calls.includes("launch redis2"));
    await world.untilHealthy();
    expect(masters()).toEqual(["redis1", "redis1"]);
    await traffic.flowing();
    await traffic.stop();
    expect(await traffic.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
  });

  test("a proxy and the master machine vanish at once: nothing is promoted before the cloud confirms one of them off", async () => {
    const other = new Traffic(world.machine("haproxy2").address, 8001);
    world.cloudFailure = "the cloud's API is down";
    silence(world.machine("redis1").address, world.machine("haproxy1").address);
    await world.until("the fence to be found impossible", () =>
      world.lines.some((line) => line.includes("cannot take over yet: haproxy1 does not answer")),
    );
    expect(masters()).toEqual([null, null]);
    world.cloudFailure = undefined;
    await world.until("the takeover", () => masters()?.every((master) => master === "redis2"));
    await other.flowing();
    await world.untilHealthy();
    const account = await other.stop();
    expect(account.errorsAnew).toBe(0);
    expect(await other.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
  });

  test("monit alone is cut off from a master: no verdict, no failover", async () => {
    // Every vantage point shares the loopback, so that the cut is made in recovery's own connection.
    const link = world.reconciler.links.redis("redis1", 1);
    const broken = () => Promise.reject(new Error("cut"));
    Object.assign(link ?? {}, { ask: broken, knock: async () => "silent" as const });
    await world.until("the doubt", () => world.lines.some((line) => line.includes("no verdict yet")));
    await traffic.flowing(200);
    expect(world.status?.shards[0]?.proxies).toEqual({ haproxy1: "redis1", haproxy2: "redis1" });
    expect(world.calls).toEqual([]);
  });
});

test("a machine that is powered off is replaced although the cloud's API fails at first; promotion does not wait", async () => {
  world.cloudFailure = "the cloud's API is down";
  await world.loseMachine("redis1");
  await world.until("the takeover", () => masters()?.every((master) => master === "redis2"));
  await traffic.flowing();
  const gapMs = (await traffic.stop()).longestGapMs;
  expect(gapMs).toBeLessThan(2_000);
  world.cloudFailure = undefined;
  await world.until("the launch", () => world.calls.includes("launch redis1"));
  await world.untilHealthy();
});

test("another program than the last up ran: promotion goes on, replacement holds and says why", async () => {
  world.programDiffers = "the last up ran another program";
  await world.loseMachine("redis1");
  await world.until("the takeover", () => masters()?.every((master) => master === "redis2"));
  await world.until("the hold", () => world.status?.sentence.includes("the last up ran another program"));
  expect(world.calls).toEqual(["taint redis1"]);
});

test("failover by hand of a healthy master machine: no error, no loss, a new machine", async () => {
  const { failover } = await import("../../../recovery/orders/failover.ts");
  const { systemClock } = await import("../../../recovery/clock.ts");
  const lines: string[] = [];
  const result = await failover("redis1", "by hand", {
    reconciler: world.reconciler,
    engine: world.engine(),
    clock: systemClock,
    say: (line) => lines.push(line),
    signal: new AbortController().signal,
  });
  expect(result).toEqual({ ok: true, message: "redis1 is replaced and well" });
  expect(masters()).toEqual(["redis2", "redis2"]);
  expect(lines.join("\n")).toContain("make redis2 master of shard 1");
  await traffic.flowing();
  const account = await traffic.stop();
  expect(account.errorsAnew).toBeLessThanOrEqual(1);
  expect(account.errorsPersistent).toBeLessThanOrEqual(1);
  expect(account.longestGapMs).toBeLessThan(1_000);
  expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
});
