/** What a replica without a full copy is doing, in words; and other parts of sentences. */
import { describe, expect, test } from "vitest";
import { progressOf, whyCopyIsStuck } from "../../../../recovery/decide/view/reasons.ts";
import { viewShard } from "../../../../recovery/decide/view/view.ts";
import { list, seconds, troubleOf } from "../../../../recovery/decide/view/words.ts";
import { type RedisInfo, type Refusal, serverId } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { addresses, masterInfo, replicaInfo, startMs, World } from "../../world-of-facts.ts";

const known = (world: World) => ({ facts: world.facts, memory: world.memory, limits: defaultLimits });
function viewOf(world: World) {
  const [shard] = world.facts.topology.shards;
  if (!shard) throw new Error("no shard");
  return viewShard(known(world), shard).servers.redis2;
}

type Follows = NonNullable<RedisInfo["follows"]>;

/** redis2 has no link to redis1; `follows` says more. */
function withoutLink(follows: Partial<Follows> = {}, overrides: Partial<RedisInfo> = {}): World {
  const world = new World(1);
  const link = { host: addresses.redis1, port: 9001, linkUp: false, syncing: false, ...follows };
  world.server("redis2", 1).info = replicaInfo("redis1", 9001, { follows: link, ...overrides });
  return world;
}
const progress = (world: World) => progressOf(known(world), 1, viewOf(world));
const stuck = (world: World) => whyCopyIsStuck(known(world), 1, viewOf(world));

const mebibyte = 1024 ** 2;

describe("progress", () => {
  test.each<[string, World]>([
    ["redis2 is receiving its copy", withoutLink()],
    [
      "redis2 is receiving its copy (1.5 MB received)",
      withoutLink({
        syncing: true,
        copy: { bytesReceived: 1.5 * mebibyte, idleSeconds: 0 } as Follows["copy"],
      }),
    ],
    [
      "redis2 is receiving its copy (1.5 MB received, 3.0 MB left)",
      withoutLink({
        syncing: true,
        copy: { bytesReceived: 1.5 * mebibyte, bytesLeft: 3 * mebibyte, idleSeconds: 29 } as Follows["copy"],
      }),
    ],
    [
      "redis2's full copy has received nothing for 30 s",
      withoutLink({ syncing: true, copy: { bytesReceived: 1, idleSeconds: 30 } as Follows["copy"] }),
    ],
    ["redis2 is loading its data from disk", withoutLink({}, { loading: true })],
    [
      "redis2 is loading its data from disk (40 %, about 7 s left)",
      withoutLink(
        {},
        { loading: true, loadingProgress: { percent: 40, secondsLeft: 7 } as RedisInfo["loadingProgress"] },
      ),
    ],
  ])("%s", (text, world) => {
    expect(progress(world)).toBe(text);
  });

  test("a link that is up, and an offset that its master had a second ago: it lags behind", () => {
    const world = new World(1);
    world.memory.seen[serverId("redis1", 1)] = {
      trail: [
        { atMs: startMs - 1_000, offset: 1_001 },
        { atMs: startMs, offset: 1_001 },
      ],
    };
    expect(progress(world)).toBe("redis2 lags behind");
  });
});

describe("a copy that does not end by itself", () => {
  const counted = (refusedConnections: number, fullCopies: number) =>
    ({ refusedConnections, fullCopies }) as RedisInfo["counters"];

  /** The link is down since `agoMs`, when redis1 had counted 5 of each. */
  function since(agoMs: number, counters: RedisInfo["counters"], up = false): World {
    const world = withoutLink();
    world.server("redis1", 1).info = masterInfo({ counters });
    const link = { up, sinceMs: startMs - agoMs, offset: 0, master: counted(5, 5) };
    world.memory.seen[serverId("redis2", 1)] = { link };
    return world;
  }

  test("its master refuses connections", () => {
    const text =
      "redis2 has no link, and redis1 has refused 1 connections since: max number of clients reached";
    expect(stuck(since(5_000, counted(6, 5)))).toBe(text);
    expect(stuck(since(4_999, counted(6, 5)))).toBeUndefined();
    expect(stuck(since(5_000, counted(5, 5)))).toBeUndefined();
    expect(stuck(since(5_000, counted(6, 5), true))).toBeUndefined();
  });

  test("full copies begin again and again", () => {
    expect(stuck(since(5_000, counted(5, 8)))).toBe("redis2 has begun 3 full copies, and none has ended");
    expect(stuck(since(5_000, counted(5, 7)))).toBeUndefined();
  });

  test("no sign of it without counters, without a link that was seen, or with a link that is up", () => {
    expect(stuck(since(5_000, undefined))).toBeUndefined();
    const unseen = since(5_000, counted(9, 9));
    unseen.memory.seen = {};
    expect(stuck(unseen)).toBeUndefined();
    expect(stuck(new World(1))).toBeUndefined();
    const loading = since(5_000, counted(9, 9));
    Object.assign(loading.server("redis2", 1).info ?? {}, { loading: true });
    expect(stuck(loading)).toBeUndefined();
  });
});

describe("words", () => {
  test.each([
    [[], ""],
    [["a"], "a"],
    [["a", 2], "a and 2"],
    [["a", "b", "c"], "a, b and c"],
  ])("%j is %j", (items, text) => {
    expect(list(items)).toBe(text);
  });

  test("seconds have one decimal", () => {
    expect(seconds(1_549)).toBe("1.5 s");
  });

  const server = viewOf(new World(1));
  test.each([
    ["refused", "redis2's redis process is gone (say haproxy1 and monit)"],
    ["silent", "redis2 does not answer on any port (say haproxy1 and monit)"],
    ["hung", "redis2's redis accepts but has not replied for too long (say haproxy1 and monit)"],
    ["off", "redis2 is off (say haproxy1 and monit)"],
    ["stalling", "redis2's redis accepts but does not reply (say haproxy1 and monit)"],
    ["doubted", "redis2 fails probes (say haproxy1 and monit), which is no verdict yet"],
    ["unseen", "redis2 has not answered yet"],
    ["fine", "redis2 answers"],
  ] as const)("a server that is %s", (condition, text) => {
    expect(troubleOf({ ...server, condition, by: ["haproxy1", "monit"] })).toBe(text);
  });

  test("one vantage point says, none says nothing", () => {
    expect(troubleOf({ ...server, condition: "off", by: ["the cloud"] })).toBe(
      "redis2 is off (says the cloud)",
    );
    expect(troubleOf({ ...server, condition: "off", by: [] })).toBe("redis2 is off");
  });

  test.each<[Refusal["kind"], string]>([
    ["loading", "redis2 is loading its data from disk"],
    ["busy", "redis2 runs a script that does not end: ITS WORDS"],
    ["too many clients", "redis2 has reached its limit of clients and refuses recovery: ITS WORDS"],
    ["unreadable", "redis2 answers what recovery cannot read: ITS WORDS"],
    ["credentials", "redis2 refuses recovery: ITS WORDS"],
    ["rights", "redis2 refuses recovery: ITS WORDS"],
    ["other", "redis2 refuses recovery: ITS WORDS"],
  ])("a refusal of the kind %s", (kind, text) => {
    const refusal = { kind, text: "ITS WORDS" };
    expect(troubleOf({ ...server, condition: "fine", by: [], refusal })).toBe(text);
  });
});
