/** What one client, one value, or too much data may do to a redis server: real servers from the role's templates. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { redisOptionLines, redisOptions } from "../../infra/redis-options.ts";
import { promote } from "../../recovery/act/promote.ts";
import type { World } from "../../recovery/act/world.ts";
import { systemClock } from "../../recovery/clock.ts";
import { raiseBeat, raiseEpoch } from "../../recovery/observe/own-keys.ts";
import { RedisLink } from "../../recovery/observe/redis-link.ts";
import { type Client, detection, freePorts, login, passwords, until, Workbench } from "./servers.ts";

const address = "127.0.7.3";
const mib = 1024 * 1024;
const limitMs = 60_000;
let bench: Workbench;
let port = 0;
const sockets: Socket[] = [];

beforeAll(() => {
  bench = new Workbench();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => bench.close());

const recoveryLink = () =>
  new RedisLink(address, port, { redisUser: "recovery", redisPassword: passwords.recoveryPassword }, 5_000);

const worldWith = (link: RedisLink) =>
  ({
    board: { redis: () => link, facts: () => ({ machines: { redis1: {} } }) },
    clock: systemClock,
    topology: { detection },
    remember: () => {},
  }) as unknown as World;

/** A server with these settings on top, and a client of it. */
async function started(name: string, ...settings: string[]): Promise<Client> {
  [port = 0] = await freePorts(1);
  bench.startRedis(name, address, port, ...settings);
  return until(
    "redis",
    () => login(address, port, "client"),
    () => true,
    limitMs,
  );
}

async function startedMaster(name: string, ...settings: string[]): Promise<Client> {
  const client = await started(name, ...settings);
  const link = recoveryLink();
  await promote(worldWith(link), { shard: 1, machine: "redis1", epoch: 1 });
  link.close();
  return client;
}

/** A connection that writes what it is told and reads only when it is asked to. */
async function silentClient(): Promise<Socket> {
  const socket = connect({ host: address, port });
  sockets.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(`AUTH client ${passwords.clientPassword}\r\n`);
  await once(socket, "data");
  socket.pause();
  return socket;
}

const setCommand = (key: string, bytes: number) =>
  `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${bytes}\r\n`;

async function storeValue(key: string, bytes: number): Promise<string> {
  const socket = await silentClient();
  socket.resume();
  socket.write(setCommand(key, bytes));
  socket.write(Buffer.alloc(bytes, "x"));
  socket.write("\r\n");
  const [reply] = (await once(socket, "data")) as [Buffer];
  return String(reply);
}

const fill = (client: Client, from: number) =>
  client.ask(
    `EVAL "for i=${from},${from + 999} do redis.call('set','k'..i,string.rep('x',1000)) end return redis.status_reply('full')" 0`,
    limitMs,
  );

async function fillUp(client: Client): Promise<string> {
  for (let from = 0; ; from += 1000) {
    const reply = await fill(client, from);
    if (reply !== "+full") return reply;
  }
}

test("at the limit of memory the writer gets -OOM, reads go on, and heartbeat and promotion still work", async () => {
  const client = await startedMaster("full", "--maxmemory", "40mb", "--repl-backlog-size", "1mb");
  expect(await fillUp(client)).toMatch(/^-.*OOM/);
  expect(await client.ask("SET one more")).toMatch(/^-OOM/);
  expect(await client.ask("GET k1")).toBe("$1000");
  const link = recoveryLink();
  await link.run([raiseBeat()], limitMs);
  await promote(worldWith(link), { shard: 1, machine: "redis1", epoch: 2 });
  const answer = await link.ask();
  expect(answer).toMatchObject({ info: { epoch: 2, beat: 1 } });
  link.close();
}, 120_000);

test("the epoch only rises: a promotion that comes late fails, and leaves the later one's", async () => {
  await startedMaster("late");
  const link = recoveryLink();
  await promote(worldWith(link), { shard: 1, machine: "redis1", epoch: 5 });
  await expect(promote(worldWith(link), { shard: 1, machine: "redis1", epoch: 4 })).rejects.toThrow(
    "redis1 is not promoted for shard 1: its data are of epoch 5, not older than 4",
  );
  // One that has passed that look, and whose command arrives late, does not take the epoch back either.
  expect(await link.run([raiseEpoch(4)], limitMs)).toEqual(["5"]);
  expect(await link.ask()).toMatchObject({ info: { epoch: 5 } });
  link.close();
});

test("a client that asks for 1.5 GB and reads nothing loses its connection; the others are not harmed", async () => {
  const client = await startedMaster("heap");
  expect(await storeValue("large", 10 * mib)).toBe("+OK\r\n");
  const greedy = await silentClient();
  const closed = once(greedy, "close");
  greedy.write("GET large\r\n".repeat(150));
  // A paused socket does not notice its end; it is seen on the server.
  const link = recoveryLink();
  await until(
    "its end",
    async () => String((await link.run([["CLIENT", "LIST"]], limitMs))[0]),
    (list) => !/ omem=[1-9]\d{6}/.test(list) && (list.match(/cmd=get/g) ?? []).length === 0,
    limitMs,
  );
  greedy.resume();
  await closed;
  expect(await client.ask("GET none")).toBe("$-1");
  link.close();
}, 120_000);

test("a client that reads slowly gets its 100 MB in the end", async () => {
  await startedMaster("slow");
  expect(await storeValue("large", 100 * mib)).toBe("+OK\r\n");
  const slow = await silentClient();
  slow.write("GET large\r\n");
  const link = recoveryLink();
  await until(
    "the reply in the server's buffer",
    async () => String((await link.run([["CLIENT", "LIST"]], limitMs))[0]),
    (list) => / omem=\d{8}/.test(list),
    limitMs,
  );
  link.close();
  let bytes = 0;
  slow.on("data", (data) => {
    bytes += data.length;
  });
  slow.resume();
  await until(
    "100 MB",
    async () => bytes,
    (seen) => seen > 100 * mib,
    limitMs,
  );
}, 120_000);

test("every option of barton:redisOptions is one that redis knows and takes", async () => {
  const options = redisOptions.parse({
    maxmemory: "64mb",
    "maxmemory-policy": "volatile-lru",
    "maxmemory-samples": 5,
    "lfu-log-factor": 10,
    "lfu-decay-time": 1,
    "notify-keyspace-events": "Ex",
    timeout: 600,
    "proto-max-bulk-len": "1mb",
    "slowlog-log-slower-than": 10_000,
    "slowlog-max-len": 128,
    "latency-monitor-threshold": 100,
    appendfsync: "always",
    "auto-aof-rewrite-percentage": 50,
    "auto-aof-rewrite-min-size": "128mb",
    "hash-max-listpack-entries": 128,
    "hash-max-listpack-value": 64,
    "list-max-listpack-size": -2,
    "set-max-intset-entries": 512,
    "zset-max-listpack-entries": 128,
    "zset-max-listpack-value": 64,
    "stream-node-max-bytes": 4096,
    "stream-node-max-entries": 100,
    "lazyfree-lazy-eviction": "yes",
    "lazyfree-lazy-expire": "yes",
    "lazyfree-lazy-user-del": "yes",
    "lazyfree-lazy-user-flush": "yes",
  });
  expect(Object.keys(options)).toEqual(Object.keys(redisOptions.shape));
  const lines = redisOptionLines(options);
  const settings = lines.flatMap((line) => {
    const [name = "", ...value] = line.split(" ");
    return [`--${name}`, value.join(" ")];
  });
  await startedMaster("options", ...settings);
  const subscriber = await login(address, port, "client");
  expect(await subscriber.ask("PSUBSCRIBE __keyevent*")).toBe("*3");
  const client = await login(address, port, "client");
  expect(await client.ask("SET short 1 PX 1")).toBe("+OK");
  await until(
    "the event",
    async () => subscriber.heard,
    (text) => text.includes("__keyevent@0__:expired"),
    limitMs,
  );
  subscriber.close();
});

test("one value has 128 MB at most", async () => {
  await startedMaster("value");
  expect(await storeValue("allowed", 1 * mib)).toBe("+OK\r\n");
  const socket = await silentClient();
  socket.resume();
  socket.write(setCommand("giant", 129 * mib));
  const [reply] = (await once(socket, "data")) as [Buffer];
  expect(String(reply)).toMatch(/^-ERR Protocol error: invalid bulk length/);
});
