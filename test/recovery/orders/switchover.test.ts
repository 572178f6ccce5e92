import { expect, test } from "vitest";
import { emptyMemory } from "../../../recovery/decide/memory/memory.ts";
import { isSwitchReady, type OrderedShardView } from "../../../recovery/decide/rules/switchover.ts";
import type { ServerView } from "../../../recovery/decide/view/view.ts";
import type { Facts } from "../../../recovery/observe/facts.ts";
import { movesFor } from "../../../recovery/orders/switchover.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";

function server(machine: RedisMachine, changes: Partial<ServerView>): ServerView {
  return {
    machine,
    condition: "fine",
    by: [],
    answers: true,
    succeeded: false,
    heard: true,
    out: false,
    looked: true,
    condemned: false,
    leaving: false,
    followsCounterpart: false,
    synced: false,
    lags: false,
    ...changes,
  };
}

const infoOf = (role: "master" | "replica") => ({ runId: role, role, loading: false, offset: 1, epoch: 1 });

interface Shape {
  master?: RedisMachine;
  replica?: Partial<ServerView>;
  mute?: "haproxy1" | "haproxy2";
  /** An earlier instance of it is not known to be off. */
  older?: "haproxy1" | "haproxy2";
  index?: number;
}

/** A shard that is well, but for what is given. */
function shardView({
  master = "redis1",
  replica = {},
  mute,
  older,
  index = 1,
}: Shape = {}): OrderedShardView {
  const serverOf = (machine: RedisMachine) =>
    machine === master
      ? server(machine, { info: infoOf("master") })
      : server(machine, { info: infoOf("replica"), synced: true, followsCounterpart: true, ...replica });
  const servers = { redis1: serverOf("redis1"), redis2: serverOf("redis2") };
  const proxy = (name: string) => ({
    look: { state: name === mute ? "down" : "up" },
    view: { registered: true, shards: {} },
  });
  const machine = (name: string) => ({ cloud: "running", othersAlive: name === older ? ["i-older"] : [] });
  const facts = {
    proxies: { haproxy1: proxy("haproxy1"), haproxy2: proxy("haproxy2") },
    machines: {
      redis1: machine("redis1"),
      redis2: machine("redis2"),
      haproxy1: machine("haproxy1"),
      haproxy2: machine("haproxy2"),
    },
  } as unknown as Facts;
  return {
    shard: { index, clientPort: 7000 + index, proxyPort: 8000 + index, redisPort: 9000 + index },
    servers,
    masters: [servers[master]],
    answering: Object.values(servers),
    lastMaster: servers[master],
    epoch: 1,
    attempted: 0,
    known: { facts, memory: emptyMemory, limits: defaultLimits },
  };
}

test("a machine's masters move, those of the other stay", () => {
  const shards = [shardView(), shardView({ index: 2, master: "redis2" }), shardView({ index: 3 })];
  expect(movesFor("redis1", shards)).toEqual([
    { shard: 1, from: "redis1", to: "redis2" },
    { shard: 3, from: "redis1", to: "redis2" },
  ]);
  expect(movesFor("2", shards)).toEqual([{ shard: 2, from: "redis2", to: "redis1" }]);
  expect(movesFor("redis2", [shardView()])).toEqual([]);
});

test.each<[string, Shape]>([
  ["redis2 is not in sync with redis1 for shard 1", { replica: { synced: false } }],
  ["redis2 is of an earlier epoch than shard 1", { replica: { info: { ...infoOf("replica"), epoch: 0 } } }],
  ["redis2 has not answered yet (shard 1)", { replica: { answers: false, condition: "unseen" } }],
  ["redis2 is to be replaced itself (shard 1)", { replica: { leaving: true } }],
  ["haproxy2 cannot be reached, so redis1 cannot be taken out there (shard 1)", { mute: "haproxy2" }],
  ["the cloud has not confirmed that the earlier haproxy2 is off", { older: "haproxy2" }],
])("refused: %s", (why, shape) => {
  expect(movesFor("redis1", [shardView(shape), shardView({ index: 2 })])).toBe(why);
  expect(isSwitchReady({ ...shardView(shape), switchTo: "redis2" })).toBe(false);
});

test.each(["3", "redis3", "app", ""])("refused: there is no %j", (target) => {
  expect(movesFor(target, [shardView()])).toBe(
    `there is no shard "${target}"; it can be redis1, redis2, or a shard: 1`,
  );
});

test("a switch is ready only towards the counterpart", () => {
  expect(isSwitchReady({ ...shardView(), switchTo: "redis2" })).toBe(true);
  expect(isSwitchReady({ ...shardView(), switchTo: "redis1" })).toBe(false);
  expect(isSwitchReady(shardView())).toBe(false);
});
