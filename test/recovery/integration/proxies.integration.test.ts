/** Proxies fail, restart, come new, or are changed by hand. */
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RuntimeApi } from "../../../recovery/observe/runtime-api.ts";
import { canSilence, restoreAll, silence, silenceBetween } from "./silence.ts";
import { connectTo, Traffic } from "./traffic.ts";
import { passwords, TestWorld } from "./world.ts";

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

test("a proxy that was changed by hand is repaired", async () => {
  await askProxy("haproxy2", "set server shard1/redis2 state ready");
  await askProxy("haproxy2", "set server shard1/redis1 state maint");
  await askProxy("haproxy2", "set server probe2/redis2 state maint");
  await world.until("the correction", () =>
    world.lines.some((line) => line.startsWith("") && line.includes("recovery repairs")),
  );
  await world.untilHealthy();
  expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
  expect(await askProxy("haproxy2", "show servers state shard1")).toMatch(/redis2 \S+ 0 [^0]/);
});

/** Each is done to shard 1 of haproxy1; afterwards one line that people read names what was wrong. */
test.each([
  ["the master's line drains", "set server shard1/redis1 state drain", "shard1/redis1"],
  ["the master's line has no weight", "set server shard1/redis1 weight 0", "shard1/redis1"],
  ["the master's line is set down", "set server shard1/redis1 health down", "shard1/redis1"],
  ["the frontend is disabled", "disable frontend shard1", "frontend shard1"],
])(
  "a proxy whose traffic was stopped by hand (%s) is repaired, and traffic flows again",
  async (_, command, name) => {
    const traffic = new Traffic(world.machine("haproxy1").address, 8001);
    await traffic.flowing();
    await askProxy("haproxy1", command);
    await world.until("the correction", () =>
      world.lines.some((line) => line.includes(`haproxy1 has drifted: recovery repairs ${name}`)),
    );
    await world.untilHealthy();
    await traffic.flowing();
    const account = await traffic.stop();
    expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
    // A connection that drains goes on; a closed door turns away who comes in that moment.
    expect(account.errorsPersistent).toBe(0);
    if (!name.startsWith("frontend")) expect(account.errorsAnew).toBe(0);
    expect(await traffic.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
    expect(world.calls).toEqual([]);
  },
);

test.each([
  "set server shard1/hold state maint",
  "set server shard1/hold state drain",
  "set server shard1/hold weight 0",
  "set server shard1/hold health down",
  "set server shard1/hold addr 127.0.0.9 port 9",
])("hold is repaired, so that traffic waits for the next master instead of failing: %s", async (command) => {
  await askProxy("haproxy1", command);
  await world.until("the correction", () =>
    world.lines.some((line) => line.includes("haproxy1 has drifted: recovery repairs shard1/hold")),
  );
  await world.untilHealthy();
  const traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
  await world.machine("redis1").crash(9001);
  await world.until("the takeover", () => world.status?.shards[0]?.master === "redis2");
  await traffic.flowing();
  // The write that was under way when the master died; all later ones have waited.
  expect((await traffic.stop()).errorsAnew).toBeLessThanOrEqual(1);
});

test("a line that drains is not fenced: its master is replaced only when it is out, with its sessions cut", async () => {
  const traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
  world.reconciler.pause.begin(3_600_000, "so that the line still drains when the order comes");
  await askProxy("haproxy1", "set server shard1/redis1 state drain");
  await askProxy("haproxy1", "set server shard1/redis2 weight 0");
  await world.until("the drain to be seen", () => targets()?.[0]?.haproxy1 === null);
  await world.until("the status to say so", () =>
    world.status?.sentence.includes("haproxy1 has drifted: recovery repairs shard1/redis1"),
  );
  expect(world.status?.healthy).toBe(false);
  world.machine("redis1").stop(9001);
  world.reconciler.pause.end();
  await world.until("the takeover", () => world.status?.shards[0]?.master === "redis2");
  expect(await askProxy("haproxy1", "show stat")).toMatch(/^shard1,redis1,.*,MAINT,/m);
  await traffic.flowing();
  world.machine("redis1").continue(9001);
  await world.untilHealthy();
  const account = await traffic.stop();
  expect(account.errorsAnew).toBeLessThanOrEqual(1);
  expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
  expect(targets()).toEqual([bothTo("redis2"), bothTo("redis1")]);
});

test("a registration without weight, and a health page that does not listen: app gets the proxy back", async () => {
  const says = (text: string) => () => world.lines.some((line) => line.includes(text));
  await askProxy("haproxy1", "set server registered/self weight 0");
  await world.until("the registration", says("register haproxy1"));
  await world.until("the page to tell it", () => isRegistered("haproxy1"));
  await askProxy("haproxy1", "disable frontend health");
  await world.until("the correction", says("haproxy1 has drifted: recovery repairs frontend health"));
  await world.until("the page", () => isRegistered("haproxy1"));
  await world.untilHealthy();
});

test("a frontend that was shut down is opened by a reload, after app has moved to the twin", async () => {
  const before = await askProxy("haproxy1", "show info");
  await askProxy("haproxy1", "shutdown frontend shard1");
  await world.until("the news", () =>
    world.status?.sentence.includes("haproxy1's frontend shard1 was shut down: it is reloaded"),
  );
  await world.until("the twin alone", async () => !(await isRegistered("haproxy1")));
  const status = await world.untilHealthy();
  expect(await isRegistered("haproxy1")).toBe(true);
  expect(/^Pid: .*$/m.exec(await askProxy("haproxy1", "show info"))?.[0]).not.toBe(
    /^Pid: .*$/m.exec(before)?.[0],
  );
  const traffic = new Traffic(world.machine("haproxy1").address, 8001);
  await traffic.flowing();
  await traffic.stop();
  expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
  const steps = status.incidents.at(-1)?.steps.map(({ step }) => step) ?? [];
  expect(steps).toEqual(["drain haproxy1", "unregister haproxy1", "reload haproxy1"]);
  expect(world.calls).toEqual([]);
});

test("both proxies are shut: both are reloaded at once, for neither can wait for the other", async () => {
  await Promise.all(
    (["haproxy1", "haproxy2"] as const).map((proxy) => askProxy(proxy, "shutdown frontend shard2")),
  );
  await world.until("the reloads", () =>
    ["haproxy1", "haproxy2"].every((proxy) => world.lines.some((line) => line.includes(`reload ${proxy}`))),
  );
  await world.untilHealthy();
  for (const proxy of ["haproxy1", "haproxy2"] as const) {
    const traffic = new Traffic(world.machine(proxy).address, 8002);
    await traffic.flowing();
    await traffic.stop();
  }
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

  test("jobs are not handed to clients that waited behind a proxy that vanished", async () => {
    const workersAt = (proxy: "haproxy1" | "haproxy2") =>
      Array.from({ length: 5 }, () => connectTo(world.machine(proxy).address, 8001));
    const old = workersAt("haproxy1");
    for (const worker of old) worker.blpop("jobs", 0).catch(() => {});
    const master = connectTo(world.machine("redis1").address, 9001, "recovery", passwords.recoveryPassword);
    const waiting = async (proxy: "haproxy1" | "haproxy2") => {
      const list = String(await master.call("CLIENT", "LIST"));
      const from = ` addr=${world.machine(proxy).address}:`;
      return list.split("\n").filter((line) => line.includes(from) && line.includes("cmd=blpop")).length;
    };
    await world.until("five that wait", async () => (await waiting("haproxy1")) === 5);
    silence(world.machine("haproxy1").address);
    await world.until("the end of their sessions", async () => (await waiting("haproxy1")) === 0);

    const present = workersAt("haproxy2");
    const received = present.map((worker) => worker.blpop("jobs", 0));
    await world.until("five new ones that wait", async () => (await waiting("haproxy2")) === 5);
    const producer = connectTo(world.machine("haproxy2").address, 8001);
    for (let job = 1; job <= 5; job++) await producer.rpush("jobs", job);
    const jobs = (await Promise.all(received)).map((reply) => reply?.[1]);
    expect(jobs.sort()).toEqual(["1", "2", "3", "4", "5"]);
    for (const redis of [...old, ...present, master, producer]) redis.disconnect();
  });

  describe("between a proxy and a master", () => {
    const cutOff = async () => {
      const traffic = new Traffic(world.machine("haproxy1").address, 8001);
      await traffic.flowing();
      silenceBetween(world.machine("haproxy1").address, world.machine("redis1").address);
      await world.until("the detour", () =>
        world.status?.sentence.includes(
          "haproxy1 cannot reach redis1, while haproxy2 and monit can: its traffic goes there through haproxy2",
        ),
      );
      await traffic.flowing();
      // Who kept its connection, which stood still, is told.
      await world.until("the cut of what stood", () => traffic.errorsPersistent === 1);
      expect(world.status?.healthy).toBe(false);
      return traffic;
    };

    test("the traffic makes a detour, and comes back when the cut is mended", async () => {
      const traffic = await cutOff();
      restoreAll();
      const { incidents } = await world.untilHealthy();
      expect(incidents.at(-1)).toMatchObject({ machine: "haproxy1", situation: "cut-off" });
      await traffic.flowing();
      const account = await traffic.stop();
      expect(account.errorsAnew, "the request under way").toBeLessThanOrEqual(1);
      expect(account.errorsPersistent, "on the way back nothing is cut").toBe(1);
      expect(await traffic.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
      expect(await askProxy("haproxy1", "show servers state shard1")).toContain(
        world.machine("redis1").address,
      );
      expect(targets()).toEqual([bothTo("redis1"), bothTo("redis1")]);
      expect(world.calls).toEqual([]);
    });

    test("the master is lost meanwhile: the detour is fenced with it, and its successor takes over", async () => {
      const traffic = await cutOff();
      await world.machine("redis1").crash(9001);
      await world.until("the takeover", () => world.status?.shards[0]?.master === "redis2");
      await traffic.flowing();
      restoreAll();
      await world.untilHealthy();
      const account = await traffic.stop();
      expect(account.errorsAnew, "two requests under way").toBeLessThanOrEqual(2);
      expect(await traffic.lostAt(world.machine("redis2").address, 9001)).toEqual([]);
      expect(targets()?.[0]).toEqual(bothTo("redis2"));
    });
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
