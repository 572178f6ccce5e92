/** Real haproxy: a process that restarts goes on where its predecessor was, and never to a server that was fenced. */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { proxyConfig } from "../../infra/roles/haproxy/role.ts";
import { ProxyLink } from "../../recovery/observe/proxy-link.ts";
import { detection, end, freePorts, keepScript, login, stats, until, Workbench } from "./servers.ts";

const bench = new Workbench();
const address = "127.0.8.20";
const redis = { redis1: "127.0.8.21", redis2: "127.0.8.22" };
const kept = join(bench.folder, "kept");
let ports: { redis: number; proxy: number; runtime: number; health: number };
let haproxy: ChildProcess & { pid: number };
let link: ProxyLink;

beforeAll(async () => {
  const [a = 0, b = 0, c = 0, d = 0] = await freePorts(4);
  ports = { redis: a, proxy: b, runtime: c, health: d };
  bench.startRedis("redis1", redis.redis1, ports.redis);
  bench.startRedis("redis2", redis.redis2, ports.redis);
  for (const host of Object.values(redis))
    await until(
      "redis",
      () => login(host, ports.redis, "recovery"),
      () => true,
    );
});
afterAll(() => bench.close());

beforeEach(async () => {
  mkdirSync(kept, { recursive: true });
  await setRoles("redis1", "redis2");
  await start();
});
afterEach(async () => {
  link.close();
  await end(haproxy);
  rmSync(kept, { recursive: true });
});

/** Starts haproxy without a chroot and other things of root's. */
async function start(args: string[] = []): Promise<void> {
  const config = proxyConfig({
    shards: [{ index: 1, proxyPort: ports.proxy }],
    detection,
    adminSocket: join(bench.folder, "keep.sock"),
    runtimeBind: `${address}:${ports.runtime}`,
    healthBind: `${address}:${ports.health}`,
    proxyBind: address,
    keepScript,
    keptIn: kept,
  }).replace(/^ {2}(chroot|user|group) .*\n/gm, "");
  haproxy = bench.start("haproxy", ["-db", "-f", bench.write("keep.cfg", config), ...args]);
  link = newLink();
  await until(
    "the runtime API",
    () => link.processId(1000),
    () => true,
  );
}

function newLink(): ProxyLink {
  const { runtime } = ports;
  const nowMs = () => performance.now();
  return new ProxyLink({ address, ports: [runtime], shards: [1], connectTimeoutMs: 200, nowMs });
}

async function restart(): Promise<void> {
  link.close();
  await end(haproxy);
  await start();
}

async function setRoles(master: keyof typeof redis, replica: keyof typeof redis): Promise<void> {
  const promoted = await login(redis[master], ports.redis, "recovery");
  await promoted.ask("REPLICAOF NO ONE");
  const demoted = await login(redis[replica], ports.redis, "recovery");
  await demoted.ask(`REPLICAOF ${redis[master]} ${ports.redis}`);
  for (const client of [promoted, demoted]) client.close();
}

/** As recovery does it: where the traffic goes, and that app may use the proxy. */
async function register(master: keyof typeof redis): Promise<void> {
  await link.tell(
    [
      `set server shard1/${master} addr ${redis[master]} port ${ports.redis}`,
      `set server shard1/${master} state ready`,
    ],
    1000,
  );
  await link.tell(["set server registered/self state ready"], 1000);
}

async function states(): Promise<Record<string, string | undefined>> {
  const of = await stats({ host: address, port: ports.runtime });
  const status = (server: string) => of(server).status;
  return {
    redis1: status("shard1/redis1"),
    redis2: status("shard1/redis2"),
    registered: status("registered/self"),
  };
}

const out = "MAINT";
const ready = "no check";
/** Many times as long as a restoration takes: long enough for a wrong one to show. */
const restorable = () => new Promise((resolve) => setTimeout(resolve, 1500));

test("it uses the master that it used, and may be used itself", async () => {
  await register("redis1");
  await restart();
  const after = await until("the state before", states, ({ registered }) => registered === ready);
  expect(after).toEqual({ redis1: ready, redis2: out, registered: ready });
  const client = await login(address, ports.proxy, "client");
  expect(await client.ask("SET keep:1 x")).toBe("+OK");
  client.close();
});

test("it does not use a server that was fenced, however soon it died", async () => {
  await register("redis1");
  await link.tell(["set server shard1/redis1 state maint"], 1000);
  await restart();
  await restorable();
  expect(await states()).toMatchObject({ redis1: out, redis2: out });
});

test("it uses no server that is no master any more, and lets app go to its twin", async () => {
  await register("redis1");
  await setRoles("redis2", "redis1");
  await restart();
  await restorable();
  expect(await states()).toEqual({ redis1: out, redis2: out, registered: out });
});

test("what recovery says goes before what was kept", async () => {
  await register("redis1");
  await setRoles("redis2", "redis1");
  await restart();
  await link.tell(["set server probe1/redis1 state maint"], 1000);
  await setRoles("redis1", "redis2");
  await restorable();
  expect(await states()).toEqual({ redis1: out, redis2: out, registered: out });
});

test("a proxy that was leaving does not come back", async () => {
  await register("redis1");
  await link.tell(["set server registered/self state drain"], 1000);
  await restart();
  const after = await until("its server", states, ({ redis1 }) => redis1 === ready);
  await restorable();
  expect({ ...after, ...(await states()) }).toEqual({ redis1: ready, redis2: out, registered: out });
});

test("a machine that boots knows nothing", async () => {
  await register("redis1");
  rmSync(kept, { recursive: true });
  mkdirSync(kept);
  await restart();
  await restorable();
  expect(await states()).toEqual({ redis1: out, redis2: out, registered: out });
});

test("where nothing can be kept, nothing is restored, and recovery is not held up", async () => {
  rmSync(kept, { recursive: true });
  await register("redis1");
  expect(await states()).toMatchObject({ redis1: ready, registered: ready });
  await restart();
  await restorable();
  expect(await states()).toEqual({ redis1: out, redis2: out, registered: out });
  mkdirSync(kept);
});

test("a process whose successor has started confirms nothing any more", async () => {
  await register("redis1");
  const former = link;
  const formerProcess = haproxy;
  const announced = () => readFileSync(join(kept, "process"), "utf8");
  const before = announced();
  // The successor listens beside it, as after a reload; the connection stays with the former one.
  await start();
  await until(
    "the successor",
    async () => announced(),
    (text) => text !== before,
  );
  await expect(former.tell(["set server shard1/redis1 state maint"], 1000)).rejects.toThrow(
    /did not keep what it was told: another process has taken over/,
  );
  former.close();
  await end(formerProcess);
});
