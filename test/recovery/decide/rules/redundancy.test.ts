/** Rule 5 in sentences: why a redis machine must not be taken away, or not even be condemned. Rule 3 and 4: why a server may not serve. */
import { describe, expect, test } from "vitest";
import { recentReplacements, whyBudgetSpent } from "../../../../recovery/decide/rules/budget.ts";
import { orderOf, whyCondemned, whyGoneForCloud } from "../../../../recovery/decide/rules/condemn.ts";
import { describeCopy, isBetterCopy } from "../../../../recovery/decide/rules/copies.ts";
import { isDead, isPatienceOver } from "../../../../recovery/decide/rules/data-volume.ts";
import { powerOff } from "../../../../recovery/decide/rules/power-off.ts";
import { lagged, whyNotPromotable } from "../../../../recovery/decide/rules/promotable.ts";
import {
  whyCounterpartCannotServe,
  whyCounterpartDoesNotServe,
} from "../../../../recovery/decide/rules/redundancy.ts";
import { type ServerView, viewShard } from "../../../../recovery/decide/view/view.ts";
import { serverId } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { counterpartOf, redisMachines } from "../../../../recovery/topology.ts";
import { condemnedPhase, down, masterInfo, replicaInfo, startMs, World } from "../../world-of-facts.ts";

const known = ({ facts, memory }: World) => ({ facts, memory, limits: defaultLimits });
const shardsOf = (world: World) => world.facts.topology.shards.map((shard) => viewShard(known(world), shard));
const first = (world: World) => {
  const [view] = shardsOf(world);
  if (!view) throw new Error("no shard");
  return view;
};

/** redis2 is master of every shard, and redis1 follows it. */
function switched(): World {
  const world = new World();
  for (const shard of world.shards) {
    world.server("redis2", shard).info = masterInfo({ runId: "run-redis2" });
    world.server("redis1", shard).info = replicaInfo("redis2", 9000 + shard);
    world.remembered(shard).master = { machine: "redis2", runId: "run-redis2", epoch: 1 };
    world.remembered(shard).inSync = { master: "run-redis2", replica: "run-redis1" };
  }
  return world;
}

describe("redis1 must not be taken away", () => {
  const why = (world: World) => whyCounterpartDoesNotServe("redis1", shardsOf(world));

  test("it may, when redis2 is master of every shard", () => {
    expect(why(switched())).toBeUndefined();
  });

  test.each<[string, (world: World) => unknown]>([
    ["redis2 is being replaced itself", (world) => world.replacing("redis2", condemnedPhase)],
    [
      "redis2 is not master of shard 2",
      (world) => (world.server("redis2", 2).info = replicaInfo("redis1", 9002)),
    ],
    [
      "redis2 is master of shard 2 with data of an earlier epoch than 2",
      (world) => (world.remembered(2).epoch = 2),
    ],
    [
      "redis2 is master of shard 1 with data of an earlier epoch than 1",
      (world) => delete world.server("redis2", 1).info?.epoch,
    ],
  ])("%s", (text, happen) => {
    const world = switched();
    happen(world);
    expect(why(world)).toBe(text);
  });
});

describe("redis1 must not even be condemned", () => {
  const why = (world: World) => whyCounterpartCannotServe("redis1", shardsOf(world));

  test("it may, when redis2 is in sync, or master already", () => {
    expect(why(new World())).toBeUndefined();
    expect(why(switched())).toBeUndefined();
  });

  test.each<[string, (world: World) => unknown]>([
    ["redis2 is being replaced itself", (world) => world.replacing("redis2", condemnedPhase)],
    [
      "redis2's redis process is gone (say haproxy1, haproxy2 and monit) (shard 2)",
      (world) => world.look("redis2", 2, down("refused")),
    ],
    [
      "redis2's disk is full (shard 1)",
      (world) => Object.assign(world.server("redis2", 1).info ?? {}, { refusesWrites: true }),
    ],
    ["redis2 has no full copy of shard 2 yet", (world) => delete world.remembered(2).inSync],
  ])("%s", (text, happen) => {
    const world = new World();
    happen(world);
    expect(why(world)).toBe(text);
  });

  test("redis1 is lost, and redis2 may be promoted all the same: its copy was in sync", () => {
    expect(why(new World().lookAll("redis1", down("silent")))).toBeUndefined();
  });

  test("redis1 is lost, and redis2 lagged behind: redis1 may come back with more", () => {
    const world = new World(1).lookAll("redis1", down("silent"));
    delete world.remembered(1).inSync;
    expect(why(world)).toBe(
      "redis2 lagged behind when its master was lost; redis1, which may have it, is waited for, for up to 600 s (shard 1)",
    );
  });

  test("redis1 is lost, and redis2 is behind but the wait for redis1 is over: nothing is waited for any more", () => {
    const world = new World(1).lookAll("redis1", down("silent"));
    delete world.remembered(1).inSync;
    world.later(defaultLimits.dataPatienceMs);
    expect(why(world)).toBeUndefined();
  });
});

describe("a machine that serves nobody any more", () => {
  const server = (overrides: Partial<ServerView>): ServerView => ({
    ...first(new World()).servers.redis1,
    heard: false,
    out: true,
    noticedMs: startMs - defaultLimits.graceMs,
    ...overrides,
  });
  const dead = (servers: ServerView[], cloud: "running" | "stopped" = "running") => {
    const world = new World();
    world.facts.machines.redis1.cloud = cloud;
    return isDead(known(world), "redis1", servers);
  };

  test("has been out with all its servers for the time of a crashed process", () => {
    expect(dead([server({}), server({})])).toBe(true);
    expect(dead([server({}), server({ noticedMs: startMs - defaultLimits.graceMs + 1 })])).toBe(false);
    expect(dead([server({}), server({ out: false })])).toBe(false);
    expect(dead([server({}), server({ noticedMs: undefined })])).toBe(false);
  });

  test("or is off, without any wait", () => {
    expect(dead([server({ out: false, noticedMs: undefined })], "stopped")).toBe(true);
  });

  test("but not while one of its servers is heard: the cloud's word, and a verdict, are late", () => {
    expect(dead([server({}), server({ heard: true })], "stopped")).toBe(false);
    expect(dead([server({}), server({ heard: true })])).toBe(false);
  });

  test("its data are waited for since the verdict, else since the first sign, else since its instance is known", () => {
    const { dataPatienceMs } = defaultLimits;
    const world = new World();
    world.facts.machines.redis1.knownSinceMs = startMs - dataPatienceMs;
    const isOver = (noticedMs?: number, sinceMs?: number) =>
      isPatienceOver(known(world), server({ noticedMs, sinceMs }));
    const [over, running] = [startMs - dataPatienceMs, startMs - dataPatienceMs + 1];
    expect([isOver(over, running), isOver(undefined, over), isOver()]).toEqual([true, true, true]);
    expect([isOver(running, over), isOver(undefined, running)]).toEqual([false, false]);
    world.facts.machines.redis1.knownSinceMs += 1;
    expect(isOver()).toBe(false);
  });
});

describe("why redis2 may not become master", () => {
  const why = (world: World) => whyNotPromotable(first(world), "redis2");
  const lost = () => new World(1).lookAll("redis1", down("silent"));
  const info = (world: World) => Object.assign(world.server("redis2", 1).info ?? {});

  test.each<[string, (world: World) => unknown]>([
    ["redis2 is being replaced", (world) => world.replacing("redis2", condemnedPhase)],
    ["redis2 is still loading its data", (world) => Object.assign(info(world), { loading: true })],
    ["redis2 was still receiving its copy", (world) => Object.assign(info(world).follows, { syncing: true })],
    [
      "redis2's disk is full, so that it refuses the new epoch",
      (world) => Object.assign(info(world), { refusesWrites: true }),
    ],
    [
      "redis2's data are of epoch 1, but the shard has reached epoch 2",
      (world) => (world.remembered(1).epoch = 2),
    ],
    ["redis2 does not answer", (world) => world.look("redis2", 1, down("silent"))],
  ])("%s", (text, happen) => {
    const world = lost();
    happen(world);
    expect(why(world)).toBe(text);
  });

  test("nothing speaks against a copy in sync", () => {
    expect(why(lost())).toBeUndefined();
  });

  test("the other copy, which is at hand, has a later offset", () => {
    const world = new World(1);
    world.server("redis1", 1).info = masterInfo({ role: "replica", offset: 1_001, beat: 3 });
    expect(why(world)).toBe(
      "the copy of redis1 (complete, epoch 1, beat 3, offset 1001) is newer than that of redis2 (complete, epoch 1, beat 0, offset 1000)",
    );
  });

  test("what its master had a second before its last answer is not there: it lagged behind", () => {
    const behind = (offset: number) => {
      const world = lost();
      world.memory.seen[serverId("redis1", 1)] = {
        trail: [
          { atMs: startMs - 1_000, offset },
          { atMs: startMs, offset: 9_000 },
        ],
      };
      const view = first(world);
      return lagged(view, view.servers.redis2);
    };
    expect(behind(1_001)).toBe(true);
    expect(behind(1_000)).toBe(false);
  });

  test("nobody lags behind a server that was not the master, or of which no offset is known", () => {
    const view = first(lost());
    expect(lagged(view, view.servers.redis2)).toBe(false);
    expect(lagged(view, view.servers.redis1)).toBe(false);
  });
});

describe("copies", () => {
  const copy = { machine: "redis1", complete: true, epoch: 1, beat: 2, offset: 3, wasMaster: false } as const;

  test("equal ones are not better than each other, whatever their names", () => {
    for (const machine of redisMachines)
      expect(isBetterCopy({ ...copy, machine }, { ...copy, machine: counterpartOf(machine) })).toBe(false);
  });

  test("an incomplete one says so", () => {
    expect(describeCopy({ ...copy, complete: false })).toBe("redis1 (incomplete, epoch 1, beat 2, offset 3)");
  });
});

describe("the budget (rule 8)", () => {
  const at = Date.parse("2026-01-01T12:00:00Z");
  const one = (agoMs: number, machine: "redis1" | "app" = "redis1") => ({ machine, wallMs: at - agoMs });

  test("counts the machine's own replacements of the last hour", () => {
    const all = [one(3_599_999), one(3_600_000), one(0, "app"), one(-5)];
    expect(recentReplacements(all, "redis1", at)).toEqual([one(3_599_999), one(-5)]);
  });

  test("is spent at the limit, and the sentence says what to do", () => {
    const durable = { ...new World().memory.durable, replacements: [one(1), one(2)] };
    expect(whyBudgetSpent(durable, "redis1", at, 3)).toBeUndefined();
    expect(whyBudgetSpent(durable, "redis1", at, 2)).toBe(
      'redis1 was replaced 2 times within an hour, which is the limit (2); find out why ("barton incidents"), then run "barton forgive redis1" on monit: it is replaced at once',
    );
  });
});

describe("a condemned machine", () => {
  test("its reason, and the order behind it, are those of that moment", () => {
    const world = new World().replacing("redis1", condemnedPhase).order("redis2");
    expect(whyCondemned({ known: known(world), machine: "redis1" })).toBe("test");
    expect(whyCondemned({ known: known(world), machine: "app" })).toBeUndefined();
    expect(orderOf(known(world), "redis2")).toBe("failover of redis2 ordered (by hand)");
  });

  test.each([
    ["missing", true, undefined],
    ["missing", false, "redis1 is missing, says the cloud"],
    ["terminated", true, "redis1 is terminated, says the cloud"],
    ["pending", false, undefined],
    ["running", false, undefined],
    [undefined, false, undefined],
  ] as const)("the cloud says %j, it answers: %j", (cloud, answers, why) => {
    const facts = { ...new World().facts.machines.redis1, cloud };
    expect(whyGoneForCloud(facts, "redis1", answers)).toBe(why);
  });

  test("is powered off by its instance; nobody knows which one: no step", () => {
    const world = new World().replacing("redis1", condemnedPhase, "i-7");
    expect(powerOff(world.memory, "redis1")).toEqual([
      { do: "power off", machine: "redis1", instanceId: "i-7" },
    ]);
    expect(powerOff(world.memory, "app")).toEqual([]);
    delete world.machine("redis1").replacement?.instanceId;
    expect(powerOff(world.memory, "redis1")).toEqual([]);
  });
});
