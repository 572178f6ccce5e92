/**
 * Real haproxy of the app machine: a proxy that is given up loses its standing sessions, and a client that was
 * still connecting is served by the twin.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { clientProxyConfig } from "../../infra/roles/app/role.ts";
import {
  Client,
  cutScript,
  detection,
  end,
  freePorts,
  startNameServer,
  stats,
  until,
  Workbench,
} from "./servers.ts";

const bench = new Workbench();
const app = "127.0.8.30";
const first = "127.0.8.31";
const second = "127.0.8.32";
const socket = `${bench.folder}/app.sock`;
/** A health page that falls silent, as the machine's. */
const silent = 0;
const health = { [first]: 200, [second]: 200 };
const cleanups: (() => unknown)[] = [];

let ports: { proxy: number; client: number; runtime: number; health: number };
let nameServer: Awaited<ReturnType<typeof startNameServer>>;
let firstPage: Server;
let firstProxy: ChildProcess & { pid: number };
let haproxy: ChildProcess & { pid: number };

beforeAll(async () => {
  const [a = 0, b = 0, c = 0, d = 0] = await freePorts(4);
  ports = { proxy: a, client: b, runtime: c, health: d };
  nameServer = await startNameServer(
    new Map([
      ["haproxy1.barton", first],
      ["haproxy2.barton", second],
    ]),
  );
  await startPage(second);
  const twin = createServer((client) => {
    client.on("data", () => client.write("second\r\n")).on("error", () => {});
  }).listen(ports.proxy, second);
  await once(twin, "listening");
});
afterAll(async () => {
  await bench.close();
  await nameServer.close();
});

beforeEach(async () => {
  health[first] = 200;
  firstPage = await startPage(first);
  firstProxy = startFirstProxy();
  await until("the first proxy", () => ask(new Client(first, ports.proxy)), Boolean);
  await startApp();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await Promise.all([end(firstProxy), end(haproxy)]);
  closePage(firstPage);
});

async function startPage(address: typeof first | typeof second): Promise<Server> {
  const page = createHttpServer((_, response) => {
    const status = health[address];
    if (status !== silent) response.writeHead(status).end();
  }).listen(ports.health, address);
  await once(page, "listening");
  return page;
}

function closePage(page: Server): void {
  page.close();
  page.closeAllConnections();
}

/** Another process, which can be stopped; its queue of connections that it has not accepted is short. */
function startFirstProxy() {
  const serve = `require("node:net")
    .createServer((client) => client.on("data", () => client.write("first\\r\\n")).on("error", () => {}))
    .listen({ host: "${first}", port: ${ports.proxy}, backlog: 1 })`;
  return bench.start(process.execPath, ["-e", serve]);
}

async function startApp(): Promise<void> {
  const config = clientProxyConfig({
    shards: [{ index: 1, clientPort: ports.client, proxyPort: ports.proxy, redisPort: 1 }],
    detection,
    adminSocket: socket,
    runtimeBind: `${app}:${ports.runtime}`,
    clientBind: app,
    resolver: `127.0.0.1:${nameServer.port}`,
    haproxy1: "haproxy1.barton",
    haproxy2: "haproxy2.barton",
    healthPort: ports.health,
    cutScript,
  });
  haproxy = bench.startHaproxy("app", config);
  for (const name of ["haproxy1", "haproxy2"]) await status(name, /^UP/, "L7OK");
}

const stat = async (server: string) => (await stats(socket))(server);
const status = (name: string, pattern: RegExp, check: string) =>
  until(
    `${name} ${pattern}`,
    () => stat(`proxies/${name}`),
    (row) => pattern.test(row.status ?? "") && row.check_status === check,
  );
const isDown = async () => (await stat("proxies/haproxy1")).status?.startsWith("DOWN") ?? false;

function newClient(): Client {
  const client = new Client(app, ports.client);
  cleanups.push(() => client.close());
  return client;
}

async function ask(client: Client): Promise<string> {
  try {
    return await client.ask("who");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** As if its machine had fallen silent: SYNs get no answer, sessions that stand neither answer nor end. */
async function silenceFirst(): Promise<void> {
  firstProxy.kill("SIGSTOP");
  while (await fill());
  health[first] = silent;
}

/** Takes one place in the queue of the stopped process. Is there one? */
async function fill(): Promise<boolean> {
  const filler: Socket = connect(ports.proxy, first);
  cleanups.push(() => filler.destroy());
  filler.on("error", () => {});
  return Promise.race([
    once(filler, "connect").then(() => true),
    new Promise<false>((resolve) => setTimeout(resolve, 200, false)),
  ]);
}

/** Clients that connect anew, one after the other, until the first proxy is given up; and who answered them. */
async function connectUntilDown(): Promise<string[]> {
  const answers: Promise<string>[] = [];
  while (!(await isDown())) {
    answers.push(ask(newClient()));
    await new Promise((next) => setTimeout(next, 30));
  }
  return Promise.all(answers);
}

test("a proxy falls silent: its standing sessions end, who connects meanwhile is served by the twin", async () => {
  const idle = newClient();
  expect(await ask(idle)).toBe("first");
  const waiting = newClient();
  expect(await ask(waiting)).toBe("first");
  await silenceFirst();
  const waited = ask(waiting);
  const answers = await connectUntilDown();
  expect(answers.length).toBeGreaterThan(3);
  expect(new Set(answers)).toEqual(new Set(["second"]));
  await until("the sessions' end", async () => idle.closed && waiting.closed, Boolean, 1000);
  expect(await waited).toBe("the connection was closed");
  await until(
    "no session with haproxy1",
    () => stat("shard1/haproxy1"),
    (row) => row.scur === "0",
    500,
  );
});

test("a proxy's process crashes: who connects before it is given up is served by the twin", async () => {
  expect(await ask(newClient())).toBe("first");
  await end(firstProxy);
  closePage(firstPage);
  const answers = await connectUntilDown();
  expect(answers.length).toBeGreaterThan(0);
  expect(new Set(answers)).toEqual(new Set(["second"]));
});

test("a proxy that drains keeps its sessions until it is unregistered", async () => {
  const client = newClient();
  expect(await ask(client)).toBe("first");
  health[first] = 404;
  await status("haproxy1", /^NOLB/, "L7OKC");
  expect(await ask(newClient())).toBe("second");
  // Many times as long as a cut takes.
  await new Promise((later) => setTimeout(later, 500));
  expect(await ask(client)).toBe("first");
  health[first] = 503;
  await until("the session's end", async () => client.closed, Boolean, 2000);
});

test("both proxies are given up: their sessions end, and who connects waits until one is back", async () => {
  const atFirst = newClient();
  expect(await ask(atFirst)).toBe("first");
  health[first] = 404;
  await status("haproxy1", /^NOLB/, "L7OKC");
  const atSecond = newClient();
  expect(await ask(atSecond)).toBe("second");
  health[first] = health[second] = 503;
  await until("the sessions' end", async () => atFirst.closed && atSecond.closed, Boolean, 2000);
  const waiting = ask(newClient());
  health[second] = 200;
  expect(await waiting).toBe("second");
});

test("a proxy that is given up again and again: its sessions end each time", async () => {
  for (let time = 0; time < 3; time += 1) {
    const client = newClient();
    expect(await ask(client)).toBe("first");
    health[first] = 503;
    await until("the session's end", async () => client.closed, Boolean, 2000);
    health[first] = 200;
    await status("haproxy1", /^UP/, "L7OK");
  }
});

test("hundreds of sessions end together", async () => {
  const clients = Array.from({ length: 900 }, newClient);
  expect(new Set(await Promise.all(clients.map(ask)))).toEqual(new Set(["first"]));
  health[first] = 503;
  await until("haproxy1 down", isDown, Boolean);
  await until("the sessions' end", async () => clients.every(({ closed }) => closed), Boolean, 1000);
});
