/** Maintenance by people: planned switches under full load, and pauses. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { order, tellMonitor } from "../../../recovery/control/client.ts";
import { serve } from "../../../recovery/control/server.ts";
import { failover } from "../../../recovery/orders/failover.ts";
import { switchover } from "../../../recovery/orders/switchover.ts";
import { Traffic } from "./traffic.ts";
import { passwords, TestWorld } from "./world.ts";

let world: TestWorld;
const said: string[] = [];

beforeEach(async () => {
  said.length = 0;
  world = await TestWorld.healthy();
});
afterEach(() => world.close());

const masters = () => world.status?.shards.map(({ master }) => master);
const options = () => ({
  reconciler: world.reconciler,
  engine: world.engine(),
  clock: systemClock,
  say: (line: string) => void said.push(line),
  signal: new AbortController().signal,
});

/** Clients as applications have them: connections that are kept, many writes under way, made anew when closed. */
class FullSpeed {
  readonly acknowledged: string[] = [];
  readonly errors: string[] = [];
  readonly #clients: Redis[];
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(host: string, port: number, connections = 4, underWay = 8) {
    this.#clients = Array.from({ length: connections }, () => {
      const client = new Redis({
        host,
        port,
        username: "client",
        password: passwords.clientPassword,
        retryStrategy: () => 5,
        enableReadyCheck: false,
      });
      client.on("error", () => {});
      return client;
    });
    this.#loops = this.#clients.flatMap((client, number) =>
      Array.from({ length: underWay }, (_, lane) => this.#write(client, `full-${port}-${number}-${lane}`)),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    for (const client of this.#clients) client.disconnect();
  }

  async #write(client: Redis, name: string): Promise<void> {
    for (let count = 0; !this.#stopped; count += 1) {
      const key = `${name}-${count}`;
      await client.set(key, "1").then(
        () => this.acknowledged.push(key),
        (error: Error) => this.errors.push(error.message),
      );
    }
  }
}

async function missingAt(machine: "redis1" | "redis2", port: number, keys: string[]): Promise<string[]> {
  const { address } = world.machine(machine);
  const redis = new Redis({
    host: address,
    port,
    username: "client",
    password: passwords.clientPassword,
    enableReadyCheck: false,
  });
  try {
    const found = await Promise.all(keys.map((key) => redis.exists(key)));
    return keys.filter((_, position) => found[position] === 0);
  } finally {
    redis.disconnect();
  }
}

test("all masters of a machine move while writes run at full speed: no error, nothing lost", async () => {
  const anew = new Traffic(world.machine("haproxy1").address, 8001);
  const full = [8001, 8002].map((port) => new FullSpeed(world.machine("haproxy1").address, port));
  try {
    await anew.flowing();
    anew.forget();
    for (const machine of ["redis1", "redis2"]) {
      const counterpart = machine === "redis1" ? "redis2" : "redis1";
      const before = full.map(({ acknowledged }) => acknowledged.length);
      expect(await switchover(machine, options())).toEqual({ ok: true, message: "shards 1 and 2 switched" });
      expect(masters()).toEqual([counterpart, counterpart]);
      for (const [position, one] of full.entries()) {
        await world.until(
          "writes after the switch",
          () => one.acknowledged.length > (before[position] ?? 0) + 500,
        );
      }
    }
    await anew.flowing();
  } finally {
    await Promise.all(full.map((one) => one.stop()));
  }
  const account = await anew.stop();
  expect(account.errorsAnew).toBe(0);
  expect(account.longestGapMs).toBeLessThan(1_500);
  expect(await anew.lostAt(world.machine("redis1").address, 9001)).toEqual([]);
  for (const [position, one] of full.entries()) {
    expect(one.errors).toEqual([]);
    expect(await missingAt("redis1", 9001 + position, one.acknowledged)).toEqual([]);
  }
  const status = await world.untilHealthy();
  expect(status.incidents.map(({ machine }) => machine)).toEqual(["first start"]);
  expect(world.calls).toEqual([]);
});

test("one shard moves by its index, the other stays", async () => {
  expect(await switchover("2", options())).toEqual({ ok: true, message: "shard 2 switched" });
  expect(said).toEqual(["shard 2: redis2 is master, redis1 has a copy"]);
  expect((await world.untilHealthy()).shards.map(({ master }) => master)).toEqual(["redis1", "redis2"]);
});

test("a switch is refused with the reason: no replica, no proxy, no such shard", async () => {
  await world.machine("redis2").crash(9001);
  await world.until("the verdict", () => world.status?.sentence.includes("redis2's redis process is gone"));
  expect(await switchover("redis1", options())).toMatchObject({
    ok: false,
    message: expect.stringMatching(/^nothing was switched: redis2's redis process is gone.*\(shard 1\)/),
  });
  expect(masters()).toEqual(["redis1", "redis1"]);
  world.machine("redis2").startRedis(9001);
  await world.untilHealthy();
  await world.machine("haproxy2").crash(0);
  await world.until("the proxy's loss", () => world.status?.shards[0]?.proxies.haproxy2 === null);
  expect((await switchover("1", options())).message).toMatch(/haproxy2 cannot be reached/);
  world.machine("haproxy2").restartProxy();
  await world.untilHealthy();
  expect((await switchover("7", options())).message).toMatch(/no shard "7"; it can be redis1, redis2, or/);
});

test("while paused recovery sees a dead master and leaves it; afterwards it acts", async () => {
  world.reconciler.pause.begin(3_600_000, "new disks");
  await world.machine("redis1").crash(9001);
  const plan = () => world.reconciler.plan()?.find(({ subject }) => subject === "shard 1");
  await world.until("the verdict", () => plan()?.situation === "master-lost");
  await world.machine("redis2").crash(9002);
  await world.until("the second verdict", () => world.status?.shards[1]?.replica === null);
  expect(masters()).toEqual([null, "redis1"]);
  expect(world.status).toMatchObject({ healthy: false, paused: { why: "new disks" } });
  expect(world.reconciler.plan()?.[0]).toMatchObject({ subject: "recovery", situation: "paused", steps: [] });
  expect((await failover("redis1", "by hand", options())).message).toMatch(
    /^redis1 is not replaced: recovery is paused until .* \(new disks\); "barton resume" ends that$/,
  );
  expect((await switchover("2", options())).message).toMatch(/^nothing was switched: recovery is paused/);
  const kept = await readFile(join(world.folder, "state", "pause.json"), "utf8");
  expect(JSON.parse(kept)).toMatchObject({ why: "new disks" });
  expect(world.calls).toEqual([]);
  expect(world.reconciler.pause.end()).toBe(true);
  await world.until("the takeover", () => masters()?.[0] === "redis2");
  world.machine("redis1").startRedis(9001);
  world.machine("redis2").startRedis(9002);
  expect((await world.untilHealthy()).paused).toBeNull();
});

test("pause, resume and switchover are ordered through the monitor's socket", async () => {
  const socket = join(world.folder, "monitor.sock");
  const { say: _, ...served } = options();
  const server = await serve(socket, served);
  try {
    const why = encodeURIComponent("50 % / done?");
    expect(await tellMonitor(socket, `/pause/60000/${why}`, 1_000)).toMatch(
      /paused until .*\(50 % \/ done\?\)/,
    );
    expect(await order(socket, "switchover", "redis1", () => {})).toMatchObject({ ok: false });
    await expect(tellMonitor(socket, "/pause/0/", 1_000)).rejects.toThrow("24 hours");
    expect(await tellMonitor(socket, "/resume", 1_000)).toBe("recovery acts again");
    expect(await tellMonitor(socket, "/resume", 1_000)).toBe("recovery was not paused");
    await expect(tellMonitor(socket, "/unknown", 1_000)).rejects.toThrow("another version");
    const lines: string[] = [];
    expect(await order(socket, "switchover", "2", (line) => lines.push(line))).toMatchObject({ ok: true });
    expect(lines).toEqual(["shard 2: redis2 is master, redis1 has a copy"]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
