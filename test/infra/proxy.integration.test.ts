/** Real haproxy and redis from the roles' templates: traffic that waits, probes, and the way through app. */
import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientProxyConfig } from "../../infra/roles/app/role.ts";
import { proxyConfig } from "../../infra/roles/haproxy/role.ts";
import { AppLink } from "../../recovery/observe/app-link.ts";
import { ProxyLink } from "../../recovery/observe/proxy-link.ts";
import {
  Client,
  checkHaproxyConfig,
  cutScript,
  detection,
  end,
  freePorts,
  keepScript,
  login,
  runtimeApi,
  startNameServer,
  stats,
  until,
  Workbench,
} from "./servers.ts";

const bench = new Workbench();
/** Restarts are tested in keep.integration.test.ts. */
const nothingKept = { keepScript, keptIn: "/nonexistent" };
const redis = { redis1: "127.0.8.1", redis2: "127.0.8.2" };
type Redis = keyof typeof redis;
type Proxy = { address: string; process: ChildProcess & { pid: number } };
const servers = {} as Record<Redis, ChildProcess & { pid: number }>;
let ports: { redis: number; proxy: number; client: number; runtime: number; health: number };

beforeAll(async () => {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = await freePorts(5);
  ports = { redis: a, proxy: b, client: c, runtime: d, health: e };
  servers.redis1 = bench.startRedis("redis1", redis.redis1, ports.redis);
  servers.redis2 = bench.startRedis("redis2", redis.redis2, ports.redis);
  for (const address of Object.values(redis))
    await until(
      "redis",
      () => login(address, ports.redis, "recovery"),
      () => true,
    );
});
afterAll(() => bench.close());

async function startProxy(address: string): Promise<Proxy> {
  const config = proxyConfig({
    shards: [{ index: 1, proxyPort: ports.proxy }],
    detection,
    adminSocket: `${bench.folder}/${address}.sock`,
    runtimeBind: `${address}:${ports.runtime}`,
    healthBind: `${address}:${ports.health}`,
    proxyBind: address,
    ...nothingKept,
  });
  const proxy = { address, process: bench.startHaproxy(address, config) };
  await until(
    `runtime API of ${address}`,
    () => tell(proxy, "show info"),
    (text) => text.includes("Uptime"),
  );
  return proxy;
}

const tell = ({ address }: Proxy, command: string) =>
  runtimeApi({ host: address, port: ports.runtime }, command);
const stat = async ({ address }: Proxy, server: string) =>
  (await stats({ host: address, port: ports.runtime }))(server);

/** As recovery does it: addresses first, then the probes; `master` gets the traffic. */
async function register(proxy: Proxy, master: Redis | undefined): Promise<void> {
  for (const [name, address] of Object.entries(redis)) {
    await tell(proxy, `set server probe1/${name} addr ${address} port ${ports.redis}`);
    await tell(proxy, `set server probe1/${name} state ready`);
    await tell(proxy, `set server shard1/${name} addr ${address} port ${ports.redis}`);
    await tell(proxy, `set server shard1/${name} state ${name === master ? "ready" : "maint"}`);
  }
  await tell(proxy, "set server registered/self state ready");
}

/** As recovery does it: new traffic waits, old sessions end. */
async function fence(proxy: Proxy, name: Redis): Promise<void> {
  await tell(proxy, `set server shard1/${name} state maint`);
  await tell(proxy, `shutdown sessions server shard1/${name}`);
}

async function promote(name: Redis): Promise<void> {
  const other = name === "redis1" ? "redis2" : "redis1";
  const master = await login(redis[name], ports.redis, "recovery");
  expect(await master.ask("REPLICAOF NO ONE")).toBe("+OK");
  master.close();
  await follow(other, name);
}

async function follow(name: Redis, master: Redis): Promise<void> {
  const replica = await login(redis[name], ports.redis, "recovery");
  expect(await replica.ask(`REPLICAOF ${redis[master]} ${ports.redis}`)).toMatch(/^\+OK/);
  replica.close();
}

const health = async (address: string) => (await fetch(`http://${address}:${ports.health}/`)).status;
const writesDone = async (name: Redis, key: string) => {
  const client = await login(redis[name], ports.redis, "client");
  const reply = await client.ask(`EXISTS ${key}`);
  client.close();
  return reply;
};

test("both configurations are valid, without a warning", async () => {
  const shards = [1, 2].map((index) => ({
    index,
    clientPort: 7000 + index,
    proxyPort: 8000 + index,
    redisPort: 9000 + index,
  }));
  const adminSocket = `${bench.folder}/check.sock`;
  const proxy = proxyConfig({
    shards,
    detection,
    adminSocket,
    runtimeBind: "0.0.0.0:8999",
    healthBind: "0.0.0.0:8900",
    proxyBind: "0.0.0.0",
    ...nothingKept,
  });
  const app = clientProxyConfig({
    shards,
    detection,
    adminSocket,
    runtimeBind: "0.0.0.0:8999",
    clientBind: "127.0.0.1",
    resolver: "10.42.0.2:53",
    haproxy1: "haproxy1.barton",
    haproxy2: "haproxy2.barton",
    healthPort: 8900,
    cutScript,
  });
  for (const config of [proxy, app])
    expect((await checkHaproxyConfig(bench.write("check.cfg", config))).trim()).toBe(
      "Configuration file is valid",
    );
});

describe("a proxy", () => {
  let proxy: Proxy;
  beforeAll(async () => {
    await promote("redis1");
    proxy = await startProxy("127.0.8.11");
  });
  afterAll(() => end(proxy.process));

  test("that starts fresh is unregistered and lets everybody wait, until it is told who is master", async () => {
    expect(await health(proxy.address)).toBe(503);
    const waiting = Promise.all(
      Array.from({ length: 20 }, () => login(proxy.address, ports.proxy, "client")),
    );
    let served = false;
    waiting.then(() => {
      served = true;
    });
    await until(
      "20 waiting sessions",
      () => stat(proxy, "shard1/FRONTEND"),
      (row) => row.scur === "20",
    );
    await new Promise((later) => setTimeout(later, 1000));
    expect(served).toBe(false);

    await register(proxy, "redis1");
    const released = Date.now();
    const clients = await waiting;
    expect(Date.now() - released).toBeLessThan(1000);
    for (const client of clients) {
      expect(await client.ask("SET waited 1")).toBe("+OK");
      client.close();
    }
    expect(await health(proxy.address)).toBe(200);
  });

  test("tells three kinds of health apart: alive, stalled, refused", async () => {
    const probe = (status: string, check: string) =>
      until(
        `probe ${status} ${check}`,
        () => stat(proxy, "probe1/redis2"),
        (row) => row.status === status && row.check_status === check,
      );
    await probe("UP", "L7OK");
    servers.redis2.kill("SIGSTOP");
    await probe("DOWN", "L7TOUT");
    servers.redis2.kill("SIGCONT");
    await probe("UP", "L7OK");
    await end(servers.redis2);
    await probe("DOWN", "L4CON");
    servers.redis2 = bench.startRedis("redis2", redis.redis2, ports.redis);
    await probe("UP", "L7OK");
  });

  test("does not change its traffic by itself: a dead master means waiting", async () => {
    await follow("redis2", "redis1"); // which has just started
    await until(
      "a synced replica",
      () => login(redis.redis1, ports.redis, "client").then((c) => c.ask("WAIT 1 50")),
      (r) => r === ":1",
    );
    const before = await login(proxy.address, ports.proxy, "client");
    await end(servers.redis1);
    await until("the session's end", async () => before.closed, Boolean);
    const waiting = login(proxy.address, ports.proxy, "client");
    await until(
      "probe",
      () => stat(proxy, "probe1/redis1"),
      (row) => row.status === "DOWN",
    );
    expect((await stat(proxy, "shard1/redis1")).status).toBe("no check");

    await fence(proxy, "redis1");
    await promote("redis2").catch(() => {}); // its counterpart is gone
    await tell(proxy, "set server shard1/redis2 state ready");
    const client = await waiting;
    expect(await client.ask("GET waited")).toBe("$1");
    expect(await client.ask("SET after failover")).toBe("+OK");
    client.close();
    servers.redis1 = bench.startRedis("redis1", redis.redis1, ports.redis);
  });

  test("cuts sessions that stand when their server is fenced, and lets their clients wait", async () => {
    const client = await login(proxy.address, ports.proxy, "client");
    await fence(proxy, "redis2");
    await until("the session's end", async () => client.closed, Boolean, 1000);
    const waiting = login(proxy.address, ports.proxy, "client");
    await until(
      "a waiting session",
      () => stat(proxy, "shard1/FRONTEND"),
      (row) => row.scur === "1",
    );
    await tell(proxy, "set server shard1/redis2 state ready");
    (await waiting).close();
  });

  test("has no session left with a fenced server, also none of which one side had ended already", async () => {
    // The server does not answer any more, and a client leaves: haproxy still waits for the server's end of it.
    servers.redis2.kill("SIGSTOP");
    const leaving = new Client(proxy.address, ports.proxy);
    leaving.ask("PING").catch(() => {});
    await until(
      "a session with redis2",
      () => stat(proxy, "shard1/redis2"),
      (row) => row.scur === "1",
    );
    leaving.close();
    await until(
      "the client's end",
      () => stat(proxy, "shard1/FRONTEND"),
      (row) => row.scur === "0",
      500,
    );
    await fence(proxy, "redis2");
    await until(
      "no session with redis2",
      () => stat(proxy, "shard1/redis2"),
      (row) => row.scur === "0",
      500,
    );
    servers.redis2.kill("SIGCONT");
    await tell(proxy, "set server shard1/redis2 state ready");
    (await login(proxy.address, ports.proxy, "client")).close();
  });

  test("forgets a client that has given up while it waited, and its write", async () => {
    await fence(proxy, "redis2");
    const client = new Client(proxy.address, ports.proxy);
    client.ask("AUTH client client-password-for-tests\r\nSET given-up 1").catch(() => {});
    await until(
      "a waiting session",
      () => stat(proxy, "shard1/FRONTEND"),
      (row) => row.scur === "1",
    );
    client.close();
    await until(
      "nobody waits",
      () => stat(proxy, "shard1/FRONTEND"),
      (row) => row.scur === "0",
    );
    await tell(proxy, "set server shard1/redis2 state ready");
    (await login(proxy.address, ports.proxy, "client")).close();
    expect(await writesDone("redis2", "given-up")).toBe(":0");
  });
});

describe("app", () => {
  const names = new Map([
    ["haproxy1.barton", "127.0.8.11"],
    ["haproxy2.barton", "127.0.8.12"],
  ]);
  let nameServer: Awaited<ReturnType<typeof startNameServer>>;
  let first: Proxy;
  let second: Proxy;
  const socket = `${bench.folder}/app.sock`;
  const appStat = async (server: string) => (await stats(socket))(server);
  const usable = (name: string) =>
    until(
      `app uses ${name}`,
      () => appStat(`proxies/${name}`),
      (row) => row.status?.startsWith("UP") ?? false,
    );
  const unusable = (name: string, limitMs?: number) =>
    until(
      `app gives up ${name}`,
      () => appStat(`proxies/${name}`),
      (row) => row.status?.startsWith("DOWN") ?? false,
      limitMs,
    );
  const connectClient = () => login("127.0.8.20", ports.client, "client");
  /** Through which proxy a new connection goes. */
  const way = async (): Promise<string> => {
    const count = async (name: string) => Number((await appStat(`shard1/${name}`)).stot);
    const before = await count("haproxy1");
    (await connectClient()).close();
    return (await count("haproxy1")) > before ? "haproxy1" : "haproxy2";
  };

  let link: AppLink;
  /** What monit learns from app. */
  const seenByApp = async () => {
    const answer = await link.ask();
    if ("refusal" in answer) throw new Error(answer.refusal);
    return answer.view;
  };

  beforeAll(async () => {
    link = new AppLink({
      address: "127.0.8.20",
      ports: [ports.runtime],
      connectTimeoutMs: 1000,
      nowMs: () => performance.now(),
    });
    nameServer = await startNameServer(names);
    [first, second] = await Promise.all([startProxy("127.0.8.11"), startProxy("127.0.8.12")]);
    const config = clientProxyConfig({
      shards: [{ index: 1, clientPort: ports.client, proxyPort: ports.proxy, redisPort: ports.redis }],
      detection,
      adminSocket: socket,
      runtimeBind: `127.0.8.20:${ports.runtime}`,
      clientBind: "127.0.8.20",
      resolver: `127.0.0.1:${nameServer.port}`,
      haproxy1: "haproxy1.barton",
      haproxy2: "haproxy2.barton",
      healthPort: ports.health,
      cutScript,
    });
    bench.startHaproxy("app", config);
    await until(
      "app's haproxy",
      () => runtimeApi(socket, "show info"),
      (text) => text.includes("Uptime"),
    );
  });
  afterAll(() => {
    link.close();
    return nameServer.close();
  });

  test("tells monit how it sees the proxies, and takes no commands from it", async () => {
    // Not registered yet, but they reply.
    await unusable("haproxy1");
    const { haproxy1 } = await until("looks", seenByApp, (view) => view.haproxy1.look.state === "up");
    expect(haproxy1).toEqual({ address: "127.0.8.11", look: { state: "up" }, usable: false });
    const answer = await runtimeApi(
      { host: "127.0.8.20", port: ports.runtime },
      "disable server proxies/haproxy1",
    );
    expect(answer).toContain("Permission denied");
  });

  test("is heard by the proxies, which tell monit; one that it leaves alone hears it no more, and a new process never has", async () => {
    const proxyLink = new ProxyLink({
      address: second.address,
      ports: [ports.runtime],
      shards: [1],
      connectTimeoutMs: 1000,
      nowMs: () => performance.now(),
    });
    const hearing = async () => {
      const answer = await proxyLink.ask();
      if ("refusal" in answer) throw new Error(answer.refusal);
      return answer.view.hearing;
    };
    // Whoever talks to an address of the loopback has this one himself.
    const heard = (lately: boolean | undefined) => (seen: Awaited<ReturnType<typeof hearing>>) =>
      seen !== undefined && seen.lately["127.0.0.1"] === lately;
    try {
      const { sinceMs } = (await until("app", hearing, heard(true))) ?? {};
      await runtimeApi(socket, "set server proxies/haproxy2 state maint");
      const silent = await until("app's silence", hearing, heard(false));
      expect(silent?.sinceMs).toBe(sinceMs);
      // Monit's knock is no request.
      expect(await proxyLink.knock()).toBe("open");
      await end(second.process);
      second = await startProxy(second.address);
      const anew = await until("the new process", hearing, heard(undefined));
      expect(anew?.sinceMs).toBeGreaterThan(sinceMs ?? 0);
      await runtimeApi(socket, "set server proxies/haproxy2 state ready");
      await until("app again", hearing, heard(true));
    } finally {
      await runtimeApi(socket, "set server proxies/haproxy2 state ready");
      proxyLink.close();
    }
  });

  test("waits while no proxy is registered; then in the order in which they come", async () => {
    // A server counts as up until its first check, which is a moment's matter when app boots.
    await unusable("haproxy1");
    await unusable("haproxy2");
    const waiting = connectClient();
    await until(
      "a waiting session",
      () => appStat("shard1/FRONTEND"),
      (row) => row.scur === "1",
    );
    await register(second, "redis2");
    (await waiting).close();
    expect(await way()).toBe("haproxy2");
    await register(first, "redis2");
    await usable("haproxy1");
    expect(await way()).toBe("haproxy1");
  });

  test("goes to the backup when haproxy1 is killed; standing sessions end at once", async () => {
    const client = await connectClient();
    await end(first.process);
    await until("the session's end", async () => client.closed, Boolean, 1000);
    await unusable("haproxy1", 2000);
    expect(await way()).toBe("haproxy2");
    const { haproxy1, haproxy2 } = await seenByApp();
    expect(haproxy1).toMatchObject({ look: { state: "down", silence: "refused" }, usable: false });
    expect(haproxy2).toMatchObject({ look: { state: "up" }, usable: true });
  });

  test("does not use a proxy that came back until it is registered again", async () => {
    first = await startProxy("127.0.8.11");
    await new Promise((later) => setTimeout(later, 1000));
    expect((await appStat("proxies/haproxy1")).status).toMatch(/^DOWN/);
    expect(await way()).toBe("haproxy2");
    await register(first, "redis2");
    await usable("haproxy1");
    expect(await way()).toBe("haproxy1");
  });

  const leaving = async () => {
    await tell(first, "set server registered/self state drain");
    await until(
      "app's move",
      () => appStat("proxies/haproxy1"),
      (row) => row.status?.startsWith("NOLB") ?? false,
      2000,
    );
  };

  test("connects to the twin of a proxy that drains; what is under way may end until that is unregistered", async () => {
    const client = await connectClient();
    await leaving();
    expect(await health(first.address)).toBe(404);
    expect(await way()).toBe("haproxy2");
    expect(await client.ask("SET leaving 1")).toBe("+OK");
    const { haproxy1 } = await seenByApp();
    expect(haproxy1).toMatchObject({ look: { state: "up" }, usable: false });
    await tell(first, "set server registered/self state maint");
    await until("the session's end", async () => client.closed, Boolean, 2000);
    await unusable("haproxy1", 2000);
  });

  test("comes back to a proxy that drained and is registered again", async () => {
    await tell(first, "set server registered/self state ready");
    await usable("haproxy1");
    await leaving();
    await tell(first, "set server registered/self state ready");
    await usable("haproxy1");
    expect(await way()).toBe("haproxy1");
  });

  test("notices the death of a proxy that drains", async () => {
    const client = await connectClient();
    await leaving();
    await end(first.process);
    await until("the session's end", async () => client.closed, Boolean, 1000);
    await unusable("haproxy1", 2000);
    const { haproxy1 } = await seenByApp();
    expect(haproxy1).toMatchObject({ look: { state: "down", silence: "refused" }, usable: false });
    first = await startProxy("127.0.8.11");
    await register(first, "redis2");
    await usable("haproxy1");
  });

  test("leaves a proxy that is unregistered, and its sessions are cut", async () => {
    const client = await connectClient();
    await tell(first, "set server registered/self state maint");
    await until("the session's end", async () => client.closed, Boolean, 2000);
    expect(await way()).toBe("haproxy2");
  });

  test("gives up a proxy that stands still, and cuts its sessions", async () => {
    await tell(first, "set server registered/self state ready");
    await usable("haproxy1");
    const client = await connectClient();
    first.process.kill("SIGSTOP");
    await until("the session's end", async () => client.closed, Boolean, 2000);
    expect(await way()).toBe("haproxy2");
    await end(first.process);
  });

  test("finds a replaced proxy at its new address, by its name, without a touch", async () => {
    const replaced = await startProxy("127.0.8.13");
    await register(replaced, "redis2");
    names.set("haproxy1.barton", "127.0.8.13");
    await usable("haproxy1");
    expect(await way()).toBe("haproxy1");
    expect((await appStat("shard1/haproxy1")).addr).toBe(`127.0.8.13:${ports.proxy}`);
    first = replaced;
  });

  test("keeps the addresses that it knows while the names do not exist, and finds a replaced proxy afterwards", async () => {
    const known = [...names];
    const client = await connectClient();
    names.clear();
    await new Promise((later) => setTimeout(later, 2000));
    expect(await client.ask("PING")).toBe("+PONG");
    expect(await way()).toBe("haproxy1");
    names.set("haproxy1.barton", second.address);
    const checks = (address: string) =>
      until(
        `checks of ${address}`,
        () => appStat("proxies/haproxy1"),
        (row) => row.addr?.startsWith(`${address}:`) ?? false,
      );
    await checks(second.address);
    for (const [name, address] of known) names.set(name, address);
    await checks(first.address);
    await usable("haproxy1");
    client.close();
  });

  test("needs no name server for what it knows", async () => {
    await nameServer.close();
    nameServer = { ...nameServer, close: async () => {} };
    const client: Client = await connectClient();
    await new Promise((later) => setTimeout(later, 2000));
    expect(await client.ask("PING")).toBe("+PONG");
    await end(first.process);
    await unusable("haproxy1", 2000);
    expect(await way()).toBe("haproxy2");
  });
});
