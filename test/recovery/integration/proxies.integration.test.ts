/** Proxies fail, restart, come anew, or are changed by hand. */
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RuntimeApi } from "../../../recovery/observe/runtime-api.ts";
import { canSilence, restoreAll, silence } from "./silence.ts";
import { Traffic } from "./traffic.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;

beforeEach(async () => {
  world = await TestWorld.healthy();
  world.lines.length = 0;
});
afterEach(async () => {
  restoreAll();
  await world.close();
});

const targets = () => world.status?.shards.map(({ proxies }) => proxies);
const bothTo = (machine: string) => ({ haproxy1: machine, haproxy2: machine });

async function askProxy(name: "haproxy1" | "haproxy2", command: string): Promise<string> {
  const api = new RuntimeApi(world.machine(name).address, 8999, 1_000);
  try {
    return await api.ask(command, 1_000);
  } finally {
    api.close();
  }
}

async function isRegistered(name: "haproxy1" | "haproxy2"): Promise<boolean> {
  const response = await fetch(`http://${world.machine(name).address}:8900/`).catch(() => undefined);
  return response?.status === 200;
}

test("a proxy process that restarts is told its servers again at once, and registered only then", async () => {
  await world.machine("haproxy1").crash(0);
  await world.until("the loss to be seen", () =>
    world.lines.some((line) => line.includes("haproxy1's proxy process")),
  );
  world.machine("haproxy1").restartProxy();
  await world.until("registration", () => isRegistered("haproxy1"));
  const traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
  await traffic.stop();
  await world.untilHealthy();
  expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
  expect(world.calls).toEqual([]);
});

test("a proxy that is reloaded by hand gets its servers back", async () => {
  const before = await askProxy("haproxy1", "show info");
  await world.machine("haproxy1").reload();
  await world.until("the new process", async () => {
    const now = await askProxy("haproxy1", "show info").catch(() => before);
    return /^Pid: .*$/m.exec(now)?.[0] !== /^Pid: .*$/m.exec(before)?.[0];
  });
  await world.until("registration", () => isRegistered("haproxy1"));
  await world.untilHealthy();
  expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
});

test("a proxy that was changed by hand is put right", async () => {
  await askProxy("haproxy2", "set server shard1/redis2 state ready");
  await askProxy("haproxy2", "set server shard1/redis1 state maint");
  await askProxy("haproxy2", "set server probe2/redis2 state maint");
  await world.until("the correction", () =>
    world.lines.some((line) => line.startsWith("") && line.includes("put right")),
  );
  await world.untilHealthy();
  expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
  expect(await askProxy("haproxy2", "show servers state shard1")).toMatch(/redis2 \S+ 0 [^0]/);
});

test("a lost proxy is replaced: it gets the running one's configuration, the servers, and is registered", async () => {
  const twin = world.machine("haproxy2");
  const { appendFile } = await import("node:fs/promises");
  await appendFile(twin.configFile, "# changed by hand\n");
  await world.machine("redis1").crash(9002); // so that the two shards have different masters
  await world.until("shard 2 to move", () => world.status?.shards[1]?.master === "redis2");
  world.machine("redis1").startRedis(9002);
  await world.untilHealthy();
  const old = world.machine("haproxy1").address;
  await world.loseMachine("haproxy1");
  await world.until("the launch", () => world.calls.includes("launch haproxy1"));
  const status = await world.untilHealthy();
  expect(world.machine("haproxy1").address).not.toBe(old);
  expect(await readFile(world.machine("haproxy1").configFile, "utf8")).toContain("# changed by hand");
  expect(targets()).toEqual([bothTo("redis1"), bothTo("redis2")]);
  expect(await isRegistered("haproxy1")).toBe(true);
  const steps = status.incidents.at(-1)?.steps.map(({ step }) => step) ?? [];
  expect(steps.indexOf("configure haproxy1 like haproxy2")).toBeLessThan(steps.indexOf("register haproxy1"));
});

test("both proxies are lost: both are replaced, and serve", async () => {
  await Promise.all([world.loseMachine("haproxy1"), world.loseMachine("haproxy2")]);
  // Together, or one after the other, in whichever order their loss is told.
  await world.until("the launches", () =>
    ["haproxy1", "haproxy2"].every((proxy) =>
      world.calls.some((call) => call.startsWith("launch") && call.includes(proxy)),
    ),
  );
  await world.untilHealthy();
  const traffic = new Traffic(world.machine("haproxy2").address, 8002);
  await traffic.flowing();
  await traffic.stop();
});

describe.runIf(canSilence)("silence", () => {
  test("a proxy that vanishes is replaced", async () => {
    silence(world.machine("haproxy1").address);
    await world.until("the launch", () => world.calls.includes("launch haproxy1"));
    await world.untilHealthy();
    expect(world.calls).toEqual(["taint haproxy1", "power off i-haproxy1-0", "launch haproxy1"]);
  });

  test("monit that sees nobody does nothing and says so", async () => {
    silence(
      ...(["redis1", "redis2", "haproxy1", "haproxy2"] as const).map((name) => world.machine(name).address),
    );
    await world.until("the insight", () => world.status?.sentence.includes("monit sees nobody"));
    await new Promise((resolve) => setTimeout(resolve, 4_000)); // longer than every patience
    expect(world.calls).toEqual([]);
    restoreAll();
    await world.untilHealthy();
    expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
    expect(world.calls).toEqual([]);
  });
});
