/** Why a redis server refuses, or its replica has no copy, as a real redis tells it to a user with recovery's few rights. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RedisInfo, Refusal } from "../../../recovery/observe/facts.ts";
import { RedisLink } from "../../../recovery/observe/redis-link.ts";
import { type Client, end, freePorts, login, passwords, until, Workbench } from "../../infra/servers.ts";

const address = "127.0.0.1";
let bench: Workbench;
let ports: number[];
const links: RedisLink[] = [];
const clients: Client[] = [];

beforeEach(async () => {
  bench = new Workbench();
  ports = await freePorts(2);
});
afterEach(async () => {
  for (const one of [...links.splice(0), ...clients.splice(0)]) one.close();
  await bench.close();
});

const portOf = (position: number) => ports[position] ?? 0;

function linkTo(port: number, redisPassword = passwords.recoveryPassword): RedisLink {
  const link = new RedisLink(address, port, { redisUser: "recovery", redisPassword }, 1_000);
  links.push(link);
  return link;
}

async function clientOf(port: number, user: "client" | "recovery" = "client"): Promise<Client> {
  const client = await login(address, port, user);
  clients.push(client);
  return client;
}

const infoOf = (link: RedisLink, what: string, isIt: (info: RedisInfo) => boolean, limitMs = 20_000) =>
  until(
    what,
    async () => {
      const answer = await link.ask();
      if ("refusal" in answer) throw new Error(answer.refusal.text);
      return answer.info;
    },
    isIt,
    limitMs,
  );

const refusalOf = async (link: RedisLink, kind: Refusal["kind"]) => {
  const answer = await until(
    `a refusal: ${kind}`,
    () => link.ask(),
    (one) => "refusal" in one && one.refusal.kind === kind,
    20_000,
  );
  return "refusal" in answer ? answer.refusal.text : "";
};

const isAnswering = (link: RedisLink) => infoOf(link, "an answer", ({ loading }) => !loading);

/** Gives the server `count` keys, in one reply. */
async function fill(port: number, count: number): Promise<void> {
  const client = await clientOf(port);
  const script = `for i=1,${count} do redis.call('set','k'..i,i) end return 'full'`;
  await client.ask(`EVAL "${script}" 0`);
}

async function makeMaster(port: number): Promise<void> {
  expect(await (await clientOf(port, "recovery")).ask("REPLICAOF NO ONE")).toMatch(/^\+OK/);
}

test("too many clients", async () => {
  bench.startRedis("redis", address, portOf(0), "--maxclients", "1");
  const first = linkTo(portOf(0));
  await isAnswering(first);
  expect(await refusalOf(linkTo(portOf(0)), "too many clients")).toBe("ERR max number of clients reached");
  expect((await infoOf(first, "the count", () => true)).counters?.refusedConnections).toBeGreaterThan(0);
});

test("a wrong password", async () => {
  bench.startRedis("redis", address, portOf(0));
  await isAnswering(linkTo(portOf(0)));
  expect(await refusalOf(linkTo(portOf(0), "wrong"), "credentials")).toContain("WRONGPASS");
});

test("missing rights", async () => {
  bench.startRedis("redis", address, portOf(0));
  await isAnswering(linkTo(portOf(0)));
  const link = new RedisLink(
    address,
    portOf(0),
    { redisUser: "replication", redisPassword: passwords.replicationPassword },
    1_000,
  );
  links.push(link);
  expect(await refusalOf(link, "rights")).toContain("NOPERM");
});

test("a script that does not end", async () => {
  bench.startRedis("redis", address, portOf(0), "--busy-reply-threshold", "100");
  const link = linkTo(portOf(0));
  await isAnswering(link);
  await makeMaster(portOf(0));
  const client = await clientOf(portOf(0));
  client.ask('EVAL "while true do end" 0', 60_000).catch(() => {});
  expect(await refusalOf(link, "busy")).toContain("BUSY");
});

test("loading, with its progress", async () => {
  const server = bench.startRedis("redis", address, portOf(0));
  await isAnswering(linkTo(portOf(0)));
  await makeMaster(portOf(0));
  await fill(portOf(0), 20_000);
  await infoOf(linkTo(portOf(0)), "the file on disk", () => true);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await end(server);
  bench.startRedis("redis", address, portOf(0), "--key-load-delay", "400");
  const info = await infoOf(
    linkTo(portOf(0)),
    "progress",
    ({ loading, loadingProgress }) => loading && (loadingProgress?.percent ?? 0) > 0,
  );
  expect(info.loadingProgress).toEqual({ percent: expect.any(Number), secondsLeft: expect.any(Number) });
  expect(info.loadingProgress?.percent).toBeLessThan(100);
});

test("a wrong replication password: the replica's link is down, and its master counts refused logins", async () => {
  bench.startRedis("master", address, portOf(0));
  bench.startRedis("replica", address, portOf(1), "--masterauth", "wrong");
  const [master, replica] = [linkTo(portOf(0)), linkTo(portOf(1))];
  await Promise.all([isAnswering(master), isAnswering(replica)]);
  await makeMaster(portOf(0));
  const before = (await infoOf(master, "the master", ({ role }) => role === "master")).counters;
  await (await clientOf(portOf(1), "recovery")).ask(`REPLICAOF ${address} ${portOf(0)}`);
  const after = await infoOf(
    master,
    "refused logins",
    ({ counters }) => (counters?.refusedLogins ?? 0) > (before?.refusedLogins ?? 0) + 1,
  );
  expect(after.counters?.refusedConnections).toBe(0);
  const { follows } = await infoOf(replica, "the link", ({ follows }) => follows?.linkUp === false);
  expect(follows?.syncing).toBe(false);
});

test("a full copy: how much has come, and how often it began", async () => {
  bench.startRedis("master", address, portOf(0), "--rdb-key-save-delay", "1000");
  bench.startRedis("replica", address, portOf(1));
  const [master, replica] = [linkTo(portOf(0)), linkTo(portOf(1))];
  await Promise.all([isAnswering(master), isAnswering(replica)]);
  await makeMaster(portOf(0));
  await fill(portOf(0), 50_000);
  await (await clientOf(portOf(1), "recovery")).ask(`REPLICAOF ${address} ${portOf(0)}`);
  const { follows } = await infoOf(replica, "the copy", ({ follows }) => follows?.copy !== undefined);
  expect(follows).toMatchObject({ linkUp: false, syncing: true });
  expect(follows?.copy).toEqual({ bytesReceived: expect.any(Number), idleSeconds: expect.any(Number) });
  expect((await infoOf(master, "the count", () => true)).counters?.fullCopies).toBe(1);
});

test("a link that was lost: since when", async () => {
  const server = bench.startRedis("master", address, portOf(0));
  bench.startRedis("replica", address, portOf(1));
  const replica = linkTo(portOf(1));
  await Promise.all([isAnswering(linkTo(portOf(0))), isAnswering(replica)]);
  await makeMaster(portOf(0));
  await (await clientOf(portOf(1), "recovery")).ask(`REPLICAOF ${address} ${portOf(0)}`);
  await infoOf(replica, "the link", ({ follows }) => follows?.linkUp === true);
  await end(server);
  await infoOf(replica, "the loss", ({ follows }) => (follows?.downSeconds ?? 0) >= 1);
});

test("an answer that lacks a field", async () => {
  const text = "# Server\r\nrun_id:abc\r\n";
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (data) => {
      for (const [, name = ""] of String(data).matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
        socket.write(name.toUpperCase() === "INFO" ? `$${text.length}\r\n${text}\r\n` : "+OK\r\n");
      }
    });
  }).listen(0, address);
  await once(server, "listening");
  const link = linkTo((server.address() as AddressInfo).port);
  expect(await link.ask()).toEqual({
    refusal: {
      kind: "unreadable",
      text: 'INFO lacks the field "role"; is this redis 7 or later, or valkey?',
    },
  });
  link.close();
  server.close();
});
