/** `failover --if-failed`, by which other monitors ask: replaced is only what recovery too takes for failed. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { orderFailover } from "../../../recovery/control/client.ts";
import { failoverIfFailed } from "../../../recovery/orders/failover-if-failed.ts";
import type { MachineName } from "../../../recovery/topology.ts";
import { canSilence, restoreAll, silence, silenceForMonit } from "./silence.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
let socket: string;

beforeEach(async () => {
  world = await TestWorld.healthy({ limits: { bootMs: 8_000 } });
  socket = await world.serveSocket();
});
afterEach(async () => {
  restoreAll();
  await world.close();
});

const ask = (machine: string, say = (_: string) => {}) => orderFailover(socket, machine, say, true);
const masters = () => world.status?.shards.map(({ master }) => master);
const notFailed = (machine: string) => ({
  ok: false,
  notFailed: true,
  message: expect.stringContaining(`${machine} is not replaced: recovery has no verdict that it failed (`),
});
/** As `failover` does it when no monitor runs: a reconciler of its own, which has seen nobody yet. */
async function askAlone(machine: MachineName) {
  const reconciler = await world.startRecovery();
  const { signal } = new AbortController();
  return failoverIfFailed(machine, {
    reconciler,
    engine: world.engine(),
    clock: systemClock,
    say: () => {},
    signal,
  });
}

test("machines that are well are not touched; the monitor's refusals are the same as for any failover", async () => {
  for (const machine of ["redis1", "redis2", "haproxy1", "haproxy2", "app"]) {
    expect(await ask(machine)).toEqual(notFailed(machine));
  }
  expect(await ask("monit")).toEqual({
    ok: false,
    message: expect.stringContaining("monit is not replaced"),
  });
  world.reconciler.pause.begin(60_000, "new disks");
  expect(await ask("redis1")).toEqual({ ok: false, message: expect.stringContaining("recovery is paused") });
  expect(world.calls).toEqual([]);
  expect(world.status?.incidents.map(({ machine }) => machine)).toEqual(["first start"]);
});

test("a lost machine's replacement is followed to its end", async () => {
  await world.loseMachine("haproxy2");
  const lines: string[] = [];
  expect(await ask("haproxy2", (line) => lines.push(line))).toEqual({
    ok: true,
    message: "haproxy2 is replaced and well",
  });
  expect(lines.join()).toContain("launch a new haproxy2");
  expect(world.calls).toEqual(["taint haproxy2", "power off i-haproxy2-0", "launch haproxy2"]);
});

test("a process that comes back in its time leaves the machine in place", async () => {
  await world.machine("redis1").crash(9001);
  await world.until("the takeover", () => masters()?.[0] === "redis2");
  const asked = ask("redis1");
  world.machine("redis1").startRedis(9001);
  expect(await asked).toEqual(notFailed("redis1"));
  expect(world.calls).toEqual([]);
});

test("without a monitor: a lost machine is replaced, the others are not", async () => {
  await world.stopRecovery();
  expect(await askAlone("redis1")).toEqual(notFailed("redis1"));
  await world.stopRecovery();
  await world.loseMachine("haproxy1", "running");
  expect(await askAlone("haproxy1")).toEqual({ ok: true, message: "haproxy1 is replaced and well" });
  expect(world.calls).toEqual(["taint haproxy1", "power off i-haproxy1-0", "launch haproxy1"]);
});

describe.runIf(canSilence)("silence", () => {
  test("a machine that is silent to all is replaced", async () => {
    silence(world.machine("redis1").address);
    expect(await ask("redis1")).toEqual({ ok: true, message: "redis1 is replaced and well" });
    expect(masters()).toEqual(["redis2", "redis2"]);
  });

  test.each(["redis1", "haproxy1"] as const)("%s, silent to monit alone, is kept", async (machine) => {
    silenceForMonit(world.machine(machine).address);
    await world.until("monit to lose sight", () => world.status?.healthy === false);
    expect(await ask(machine)).toEqual(notFailed(machine));
    restoreAll();
    await world.untilHealthy();
    expect(masters()).toEqual(["redis1", "redis1"]);
    expect(world.calls).toEqual([]);
  });

  test("monit is cut off: refused, also when its link heals in the middle", async () => {
    const names = ["redis1", "redis2", "haproxy1", "haproxy2"] as const;
    silenceForMonit(...names.map((name) => world.machine(name).address));
    await world.until("the insight", () => world.status?.sentence.includes("monit sees nobody"));
    expect(await ask("redis1")).toEqual({
      ok: false,
      message: expect.stringContaining("monit sees nobody"),
    });
    const asked = names.map((name) => ask(name));
    await systemClock.sleep(2_000);
    restoreAll();
    expect(await Promise.all(asked)).toEqual(names.map(notFailed));
    await world.untilHealthy();
    expect(masters()).toEqual(["redis1", "redis1"]);
    expect(world.calls).toEqual([]);
  });
});
