/** Real redis servers from the role's templates: two counterparts on one port at two loopback addresses. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, freePorts, login, until, Workbench } from "./servers.ts";

const [one, two] = ["127.0.7.1", "127.0.7.2"];
const bench = new Workbench();
let port: number;
let recovery: Client;
/** By the user's rights; DEBUG is off for everybody. */
const refused = /^-(NOPERM|ERR DEBUG command not allowed)/;

beforeAll(async () => {
  [port = 0] = await freePorts(1);
  bench.startRedis("redis1", one, port);
  bench.startRedis("redis2", two, port);
  for (const address of [one, two])
    await until(
      "redis",
      () => login(address, port, "recovery"),
      () => true,
    );
  recovery = await login(one, port, "recovery");
});
afterAll(() => bench.close());

test("both are born replicas of nobody, and refuse writes", async () => {
  for (const address of [one, two]) {
    const client = await login(address, port, "client");
    expect(await client.ask("SET key value")).toMatch(/^-READONLY/);
  }
  const info = await recovery.ask("ROLE");
  expect(info).toBe("*5");
});

describe("once recovery has promoted one", () => {
  let client: Client;
  beforeAll(async () => {
    expect(await recovery.ask("REPLICAOF NO ONE")).toBe("+OK");
    expect(await recovery.ask("SELECT 16")).toBe("+OK");
    expect(await recovery.ask("SET barton:epoch 7")).toBe("+OK");
    client = await login(one, port, "client");
  });

  test("its counterpart follows when it is told to, logged in as `replication`, with data and epoch", async () => {
    const replica = await login(two, port, "recovery");
    expect(await replica.ask("SELECT 16")).toBe("+OK");
    expect(await replica.ask(`REPLICAOF ${one} ${port}`)).toBe("+OK");
    expect(await client.ask("SET key value")).toBe("+OK");
    await until(
      "a confirmed write",
      () => client.ask("WAIT 1 100"),
      (reply) => reply === ":1",
    );
    await until(
      "the epoch on the replica",
      () => replica.ask("GET barton:epoch"),
      (reply) => reply === "$1",
    );
    const reader = await login(two, port, "client");
    expect(await reader.ask("GET key")).toBe("$5");
  });

  test.each([
    "CONFIG GET dir",
    "CONFIG SET appendonly no",
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "DEBUG SLEEP 0",
    "REPLICAOF NO ONE",
    "SLAVEOF NO ONE",
    "SHUTDOWN NOSAVE",
    "ACL LIST",
    "CLIENT KILL TYPE normal",
    "CLIENT LIST",
    "MONITOR",
    "BGSAVE",
    "SAVE",
    "PSYNC ? -1",
    "SYNC",
    "REPLCONF ack 1",
    "FAILOVER",
    "MODULE LIST",
    "SWAPDB 0 1",
    "SELECT 16",
    "SELECT 016",
    "SELECT +16",
    "INFO",
    "MIGRATE h 1 k 0 1",
    "SORT key",
  ])("a client may not %s", async (command) => {
    expect(await client.ask(command)).toMatch(refused);
  });

  test.each([
    "GET barton:epoch",
    "SET barton:epoch 9",
    "DEL barton:epoch",
    "RENAME barton:epoch x",
    "RENAME key barton:x",
    "DEL key2 barton:epoch",
    "COPY key barton:",
    "SET barton:",
    "EVAL return(1) 1 barton:epoch",
    "OBJECT ENCODING barton:epoch",
    "EXPIRE barton:epoch 1",
  ])("a client may not %s: recovery's keys are out of reach", async (command) => {
    expect(await client.ask(command === "SET barton:" ? "SET barton: 1" : command)).toMatch(/^-NOPERM/);
  });

  test("nor by another way into recovery's database", async () => {
    expect(await client.ask("COPY key barton:epoch DB 16 REPLACE")).toMatch(/^-NOPERM/);
    expect(await client.ask("MOVE barton:epoch 16")).toMatch(/^-NOPERM/);
    expect(await client.ask(`EVAL "return redis.call('select',16)" 0`)).toMatch(/^-/);
    const other = await login(one, port, "recovery");
    expect(await other.ask("SELECT 16")).toBe("+OK");
    expect(await other.ask("GET barton:epoch")).toBe("$1");
  });

  test("nor do they get in its way: its databases have the client's own keys only", async () => {
    const own = await login(one, port, "client");
    expect(await own.ask("SELECT 15")).toBe("+OK");
    expect(await own.ask("SET mine 1")).toBe("+OK");
    expect(await own.ask("DBSIZE")).toBe(":1");
    expect(await own.ask("RANDOMKEY")).toBe("$4");
    own.close();
  });

  test("not even from a script", async () => {
    const script = `EVAL "return redis.call('get','barton:epoch')" 0`;
    expect(await client.ask(script)).toMatch(
      /^-.*(NOPERM|can't access|ACL failure|No permissions|permissions)/,
    );
    const other = await login(one, port, "recovery");
    expect(await other.ask("SELECT 16")).toBe("+OK");
    expect(await other.ask("GET barton:epoch")).toBe("$1");
  });

  test.each([
    "b",
    "ba",
    "barton",
    "bartons",
    "bart:x",
    "x",
    "barto:n",
    "Barton:epoch",
    "{barton:}",
    `"\\xff"`,
    `""`,
    `"a b"`,
  ])("a client may use the key %s", async (key) => {
    expect(await client.ask(`SET ${key} 1`)).toBe("+OK");
    expect(await client.ask(`INCR ${key}`)).toBe(":2");
  });

  test("a client may use transactions, scripts, blocking commands and channels", async () => {
    expect(await client.ask("MULTI")).toBe("+OK");
    expect(await client.ask("SET t 1")).toBe("+QUEUED");
    expect(await client.ask("EXEC")).toBe("*1");
    expect(await client.ask(`EVAL "return redis.call('set',KEYS[1],1)" 1 s`)).toBe("+OK");
    expect(await client.ask("BLPOP none 0.01")).toBe("*-1");
    expect(await client.ask("PUBLISH news hello")).toBe(":0");
    expect(await client.ask("CLIENT SETNAME me")).toBe("+OK");
    const subscriber = await login(one, port, "client");
    expect(await subscriber.ask("SUBSCRIBE news")).toBe("*3");
    subscriber.close();
  });

  test("recovery may do its work and read nothing of the clients'", async () => {
    const other = await login(two, port, "recovery");
    for (const command of [
      "INFO replication",
      "ROLE",
      "CLIENT LIST TYPE normal",
      "CLIENT PAUSE 1 WRITE",
      "CLIENT UNPAUSE",
      "GET barton:epoch",
    ])
      expect(await other.ask(command), command).not.toMatch(/^-/);
    for (const command of [
      "GET key",
      "SET key 1",
      "FLUSHALL",
      "CLIENT REPLY OFF",
      "CONFIG GET appendonly",
      "CONFIG SET dir /tmp",
      "CONFIG REWRITE",
      "SCRIPT FLUSH",
      "FUNCTION FLUSH",
      "KEYS *",
      "DEBUG SLEEP 0",
    ])
      expect(await other.ask(command), command).toMatch(refused);
  });

  test("nobody gets in without a password", async () => {
    const stranger = new Client(one, port);
    expect(await stranger.ask("PING")).toMatch(/^-NOAUTH/);
    expect(await stranger.ask("AUTH default x")).toMatch(/^-WRONGPASS/);
    expect(await stranger.ask("AUTH client wrong")).toMatch(/^-WRONGPASS/);
    expect(await stranger.ask("AUTH replication replication-password-for-tests")).toBe("+OK");
    expect(await stranger.ask("GET key")).toMatch(/^-NOPERM/);
    stranger.close();
  });
});
