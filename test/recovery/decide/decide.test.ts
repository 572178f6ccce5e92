import { describe, expect, test } from "vitest";
import { apply } from "../../../recovery/decide/memory/events.ts";
import { emptyMemory, revive } from "../../../recovery/decide/memory/memory.ts";
import { describeStep } from "../../../recovery/decide/steps.ts";
import type { Look, RedisInfo } from "../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import type { ProxyMachine } from "../../../recovery/topology.ts";
import {
  condemnedPhase,
  down,
  failing,
  masterInfo,
  none,
  replicaInfo,
  taintedPhase,
  up,
  World,
} from "../world-of-facts.ts";

const stepsOf = (world: World, subject: string) =>
  world
    .decide()
    .decisions.find((decision) => decision.subject === subject)
    ?.steps.map(describeStep) ?? [];

describe("the desired state", () => {
  test("nothing is to be done, and one sentence says so", () => {
    const outcome = new World().decide();
    expect(outcome.settled).toBe(true);
    expect(outcome.decisions.flatMap(({ steps }) => steps)).toEqual([]);
    expect(outcome.sentence).toBe("all is well: shards 1 and 2: redis1 serves, redis2 has a copy");
  });

  test("deciding changes neither the facts nor the memory that it was given", () => {
    const world = new World().lookAll("redis1", down("silent"));
    const before = structuredClone({ facts: world.facts, memory: world.memory });
    const { memory } = world;
    world.decide();
    expect({ facts: world.facts, memory }).toEqual(before);
  });
});

describe("the first start", () => {
  test("redis1 is promoted when both servers have been seen", () => {
    const world = new World().brandNew();
    expect(stepsOf(world, "shard 1")).toEqual([
      "fence redis2's server of shard 1",
      "make redis1 master of shard 1 (epoch 1)",
      "send the traffic of shard 1 to redis1",
      "cut old sessions of shard 1 with redis2",
    ]);
    expect(world.decide().sentence).toContain("shards 1 and 2: the first start: redis1 becomes master");
  });

  test("it waits for a counterpart that has not been seen", () => {
    const world = new World().brandNew().look("redis2", 1, none);
    world.server("redis2", 1).info = undefined;
    expect(world.situation("shard 1")).toBe("first-start-waits");
  });

  test("it does not wait for a machine that the cloud says is off", () => {
    const world = new World().brandNew().lookAll("redis2", none);
    for (const shard of world.shards) world.server("redis2", shard).info = undefined;
    world.facts.machines.redis2.cloud = "stopped";
    expect(world.situation("shard 1")).toBe("first-start");
  });

  test("a server that has data wins over one that has none", () => {
    const world = new World().brandNew();
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { epoch: 0, offset: 77 });
    expect(stepsOf(world, "shard 1")[1]).toBe("make redis2 master of shard 1 (epoch 1)");
  });

  test("a proxy is registered only when there is somebody to serve", () => {
    expect(new World().brandNew().situation("haproxy1")).toBe("idle");
    const world = new World().freshProxy("haproxy1");
    expect(world.situation("haproxy1")).toBe("drifted");
  });
});

describe("a proxy that somebody changed by hand", () => {
  const view = (world: World, proxy: "haproxy1" | "haproxy2" = "haproxy1") => {
    const found = world.facts.proxies[proxy].view;
    if (!found) throw new Error(`${proxy} has no view`);
    return found;
  };
  const drains = { ready: false, maintenance: false };

  test("the master's line drains: it is made ready", () => {
    const world = new World();
    Object.assign(world.lines("haproxy1", 1).redis1.traffic, drains);
    expect(world.decide().sentence).toBe("haproxy1 has drifted: recovery repairs shard1/redis1");
    expect(stepsOf(world, "haproxy1")).toEqual(["set servers of haproxy1: traffic 1/redis1 ready"]);
    expect(stepsOf(world, "haproxy2")).toEqual([]);
  });

  test("a line that shall be out drains, which is no fence: it is taken out", () => {
    const world = new World();
    Object.assign(world.lines("haproxy1", 1).redis2.traffic, drains);
    expect(stepsOf(world, "haproxy1")).toEqual(["set servers of haproxy1: traffic 1/redis2 out"]);
  });

  test("while both proxies drain it, the master is the one whose sessions they carry, also for a new monitor", () => {
    const world = new World().look("redis1", 1, failing("silent"));
    world.memory = structuredClone(emptyMemory);
    world.memory.sightSinceMs = 0;
    for (const proxy of ["haproxy1", "haproxy2"] as const)
      Object.assign(world.lines(proxy, 1).redis1.traffic, drains);
    expect(world.decide().shards[0]?.lastMaster?.machine).toBe("redis1");
  });

  test.each([drains, { ready: false, maintenance: true }, { port: 7 }, { address: "127.0.0.9" }])(
    "hold is %o: it is put back",
    (change) => {
      const world = new World();
      Object.assign(view(world).holds[1] ?? {}, change);
      expect(world.situation("haproxy1")).toBe("drifted");
      expect(stepsOf(world, "haproxy1")).toEqual(["reopen shard1/hold of haproxy1"]);
    },
  );

  test("a frontend does not listen: it is enabled", () => {
    const world = new World();
    view(world).frontends.shard2 = "paused";
    expect(world.decide().sentence).toBe("haproxy1 has drifted: recovery repairs frontend shard2");
    expect(stepsOf(world, "haproxy1")).toEqual(["reopen frontend shard2 of haproxy1"]);
  });

  test("it is repaired also while its own failover waits for its twin", () => {
    const world = new World();
    world.order("haproxy1");
    view(world, "haproxy2").registered = false;
    expect(world.situation("haproxy1")).toBe("needed");
    Object.assign(world.lines("haproxy1", 1).redis1.traffic, drains);
    expect(world.situation("haproxy1")).toBe("drifted");
  });

  test("a frontend was shut down: the proxy is reloaded, with its twin in its place if that serves", () => {
    const world = new World();
    view(world).frontends.shard2 = "shut";
    const moved = ["drain haproxy1", "unregister haproxy1", "reload haproxy1"];
    expect(stepsOf(world, "haproxy1")).toEqual(moved);
    expect(world.decide().sentence).toBe("haproxy1's frontend shard2 was shut down: it is reloaded");
    world.order("haproxy2");
    expect(stepsOf(world, "haproxy1")).toEqual(["reload haproxy1"]);
    expect(world.situation("haproxy2")).toBe("needed");
    world.memory.durable.machines = {};
    world.replacing("haproxy2", condemnedPhase);
    expect(stepsOf(world, "haproxy1")).toEqual(["reload haproxy1"]);
    world.memory.durable.machines = {};
    view(world, "haproxy2").frontends.shard1 = "shut";
    expect(stepsOf(world, "haproxy1")).toEqual(["reload haproxy1"]);
    expect(stepsOf(world, "haproxy2")).toEqual(["reload haproxy2"]);
  });
});

describe("the master machine is silent", () => {
  const lost = () => new World().lookAll("redis1", down("silent"));

  test("every shard fails over, the machine is condemned and replaced", () => {
    const world = lost();
    expect(stepsOf(world, "shard 2")).toEqual([
      "fence redis1's server of shard 2",
      "make redis2 master of shard 2 (epoch 2)",
      "send the traffic of shard 2 to redis2",
      "cut old sessions of shard 2 with redis1",
    ]);
    expect(stepsOf(world, "redis1")).toEqual(["stop monitoring redis1"]);
    expect(world.decide().sentence).toContain(
      "shards 1 and 2: redis1 does not answer on any port (say haproxy1, haproxy2 and monit): redis2 (complete, epoch 1, beat 0, offset 1000) takes over",
    );
  });

  test("a verdict needs two vantage points", () => {
    const world = new World();
    for (const shard of world.shards) world.server("redis1", shard).looks.monit = down("silent");
    expect(world.situation("shard 1")).toBe("doubt");
    for (const shard of world.shards) world.server("redis1", shard).looks.haproxy1 = down("silent");
    expect(world.situation("shard 1")).toBe("master-lost");
  });

  test("failures that are not yet three in a row are no verdict", () => {
    expect(new World().lookAll("redis1", failing("silent")).situation("shard 1")).toBe("doubt");
  });

  test("the verdict stands when the proxies no longer look", () => {
    const world = lost();
    world.decide();
    world.lookAll("redis1", none);
    for (const shard of world.shards) world.server("redis1", shard).looks.monit = down("silent");
    expect(world.situation("shard 1")).toBe("master-lost");
  });

  test("nothing is promoted while a proxy can be neither told nor proven unable to carry a write", () => {
    const world = lost();
    world.facts.proxies.haproxy1.look = down("silent");
    expect(world.situation("shard 1")).toBe("fence-blocked");
    expect(world.decide().sentence).toContain(
      "redis2 cannot take over yet: haproxy1 does not answer and the cloud has not confirmed that haproxy1 or redis1 is off",
    );
    world.facts.machines.haproxy1.cloud = "terminated";
    expect(world.situation("shard 1")).toBe("master-lost");
  });

  describe("… and the proxy or the machine is condemned, and its replacement waits (Pulumi's lock, program, budget)", () => {
    const held = { ...taintedPhase, held: { why: "another program", untilMs: Number.POSITIVE_INFINITY } };
    const blocked = (...condemned: ("haproxy1" | "redis1")[]) => {
      const world = lost();
      world.facts.proxies.haproxy1.look = down("silent");
      for (const machine of condemned) {
        world.replacing(machine, held);
      }
      return world;
    };

    test("what is condemned is powered off for the fence, and the cloud's word opens the way", () => {
      const world = blocked("haproxy1", "redis1");
      expect(stepsOf(world, "shard 1")).toEqual(["power off haproxy1 (i-haproxy1)"]);
      expect(stepsOf(world, "replacement")).toEqual([]);
      // A short cut of the network takes no redis machine (rule 5).
      world.later(defaultLimits.graceMs);
      const powerOffs = ["power off haproxy1 (i-haproxy1)", "power off redis1 (i-redis1)"];
      expect(stepsOf(world, "shard 1")).toEqual(powerOffs);
      for (const machine of ["haproxy1", "redis1"] as const) {
        world.memory = apply(world.memory, { event: "power-off accepted", machine }, 0);
      }
      expect(stepsOf(world, "shard 1")).toEqual([]);
      world.facts.machines.haproxy1.cloud = "shutting-down";
      expect(world.situation("shard 1")).toBe("fence-blocked");
      world.facts.machines.haproxy1.cloud = "terminated";
      expect(world.situation("shard 1")).toBe("master-lost");
    });

    test("not a proxy that is only out of monit's sight", () => {
      expect(stepsOf(blocked(), "shard 1")).toEqual([]);
      const world = blocked("redis1");
      world.decide();
      expect(stepsOf(world.later(defaultLimits.graceMs), "shard 1")).toEqual(["power off redis1 (i-redis1)"]);
    });

    test("not a redis machine that has the better data of another shard", () => {
      const world = blocked("haproxy1", "redis1");
      const follows = { host: "10.42.1.11", port: 9002, linkUp: false, syncing: true };
      world.server("redis2", 2).info = replicaInfo("redis1", 9002, { follows });
      world.decide();
      world.later(defaultLimits.graceMs);
      expect(stepsOf(world, "shard 1")).toEqual(["power off haproxy1 (i-haproxy1)"]);
    });
  });

  test("a replica that is still receiving its copy is not promoted, and the machine is not replaced", () => {
    const world = lost();
    for (const [shard, port] of [
      [1, 9001],
      [2, 9002],
    ] as const) {
      const follows = { host: "10.42.1.11", port, linkUp: false, syncing: true };
      world.server("redis2", shard).info = replicaInfo("redis1", port, { follows });
    }
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.situation("redis1")).toBe("machine-needed");
    expect(world.decide().sentence).toContain("redis2 was still receiving its copy");
  });

  test("an empty replica is never promoted, whatever has been lost", () => {
    const world = lost();
    world.facts.machines.redis1.cloud = "terminated";
    for (const shard of world.shards)
      world.server("redis2", shard).info = replicaInfo("redis1", 9000 + shard, { epoch: 0 });
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    world.later(3_600_000);
    expect(world.situation("shard 1")).toBe("nothing-promotable");
  });

  test("both machines lost: traffic is held, nothing is replaced", () => {
    const world = lost().lookAll("redis2", down("silent"));
    expect(world.situation("shard 1")).toBe("shard-lost");
    expect(world.situation("redis1")).toBe("machine-needed");
    expect(world.situation("redis2")).toBe("machine-needed");
  });

  test("monit that sees nobody decides nothing", () => {
    const world = lost().lookAll("redis2", down("silent"));
    world.facts.proxies.haproxy1.look = down("silent");
    world.facts.proxies.haproxy2.look = down("silent");
    const outcome = world.decide();
    expect(outcome.decisions).toEqual([]);
    expect(outcome.sentence).toBe("monit sees nobody: it may be the one that is cut off, so nothing is done");
  });
});

describe("the kinds of silence", () => {
  test("a refused port is acted on at once, and the machine gets some time to have its process back", () => {
    const world = new World().look("redis1", 1, down("refused", 150));
    expect(world.situation("shard 1")).toBe("master-lost");
    expect(world.situation("shard 2")).toBe("served");
    expect(world.situation("redis1")).toBe("process-lost");
    world.later(14_900);
    expect(world.situation("redis1")).toBe("process-lost");
    world.later(200);
    expect(world.situation("redis1")).toBe("machine-lost");
  });

  test("a stall gets patience, then a verdict", () => {
    expect(new World().look("redis1", 1, down("stalled", 3_900)).situation("shard 1")).toBe("stall");
    expect(new World().look("redis1", 1, down("stalled", 4_100)).situation("shard 1")).toBe("master-lost");
  });

  test("silence on one port while the machine's others answer is a stall", () => {
    expect(new World().look("redis1", 1, down("silent", 1_000)).situation("shard 1")).toBe("stall");
  });

  test("one silent machine: a port with fewer failures so far is not waited for", () => {
    const world = new World().look("redis1", 1, down("silent")).look("redis1", 2, failing("silent"));
    expect(world.situation("shard 2")).toBe("master-lost");
  });
});

describe("how far a replica's data may reach that nobody but its master can reach", () => {
  const reached = (acknowledgedBy: string[]) => {
    const world = new World().look("redis2", 1, down("silent")).look("redis2", 2, down("silent"));
    world.server("redis1", 1).info = masterInfo({ beat: 30, acknowledgedBy });
    world.decide();
    return world.decide().memory.seen["redis2/1"]?.reached?.beat ?? 0;
  };

  test("as far as its master's, while that says that it acknowledges", () => {
    const { address = "" } = new World().facts.machines.redis2;
    expect(reached([address])).toBe(30);
  });

  test("also when it is the former instance of its machine, whose volume comes back", () => {
    expect(reached(["10.42.1.99"])).toBe(30);
  });

  test("also when it was seen last while it loaded its copy", () => {
    const world = new World().look("redis2", 1, down("silent"));
    world.server("redis1", 1).info = masterInfo({ beat: 30, acknowledgedBy: ["10.42.1.12"] });
    delete world.server("redis2", 1).info?.epoch;
    world.decide();
    expect(world.decide().memory.seen["redis2/1"]?.reached).toEqual({ epoch: 1, beat: 30 });
  });

  test("… and no further, when it does not", () => {
    expect(reached([])).toBeLessThan(30);
  });
});

describe("a promotion that was begun and never answered", () => {
  const unanswered = () => {
    const world = new World().look("redis2", 1, down("stalled"));
    world.memory = apply(world.memory, { event: "promoting", shard: 1, epoch: 2 }, 0);
    return world;
  };

  test("may still come true: the master, used again, gets a later epoch", () => {
    expect(stepsOf(unanswered(), "shard 1")).toEqual(["write epoch 3 into shard 1"]);
  });

  test("and loses then against that master", () => {
    const world = unanswered().look("redis2", 1, up);
    world.server("redis1", 1).info = masterInfo({ epoch: 3 });
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", epoch: 2 });
    expect(stepsOf(world, "shard 1")).toContain("make redis2 replica of redis1 for shard 1");
  });

  test("the next promotion has a later epoch too", () => {
    const world = unanswered().look("redis1", 1, down("refused")).look("redis2", 1, up);
    expect(stepsOf(world, "shard 1")).toContain("make redis2 master of shard 1 (epoch 3)");
  });

  test("outlives the monitor", () => {
    const { durable } = unanswered().memory;
    expect(revive(JSON.parse(JSON.stringify(durable)), 0).memory.durable.shards[1]?.attempted).toBe(2);
  });
});

describe("a master whose disk is full refuses writes", () => {
  const full = () => {
    const world = new World();
    world.server("redis1", 1).info = masterInfo({ refusesWrites: true });
    return world;
  };

  test("its counterpart takes over, with every write, and it stays as a replica", () => {
    expect(stepsOf(full(), "shard 1")).toEqual([
      "drain redis1's server of shard 1",
      "fence redis1's server of shard 1",
      "pause writes of redis1's server of shard 1",
      "wait until redis2 has everything of shard 1",
      "make redis2 master of shard 1 (epoch 2)",
      "send the traffic of shard 1 to redis2",
      "make redis1 replica of redis2 for shard 1",
      "cut old sessions of shard 1 with redis1",
      "resume writes of redis1's server of shard 1",
    ]);
  });

  test("held, and said aloud, while the counterpart's disk is full too", () => {
    const world = full();
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { refusesWrites: true });
    expect(world.situation("shard 1")).toBe("writes-refused");
    expect(world.decide().sentence).toContain("redis2's disk is full too");
    expect(stepsOf(world, "shard 1")).toEqual([]);
  });

  test("said also while there is no copy to go to", () => {
    const world = full().look("redis2", 1, down("refused"));
    expect(world.situation("shard 1")).toBe("replica-away");
    expect(world.decide().sentence).toContain("redis1 refuses writes");
  });
});

describe("refused writes are told, whatever is wrong with the replica", () => {
  const follows = { host: "10.42.1.11", port: 9001, linkUp: false, syncing: true };
  const elsewhere = { ...follows, host: "127.0.0.1", port: 1 };
  test.each<[string, (world: World) => unknown]>([
    ["replica-away", (world) => world.look("redis2", 1, down("refused"))],
    ["replica-syncing", (world) => Object.assign(world.server("redis2", 1).info ?? {}, { follows })],
    [
      "replica-drifted",
      (world) => Object.assign(world.server("redis2", 1).info ?? {}, { follows: elsewhere }),
    ],
  ])("%s", (situation, damage) => {
    const world = new World();
    world.server("redis1", 1).info = masterInfo({ refusesWrites: true });
    damage(world);
    const decision = world.decide().decisions.find(({ subject }) => subject === "shard 1");
    expect(decision).toMatchObject({
      situation,
      settled: false,
      writes: { situation: "writes-refused", opens: true, holds: true, about: "redis1" },
    });
    expect(world.decide().sentence).toContain(
      "shard 1: redis1 refuses writes, because its disk is full, and",
    );
  });

  test("a replica's full disk is named, before it has to take over", () => {
    const world = new World();
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { refusesWrites: true });
    expect(world.decide().decisions[0]).toMatchObject({
      situation: "replica-disk-full",
      because: "redis2's disk is full: it cannot take over, and may not start again after a restart",
      operator: "Make room on that machine's data volume, or make the volume larger.",
      opens: true,
      holds: true,
      about: "redis2",
      steps: [],
    });
  });

  test("traffic goes to the master all the same", () => {
    const world = new World().freshProxy("haproxy1");
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { refusesWrites: true });
    expect(stepsOf(world, "haproxy1").join()).toContain("traffic 1/redis1 at 10.42.1.11:9001 ready");
  });
});

describe("the status has the reason why a replica has no full copy", () => {
  const counters = { fullCopies: 5, refusedLogins: 2, refusedConnections: 7 };
  const noLink = { host: "10.42.1.11", port: 9001, linkUp: false, syncing: false };
  const first = (world: World) => world.decide().decisions[0];
  const syncing = (info: Partial<RedisInfo>) => {
    const world = new World();
    delete world.remembered(1).inSync;
    world.server("redis1", 1).info = masterInfo({ counters });
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, info);
    return world;
  };

  test("it loads, with its progress, and is not told to follow meanwhile", () => {
    const follows = { ...noLink, host: "127.0.0.1", port: 1 };
    const loadingProgress = { percent: 40, secondsLeft: 12 };
    const decision = first(syncing({ loading: true, loadingProgress, follows }));
    expect(decision).toMatchObject({ situation: "replica-syncing", steps: [] });
    expect(decision?.because).toBe(
      "redis1 serves, redis2 is loading its data from disk (40 %, about 12 s left)",
    );
  });

  test("a full copy is under way, with its progress", () => {
    const copy = { bytesReceived: 3 * 1024 ** 2, bytesLeft: 1024 ** 2, idleSeconds: 0 };
    const decision = first(syncing({ follows: { ...noLink, syncing: true, copy } }));
    expect(decision?.because).toBe(
      "redis1 serves, redis2 is receiving its copy (3.0 MB received, 1.0 MB left)",
    );
  });

  test("a full copy that receives nothing any more", () => {
    const copy = { bytesReceived: 10, idleSeconds: 31 };
    expect(first(syncing({ follows: { ...noLink, syncing: true, copy } }))).toMatchObject({
      situation: "replica-stuck",
      because: "redis1 serves, redis2's full copy has received nothing for 31 s",
      opens: true,
      holds: true,
      about: "redis2",
    });
  });

  test.each([
    [
      { refusedConnections: 8 },
      "redis2 has no link, and redis1 has refused 1 connections since: max number of clients reached",
    ],
    [{ fullCopies: 8 }, "redis2 has begun 3 full copies, and none has ended"],
  ])("what its master has counted since the link is down: %o", (grown, reason) => {
    const world = syncing({ follows: noLink });
    expect(first(world)?.situation).toBe("replica-syncing");
    world.server("redis1", 1).info = masterInfo({ counters: { ...counters, ...grown } });
    expect(first(world)?.situation, "a link that was lost a moment ago comes back by itself").toBe(
      "replica-syncing",
    );
    world.later(5_000);
    expect(first(world)).toMatchObject({ situation: "replica-stuck", because: `redis1 serves, ${reason}` });
  });

  test("logins that the master refuses are those of the proxies' probes, too: no reason", () => {
    const world = syncing({ follows: noLink });
    first(world);
    world.server("redis1", 1).info = masterInfo({ counters: { ...counters, refusedLogins: 99 } });
    expect(first(world.later(60_000))?.situation).toBe("replica-syncing");
  });

  test.each([
    ["credentials", "WRONGPASS", "redis2 refuses recovery: WRONGPASS", "recovery-refused"],
    [
      "too many clients",
      "ERR max number of clients reached",
      "redis2 has reached its limit of clients and refuses recovery: ERR max number of clients reached",
      "recovery-refused",
    ],
    [
      "unreadable",
      'INFO lacks the field "role"',
      'redis2 answers what recovery cannot read: INFO lacks the field "role"',
      "recovery-refused",
    ],
    ["loading", "LOADING", "redis2 is loading its data from disk", "not-seen-whole"],
  ] as const)("it refuses recovery: %s", (kind, text, sentence, situation) => {
    const world = new World();
    world.server("redis2", 1).refusal = { kind, text };
    expect(first(world)?.because).toBe(`redis1 serves alone: ${sentence}`);
    expect(world.situation("redis2")).toBe(situation);
  });
});

describe("a server whose disk is full is not made master: it would refuse the new epoch, with half a promotion done", () => {
  const full = () => {
    const world = new World();
    for (const shard of world.shards)
      world.server("redis2", shard).info = replicaInfo("redis1", 9000 + shard, { refusesWrites: true });
    return world;
  };

  test("not when the master is lost", () => {
    const world = full().lookAll("redis1", down("silent"));
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.decide().sentence).toContain("redis2's disk is full, so that it refuses the new epoch");
  });

  test("not when the master's machine is to be replaced, and that is not replaced meanwhile", () => {
    const world = full().order("redis1");
    expect(world.situation("shard 1")).toBe("replica-disk-full");
    expect(world.situation("redis1")).toBe("machine-needed");
    expect(world.decide().sentence).toContain("redis2's disk is full (shard 1)");
  });
});

describe("a server that monit alone watches", () => {
  const world = (sinceMs: number) => {
    const one = new World();
    one.server("redis2", 1).looks = { haproxy1: none, haproxy2: none, monit: down("silent", sinceMs) };
    one.server("redis2", 1).info = replicaInfo("redis1", 9001, { loading: true });
    return one.decide().memory.durable.servers["redis2/1"]?.verdict;
  };

  test("has the time to boot, since it answered last", () => {
    expect(world(defaultLimits.bootMs - 1000)).toBeUndefined();
  });

  test("… and is condemned after it", () => {
    expect(world(defaultLimits.bootMs + 1000)).toMatchObject({ condition: "silent", by: ["monit"] });
  });
});

describe("old masters and wrong roles", () => {
  test("an old master that comes back is fenced and demoted", () => {
    const world = new World();
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", epoch: 2 });
    world.remembered(1).master = { machine: "redis2", runId: "run-redis2", epoch: 2 };
    expect(stepsOf(world, "shard 1")).toEqual([
      "fence redis1's server of shard 1",
      "make redis1 replica of redis2 for shard 1",
      "send the traffic of shard 1 to redis2",
      "cut old sessions of shard 1 with redis1",
    ]);
  });

  test("a replica that was made master by hand is demoted, not the master that recovery made", () => {
    const world = new World();
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", offset: 5000 });
    expect(stepsOf(world, "shard 1")).toContain("make redis2 replica of redis1 for shard 1");
  });

  test("… and gets no traffic while the real master is only out of sight", () => {
    const world = new World().look("redis1", 1, failing("silent"));
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", offset: 5000 });
    expect(world.situation("shard 1")).toBe("doubt");
    const changes = world.decide().decisions.find(({ subject }) => subject === "haproxy1")?.steps ?? [];
    expect(changes.map(describeStep).join()).not.toContain("traffic 1/redis2 ready");
  });

  test("… and takes over like any replica, fenced and with a new epoch, once the real master is lost", () => {
    const world = new World().look("redis1", 1, down("refused"));
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", offset: 5000 });
    expect(stepsOf(world, "shard 1").slice(0, 2)).toEqual([
      "fence redis1's server of shard 1",
      "make redis2 master of shard 1 (epoch 2)",
    ]);
  });

  test("a master changed by hand, both ways, is the master from then on", () => {
    const world = new World();
    world.server("redis1", 1).info = replicaInfo("redis2", 9001, { runId: "run-redis1" });
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", offset: 5000 });
    expect(world.decide().memory.durable.shards[1]?.master?.machine).toBe("redis2");
  });

  test("a replica whose link is up, but which lacks what its master had a second ago, is not one that has a copy", () => {
    const world = new World();
    const { nowMs } = world.facts;
    world.server("redis1", 1).info = masterInfo({ offset: 9000 });
    world.memory.seen["redis1/1"] = { trail: [{ atMs: nowMs - 1500, offset: 8000 }] };
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { offset: 8000 });
    expect(world.situation("shard 1")).toBe("served");
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { offset: 7999 });
    expect(world.situation("shard 1")).toBe("replica-syncing");
    expect(world.decide().sentence).toContain("redis2 lags behind");
  });

  test("a replica that follows somebody else is told whom to follow", () => {
    const world = new World();
    const follows = { host: "10.42.9.9", port: 9001, linkUp: false, syncing: false };
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { follows });
    expect(stepsOf(world, "shard 1")).toEqual(["make redis2 replica of redis1 for shard 1"]);
  });

  test("a replica whose process has just started follows nobody until it is told to", () => {
    const world = new World();
    const follows = { host: "127.0.0.1", port: 1, linkUp: false, syncing: false };
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { runId: "new", follows });
    expect(world.situation("shard 1")).toBe("replica-drifted");
  });

  test("the old term's master alone is not used: better data may exist", () => {
    const world = new World().look("redis2", 1, down("refused"));
    world.remembered(1).epoch = 5;
    world.remembered(1).master = { machine: "redis2", runId: "run-redis2", epoch: 5 };
    expect(world.situation("shard 1")).toBe("stale-master");
    const changes = world.decide().decisions.find(({ subject }) => subject === "haproxy1")?.steps ?? [];
    expect(changes.map(describeStep).join()).toContain("traffic 1/redis1 out");
  });

  test("a serving master whose epoch key was removed gets it back", () => {
    const world = new World();
    world.server("redis1", 1).info = masterInfo({ epoch: 0 });
    expect(stepsOf(world, "shard 1")).toEqual(["write epoch 1 into shard 1"]);
  });

  test("a master that restarted as a replica: the best copy becomes master", () => {
    const world = new World();
    const follows = { host: "redis2.barton", port: 9001, linkUp: false, syncing: false };
    world.server("redis1", 1).info = replicaInfo("redis2", 9001, { runId: "new", offset: 0, follows });
    expect(stepsOf(world, "shard 1")[1]).toBe("make redis2 master of shard 1 (epoch 2)");
  });

  test("a replica that lagged behind waits for its master to come back, but not for ever", () => {
    const world = new World();
    delete world.remembered(1).inSync;
    world.look("redis1", 1, down("refused"));
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.decide().sentence).toContain(
      "redis2 lagged behind when its master was lost; redis1, which may have it, is waited for, for up to 600 s",
    );
    world.later(600_100);
    expect(world.situation("shard 1")).toBe("master-lost");
    expect(world.decide().sentence).toContain("which lagged behind: what it lacks is lost");
  });

  describe("a master back from a loss of power, whose replica had everything", () => {
    const restarted = (look: Look) => {
      const world = new World();
      world.decide();
      const follows = { host: "127.0.0.1", port: 1, linkUp: false, syncing: false };
      world.server("redis1", 1).info = replicaInfo("redis2", 9001, { runId: "new", offset: 0, follows });
      world.look("redis2", 1, look);
      return world;
    };

    test("waits for that replica, for a long time: confirmed writes may be there alone", () => {
      const world = restarted(down("refused"));
      expect(world.situation("shard 1")).toBe("nothing-promotable");
      expect(world.decide().sentence).toContain(
        "traffic waits: redis1's process is new and its file may lack what it wrote last; redis2, which may have it, is waited for",
      );
      world.later(defaultLimits.dataPatienceMs - 100);
      expect(world.situation("shard 1")).toBe("nothing-promotable");
      world.later(200);
      expect(stepsOf(world, "shard 1")).toContain("make redis1 master of shard 1 (epoch 2)");
    });

    test("also when recovery itself has restarted and has not seen that replica", () => {
      const world = restarted(down("silent"));
      world.memory = revive(world.memory.durable, world.facts.nowMs).memory;
      world.memory.sightSinceMs = 0;
      world.facts.machines.redis2.knownSinceMs = world.facts.nowMs;
      delete world.server("redis2", 1).info;
      expect(world.situation("shard 1")).toBe("nothing-promotable");
    });

    test("also when somebody has ordered its machine's failover, which brings its data back", () => {
      const world = restarted(down("silent"));
      world.order("redis2");
      expect(world.situation("shard 1")).toBe("nothing-promotable");
    });

    test.each(["stopped", "terminated"] as const)(
      "a %s machine's data are on its volume: waited for",
      (state) => {
        const world = restarted(down("silent"));
        world.facts.machines.redis2.cloud = state;
        expect(world.situation("shard 1")).toBe("nothing-promotable");
      },
    );
  });
});

describe("a condemned machine that is back", () => {
  const back = () => {
    const world = new World();
    world.replacing("redis1", taintedPhase);
    return world;
  };
  const withoutCounterpart = () => back().lookAll("redis2", down("silent"));

  test("is used again when nobody else can serve, and its taint is taken away", () => {
    const world = withoutCounterpart();
    expect(stepsOf(world, "redis1")).toEqual(["take redis1 back"]);
    expect(world.decide().sentence).toContain(
      "redis1 is condemned, but redis2 does not answer on any port (say haproxy1, haproxy2 and monit) (shard 1): recovery takes redis1 back",
    );
    world.memory = apply(world.memory, { event: "taken back", machine: "redis1", because: "test" }, 0);
    expect(world.situation("redis1")).toBe("present");
    expect(world.situation("redis2")).toBe("machine-lost");
    expect(stepsOf(world, "replacement")).toEqual(["untaint redis1"]);
    world.memory = apply(world.memory, { event: "untainted", machine: "redis1" }, 0);
    expect(Object.values(world.memory.durable.machines).map(({ replacement }) => replacement)).toEqual([
      undefined,
    ]);
  });

  test("is used again when it has the better copy", () => {
    const world = back();
    const follows = { host: "127.0.0.1", port: 1, linkUp: false, syncing: false };
    for (const shard of world.shards) {
      world.server("redis1", shard).info = replicaInfo("redis2", 9000 + shard, { epoch: 2, follows });
      world.server("redis2", shard).info = replicaInfo("redis1", 9000 + shard, { epoch: 1, follows });
    }
    expect(stepsOf(world, "redis1")).toEqual(["take redis1 back"]);
    expect(stepsOf(world, "replacement")).toEqual([]);
  });

  test("is not used again once its power-off was requested", () => {
    const world = withoutCounterpart();
    world.replacing("redis1", { phase: "tainted", powerOff: "accepted" });
    expect(world.situation("redis1")).toBe("condemned");
  });

  test("is not used again while its counterpart can serve, or is only in doubt", () => {
    expect(back().situation("redis1")).toBe("condemned");
    expect(back().lookAll("redis2", failing("silent")).situation("redis1")).toBe("condemned");
  });

  test("an empty one is not", () => {
    const world = withoutCounterpart();
    for (const shard of world.shards)
      world.server("redis1", shard).info = replicaInfo("redis2", 9000 + shard, { epoch: 0 });
    expect(world.situation("redis1")).toBe("condemned");
  });

  test("condemned again before its taint was taken away: tainted again", () => {
    const world = new World();
    world.replacing("redis1", { phase: "taken back" });
    const event = { event: "condemned", machine: "redis1", instanceId: "i-redis1", because: "test" } as const;
    world.memory = apply(world.memory, event, 0);
    world.memory = apply(world.memory, { event: "untainted", machine: "redis1" }, 0);
    expect(stepsOf(world, "replacement")).toEqual(["taint redis1"]);
  });
});

describe("proxies", () => {
  test("one that started fresh gets its servers, then is registered", () => {
    const world = new World().freshProxy("haproxy2");
    const [step] = stepsOf(world, "haproxy2");
    expect(step).toContain("traffic 1/redis1 at 10.42.1.11:9001 ready");
    expect(step).toContain("probe 1/redis2 at 10.42.2.12:9001 ready");
    expect(step).not.toContain("traffic 1/redis2");
  });

  test("lost after patience, when app says the same", () => {
    const world = new World().clientLook("haproxy1", down("silent"));
    world.facts.proxies.haproxy1.look = down("silent", 1_900);
    expect(world.situation("haproxy1")).toBe("doubt");
    world.facts.proxies.haproxy1.look = down("silent", 2_100);
    expect(world.situation("haproxy1")).toBe("lost");
    expect(world.decide().sentence).toContain("haproxy1 does not answer on any port (say app and monit)");
  });

  test("one that only monit cannot see is kept, for as long as clients use it", () => {
    const world = new World();
    world.facts.proxies.haproxy1.look = down("silent", 600_000);
    expect(world.situation("haproxy1")).toBe("carries-unseen");
    expect(world.decide().sentence).toContain("monit cannot see haproxy1, but app does: it is kept");
  });

  test("one that is registered, but that app has not used for two seconds, is told; a moment is not", () => {
    const world = new World();
    const unusedFor = (ms: number) => {
      world.facts.app.unusedSinceMs = { haproxy1: world.facts.nowMs - ms };
      return world.situation("haproxy1");
    };
    expect(unusedFor(1_900)).toBe("serving");
    expect(unusedFor(5_000)).toBe("unused");
    expect(world.decide().sentence).toContain("haproxy1 is registered, but app has not used it for 5.0 s");
    world.facts.app.look = down("silent");
    expect(world.situation("haproxy1")).toBe("serving");
  });

  test("one that stalls for monit is kept while app uses it; without app's word it is lost", () => {
    const world = new World();
    world.facts.proxies.haproxy1.look = down("stalled", 600_000);
    expect(world.situation("haproxy1")).toBe("carries-unseen");
    world.clientLook("haproxy1", down("stalled"));
    expect(world.situation("haproxy1")).toBe("lost");
  });

  test.each(["stalled", "silent", "refused"] as const)(
    "a new proxy that answered once while it booted, and is %s again, boots until it was registered",
    (silence) => {
      const world = new World().clientLook("haproxy1", down(silence));
      world.memory.durable.machines.haproxy1 = { newcomer: { configured: false, failedAttempts: 0 } };
      world.facts.proxies.haproxy1.look = down(silence, defaultLimits.bootMs - 1000);
      expect(world.situation("haproxy1")).toBe("doubt");
      world.facts.proxies.haproxy1.look = down(silence, defaultLimits.bootMs + 1000);
      expect(world.situation("haproxy1")).toBe("lost");
    },
  );

  test("one that only monit cannot see is condemned when it would have to be told something", () => {
    const world = new World().lookAll("redis1", down("silent"));
    world.facts.proxies.haproxy1.look = down("silent", 2_100);
    expect(world.situation("haproxy1")).toBe("lost");
  });

  test.each<[string, (world: World) => void]>([
    ["app cannot be asked", ({ facts }) => Object.assign(facts.app, { look: down("silent") })],
    [
      "app still has the old address",
      ({ facts }) => Object.assign(facts.app.view?.haproxy1 ?? {}, { address: "10.42.9.9" }),
    ],
    ["app has not made up its mind", (world) => world.clientLook("haproxy1", failing("silent"))],
    [
      "app says that it is not registered",
      ({ facts }) => Object.assign(facts.app.view?.haproxy1 ?? {}, { usable: false }),
    ],
  ])("with monit's word alone there is more time: %s", (_, change) => {
    const world = new World();
    change(world);
    world.facts.proxies.haproxy1.look = down("silent", 14_900);
    expect(world.situation("haproxy1")).toBe("doubt");
    world.facts.proxies.haproxy1.look = down("silent", 15_100);
    expect(world.situation("haproxy1")).toBe("lost");
  });

  test("one whose traffic the redis servers still see is kept", () => {
    const world = new World();
    world.facts.app.look = down("silent");
    world.facts.proxies.haproxy1.look = down("silent", 15_100);
    world.server("redis1", 1).info = masterInfo({ sessionsIdleSeconds: { "10.42.1.21": 0 } });
    expect(world.situation("haproxy1")).toBe("carries-unseen");
    world.server("redis1", 1).info = masterInfo({ sessionsIdleSeconds: { "10.42.1.21": 16 } });
    expect(world.situation("haproxy1")).toBe("lost");
  });

  test("a process that is gone gets time to be restarted", () => {
    const world = new World();
    world.facts.proxies.haproxy1.look = down("refused", 5_000);
    expect(world.situation("haproxy1")).toBe("doubt");
    world.facts.proxies.haproxy1.look = down("refused", 15_100);
    expect(world.situation("haproxy1")).toBe("lost");
  });

  test("after monit was blind, patience begins again", () => {
    const world = new World().clientLook("haproxy1", down("silent"));
    world.facts.proxies.haproxy1.look = down("silent", 60_000);
    world.memory.sightSinceMs = world.facts.nowMs - 100;
    expect(world.situation("haproxy1")).toBe("doubt");
    world.later(2_100);
    expect(world.situation("haproxy1"), "no probe has begun since").toBe("doubt");
    world.facts.proxies.haproxy1.look.provenSinceMs = world.memory.sightSinceMs;
    expect(world.situation("haproxy1")).toBe("lost");
  });

  test("ordered: drained and unregistered first; refused while its twin does not serve", () => {
    const world = new World();
    world.order("haproxy1");
    const register = (registered: boolean) =>
      Object.assign(world.facts.proxies.haproxy1.view ?? {}, { registered });
    const steps = ["drain haproxy1", "unregister haproxy1", "stop monitoring haproxy1"];
    expect(stepsOf(world, "haproxy1")).toEqual(steps);
    register(false);
    expect(stepsOf(world, "haproxy1"), "interrupted while it drained").toEqual(steps);
    world.freshProxy("haproxy2");
    expect(stepsOf(world, "haproxy1"), "its twin was lost while it drained").toEqual(["register haproxy1"]);
    register(true);
    expect(world.situation("haproxy1")).toBe("needed");
  });

  describe("one that is condemned and answers again while its replacement waits", () => {
    const back = () => {
      const world = new World();
      world.replacing("haproxy1", taintedPhase);
      return world;
    };

    test("has its server lines repaired first: clients may use it", () => {
      const world = back();
      Object.assign(world.lines("haproxy1", 1).redis2.traffic, { ready: true, maintenance: false });
      expect(stepsOf(world, "haproxy1")).toEqual(["set servers of haproxy1: traffic 1/redis2 out"]);
    });

    test("then its twin carries the traffic", () => {
      expect(stepsOf(back(), "haproxy1")).toEqual(["unregister haproxy1"]);
    });

    test("unless there is no twin: then it is used until it is replaced", () => {
      const world = back();
      world.facts.proxies.haproxy2.look = down("silent");
      expect(world.situation("haproxy1")).toBe("condemned");
    });

    test("and is left alone when it is being powered off", () => {
      const world = back();
      world.replacing("haproxy1", { phase: "tainted", powerOff: "accepted" });
      expect(world.situation("haproxy1")).toBe("condemned");
    });
  });

  describe("one that alone cannot reach a master", () => {
    /** As this proxy alone sees the master of a shard. */
    const see = (world: World, proxy: ProxyMachine, shard: number, look: Look) => {
      world.server("redis1", shard).looks[proxy] = look;
    };
    const cutOff = (...shards: number[]) => {
      const world = new World();
      for (const shard of shards) see(world, "haproxy1", shard, down("silent", 2_100));
      return world;
    };
    const lead = (world: World, proxy: ProxyMachine, address: string, port: number) =>
      Object.assign(world.lines(proxy, 1).redis1.traffic, { address, port });
    const onDetour = () => {
      const world = cutOff(1);
      lead(world, "haproxy1", "10.42.2.22", 8001);
      return world;
    };

    test("sends the traffic to its twin, on the line of that master", () => {
      const world = cutOff(1, 2);
      expect(stepsOf(world, "haproxy1")).toEqual([
        "set servers of haproxy1: traffic 1/redis1 at 10.42.2.22:8001 ready, traffic 2/redis1 at 10.42.2.22:8002 ready",
      ]);
      expect(world.decide().sentence).toBe(
        "haproxy1 cannot reach redis1, while haproxy2 and monit can: its traffic goes there through haproxy2",
      );
      expect(world.situation("redis1"), "a cut is no verdict on the server").toBe("present");
    });

    test("has its sessions cut, for they stand still; on the way back they go on", () => {
      const changesOf = (world: World) =>
        world
          .decide()
          .decisions.flatMap(({ steps }) => steps)
          .flatMap((step) => (step.do === "set servers" ? step.changes : []));
      expect(changesOf(cutOff(1))).toMatchObject([{ cut: true }]);
      const world = onDetour();
      see(world, "haproxy1", 1, up);
      expect(changesOf(world)[0]).not.toHaveProperty("cut");
    });

    test("goes on so until its own probe counts the master as up", () => {
      const world = onDetour();
      expect(world.situation("haproxy1")).toBe("detour");
      see(world, "haproxy1", 1, failing("silent"));
      expect(world.situation("haproxy1")).toBe("detour");
      see(world, "haproxy1", 1, up);
      expect(stepsOf(world, "haproxy1")).toEqual([
        "set servers of haproxy1: traffic 1/redis1 at 10.42.1.11:9001 ready",
      ]);
    });

    test("does not begin while its twin fails probes, and is not ended by them", () => {
      const world = cutOff(1);
      see(world, "haproxy2", 1, failing("silent"));
      expect(world.situation("haproxy1")).toBe("serving");
      const detour = onDetour();
      see(detour, "haproxy2", 1, failing("silent"));
      detour.facts.proxies.haproxy2.look = failing("silent");
      expect(stepsOf(detour, "haproxy1")).toEqual([]);
    });

    test("goes on so while the master stalls", () => {
      const world = onDetour().look("redis1", 1, failing("stalled"));
      expect(world.situation("shard 1")).toBe("stall");
      expect(stepsOf(world, "haproxy1")).toEqual([]);
    });

    test("is fenced on that line when the master fails, and the successor is used directly", () => {
      const world = onDetour().lookAll("redis1", down("silent"));
      expect(stepsOf(world, "shard 1")).toContain("fence redis1's server of shard 1");
      expect(stepsOf(world, "haproxy1").join()).not.toContain("10.42.2.22");
    });

    test("has time: the twin may be about to see the same", () => {
      const world = new World();
      see(world, "haproxy1", 1, down("silent", 1_900));
      expect(world.situation("haproxy1")).toBe("serving");
    });

    test("goes nowhere when a replica is all that it cannot reach", () => {
      const world = new World();
      world.server("redis2", 1).looks.haproxy1 = down("silent", 60_000);
      expect(world.situation("haproxy1")).toBe("serving");
    });

    test.each<[string, (world: World) => unknown]>([
      ["is gone", ({ facts }) => Object.assign(facts.proxies.haproxy2, { look: down("silent") })],
      ["makes a detour itself", (world) => lead(world, "haproxy2", "10.42.1.21", 8001)],
      [
        "holds the traffic",
        (world) => Object.assign(world.lines("haproxy2", 1).redis1.traffic, { ready: false }),
      ],
      [
        "has its door shut",
        ({ facts }) => Object.assign(facts.proxies.haproxy2.view?.frontends ?? {}, { shard1: "shut" }),
      ],
      [
        "is condemned",
        (world) => {
          world.replacing("haproxy2", condemnedPhase);
        },
      ],
    ])("makes no detour, and ends one, when its twin %s", (_, change) => {
      const world = cutOff(1);
      change(world);
      expect(world.situation("haproxy1")).toBe("serving");
      const detour = onDetour();
      change(detour);
      expect(stepsOf(detour, "haproxy1")).toEqual([
        "set servers of haproxy1: traffic 1/redis1 at 10.42.1.11:9001 ready",
      ]);
    });

    test("keeps its twin from being replaced, and may itself be", () => {
      const world = onDetour();
      world.order("haproxy1", "haproxy2");
      expect(world.situation("haproxy2")).toBe("needed");
      expect(world.decide().sentence).toContain("haproxy1 itself needs haproxy2 to reach a master");
      expect(world.situation("haproxy1")).toBe("leaves");
    });
  });

  test("both ordered: the backup leaves first, or each would drain until it saw the other drain", () => {
    const world = new World();
    world.order("haproxy1", "haproxy2");
    expect(stepsOf(world, "haproxy2")).toContain("drain haproxy2");
    expect(world.situation("haproxy1")).toBe("needed");
    expect(world.decide().sentence).toContain("haproxy1 is not replaced: haproxy2 is to be replaced first");
  });
});

describe("replacement", () => {
  const condemned = () => {
    const world = new World().lookAll("redis1", down("silent"));
    world.replacing("redis1", condemnedPhase);
    return world;
  };

  test("the taint comes at once, whatever else is to be waited for", () => {
    expect(stepsOf(condemned(), "replacement")).toEqual(["taint redis1"]);
  });

  test("the launch waits until the counterpart serves every shard", () => {
    const world = condemned();
    world.replacing("redis1", taintedPhase);
    expect(world.decide().sentence).toContain(
      "the replacement of redis1 waits: redis2 is not master of shard 1",
    );
    for (const shard of world.shards)
      world.server("redis2", shard).info = masterInfo({ runId: "run-redis2", epoch: 2 });
    expect(stepsOf(world, "replacement")).toEqual([
      "compare the program with the one that the last up ran",
      "power off redis1 (i-redis1)",
      "launch a new redis1",
    ]);
  });

  test("a spent budget holds it, and people are told, unless somebody orders it", () => {
    const world = new World();
    world.replacing("haproxy1", taintedPhase);
    world.memory.durable.replacements = Array.from({ length: 10 }, () => ({
      machine: "haproxy1" as const,
      wallMs: world.facts.wallMs - 1,
    }));
    expect(world.decide().sentence).toContain("haproxy1 was replaced 10 times within an hour");
    world.order("haproxy1");
    expect(stepsOf(world, "replacement")).toContain("launch a new haproxy1");
  });

  describe("an up that was killed after it had launched another instance", () => {
    const unfinished = () => {
      const world = new World();
      world.replacing("redis2", taintedPhase, "i-older");
      return world;
    };

    test("is finished while the counterpart serves: one more may be launched", () => {
      expect(stepsOf(unfinished(), "replacement")).toContain("launch a new redis2");
    });

    test("waits while the counterpart does not serve: that instance may hold the only copy", () => {
      const world = unfinished().look("redis1", 1, down("refused"));
      expect(world.decide().sentence).toContain(
        "the replacement of redis2 waits: redis1 is not master of shard 1",
      );
      expect(stepsOf(world, "replacement")).toEqual([]);
    });

    test("a master on that instance is relieved first", () => {
      const world = new World();
      world.replacing("redis1", taintedPhase, "i-older");
      expect(world.situation("shard 1")).toBe("master-leaves");
    });
  });

  test("a spent budget says what to do, and that does it", () => {
    const world = new World();
    world.replacing("haproxy1", taintedPhase);
    const spend = (machine: "haproxy1" | "redis1") => ({ machine, wallMs: world.facts.wallMs - 1 });
    world.memory.durable.replacements = Array.from({ length: 10 }, () => [
      spend("haproxy1"),
      spend("redis1"),
    ]).flat();
    expect(world.decide().sentence).toContain('run "barton forgive haproxy1" on monit');
    world.memory = apply(world.memory, { event: "forgiven", machine: "haproxy1" }, world.facts.wallMs);
    expect(stepsOf(world, "replacement")).toContain("launch a new haproxy1");
    // Another machine's budget is its own.
    expect(world.memory.durable.replacements).toEqual(Array.from({ length: 10 }, () => spend("redis1")));
  });

  test("a new instance in its place ends it", () => {
    const world = new World();
    world.replacing("redis2", { phase: "launched" }, "i-older");
    expect(world.decide().settled).toBe(true);
    expect(Object.values(world.memory.durable.machines).map(({ replacement }) => replacement)).toEqual([
      undefined,
    ]);
  });

  test("a new machine joins: it is told whom to follow, and its probe lines get its address once it has everything", () => {
    const world = new World();
    world.facts.machines.redis2 = {
      ...world.facts.machines.redis2,
      instanceId: "i-new",
      address: "10.42.2.99",
    };
    world.look("redis2", 1, none).look("redis2", 2, none);
    for (const shard of world.shards) {
      const server = world.server("redis2", shard);
      server.looks.monit = up;
      server.info = replicaInfo("redis1", 9000 + shard, { runId: "new" });
    }
    expect(world.situation("shard 1")).toBe("replica-syncing");
    world.remembered(1).inSync = { master: "run-redis1", replica: "new" };
    const steps = stepsOf(world, "haproxy1").join();
    expect(steps).toContain("probe 1/redis2 at 10.42.2.99:9001 ready");
    expect(steps).toContain("probe 2/redis2 out");
    expect(steps).not.toContain("traffic");
  });

  test("ordered while the master works: a planned switch, and only with a replica that has everything", () => {
    const world = new World();
    world.order("redis1");
    expect(stepsOf(world, "shard 1")).toEqual([
      "drain redis1's server of shard 1",
      "fence redis1's server of shard 1",
      "pause writes of redis1's server of shard 1",
      "wait until redis2 has everything of shard 1",
      "make redis2 master of shard 1 (epoch 2)",
      "send the traffic of shard 1 to redis2",
      "make redis1 replica of redis2 for shard 1",
      "cut old sessions of shard 1 with redis1",
      "resume writes of redis1's server of shard 1",
    ]);
    delete world.remembered(2).inSync;
    expect(world.situation("redis1")).toBe("machine-needed");
  });
});

test("facts that no row covers are reported by name, and the other subjects are seen to", () => {
  const world = new World();
  world.server("redis1", 1).info = replicaInfo("redis2", 9001);
  world.server("redis1", 1).refusal = { kind: "rights", text: "NOPERM" };
  world.look("redis2", 1, failing("refused"));
  delete world.remembered(1).master;
  world.freshProxy("haproxy1").freshProxy("haproxy2");
  const { decisions } = world.decide();
  expect(decisions.length).toBe(2 + 2 + 2 + 2 + 1);
  expect(decisions.find(({ subject }) => subject === "shard 2")?.situation).toBe("served");
});
