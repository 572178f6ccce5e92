/** The questions about app, proxies and redis machines by which the rows of their tables are written: the answers and the sentences. */
import { describe, expect, test } from "vitest";
import { isAppLost, isAppStarting, isMonitOff, troubleOfApp } from "../../../../recovery/decide/rules/app.ts";
import type { ShardIntent } from "../../../../recovery/decide/rules/proxy-changes.ts";
import {
  doubtText,
  isNewcomer,
  isToBeConfigured,
  repairIsAbout,
  shutText,
  viewProxyMachine,
  whyProxyLost,
  witnessOf,
  wrongLinesOf,
} from "../../../../recovery/decide/rules/proxy-machine.ts";
import {
  isPresent,
  isRecoveryRefused,
  needAllShards,
  refusalsOf,
  troubleOfLostProcesses,
  troubleOfSilentServers,
  viewRedisMachine,
  whyRedisLost,
  whyTakenBack,
} from "../../../../recovery/decide/rules/redis-machine.ts";
import { firstPending, viewReplacement, whysHeld } from "../../../../recovery/decide/rules/replacement.ts";
import { viewShard } from "../../../../recovery/decide/view/view.ts";
import type { Refusal } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import {
  addresses,
  condemnedPhase,
  down,
  failing,
  none,
  replicaInfo,
  startMs,
  taintedPhase,
  up,
  World,
} from "../../world-of-facts.ts";

const { graceMs, bootMs, proxyPatienceMs } = defaultLimits;
const known = ({ facts, memory }: World) => ({ facts, memory, limits: defaultLimits });
const shardsOf = (world: World) => world.facts.topology.shards.map((shard) => viewShard(known(world), shard));

describe("app", () => {
  const view = (world: World) => ({ machine: "app", known: known(world) }) as const;
  const looking = (look: World["facts"]["app"]["look"]) => {
    const world = new World();
    world.facts.app.look = look;
    return world;
  };

  test.each([
    ["app's proxy process is gone", down("refused")],
    ["app's proxy accepts but does not reply", down("stalled")],
    ["app has not answered yet", none],
    ["monit cannot see app, but haproxy1 and haproxy2 hear it", down("silent")],
  ])("%s", (text, look) => {
    expect(troubleOfApp(view(looking(look)))).toBe(text);
  });

  test("one proxy hears it", () => {
    const world = looking(down("silent", 10_000)).hearing("haproxy2", "before");
    expect(troubleOfApp(view(world))).toBe("monit cannot see app, but haproxy1 hears it");
  });

  test("a proxy process that is gone or hangs is no lost machine, whoever misses it", () => {
    const missed = (look: World["facts"]["app"]["look"]) =>
      isAppLost(view(looking(look).hearing("haproxy1", "before").hearing("haproxy2", "before")));
    expect(missed(down("silent", 10_000))).toBe(true);
    expect(missed(down("refused", 10_000))).toBe(false);
    expect(missed(down("stalled", 10_000))).toBe(false);
  });

  test("a proxy that does not answer monit, or notes nobody, is no witness", () => {
    const world = looking(down("silent", 10_000)).hearing("haproxy1", undefined);
    delete world.facts.proxies.haproxy2.view;
    expect(troubleOfApp(view(world))).toBe("app does not answer, says monit alone");
    expect(isAppLost(view(world))).toBe(false);
  });

  test("it is starting until the time of a boot is over", () => {
    const starting = (ms: number) => {
      const world = looking(down("silent", ms));
      delete world.facts.app.view;
      return isAppStarting(view(world));
    };
    expect([starting(bootMs - 1), starting(bootMs)]).toEqual([true, false]);
  });

  test.each([
    ["running", false],
    ["pending", false],
    [undefined, false],
    ["stopped", true],
    ["missing", true],
  ] as const)("monit, %s for the cloud, is off: %s", (cloud, isOff) => {
    const facts = { ...new World().facts.machines.monit, cloud };
    expect(isMonitOff({ machine: "monit", facts })).toBe(isOff);
  });
});

describe("a proxy", () => {
  const view = (world: World, traffic: ShardIntent["traffic"] = "to master") => {
    const shards = shardsOf(world);
    const intents = shards.map((one) => ({ view: one, traffic, busy: false }));
    return viewProxyMachine(known(world), "haproxy1", shards, intents);
  };
  const looking = (look: World["facts"]["app"]["look"]) => {
    const world = new World();
    world.facts.proxies.haproxy1.look = look;
    return world;
  };

  test.each([
    ["haproxy1 fails probes, which is no verdict yet", looking(failing("silent"))],
    ["haproxy1 has not answered yet", looking(none)],
    ["haproxy1's proxy process is gone", looking(down("refused"))],
    ["haproxy1's proxy accepts but does not reply", looking(down("stalled"))],
    ["haproxy1 does not answer on any port (says monit)", looking(down("silent"))],
    [
      "haproxy1 does not answer on any port (say app and monit)",
      looking(down("silent")).clientLook("haproxy1", down("silent")),
    ],
  ])("%s", (text, world) => {
    expect(doubtText(view(world))).toBe(text);
  });

  test("without a view it has never answered", () => {
    const world = looking(down("refused"));
    delete world.facts.proxies.haproxy1.view;
    expect(doubtText(view(world))).toBe("haproxy1 has not answered yet");
  });

  describe("is lost", () => {
    const isLost = (world: World) => whyProxyLost(view(world)) !== undefined;
    /** Lost after this time, and not a millisecond before. */
    const lostAfter = (
      ms: number,
      silence: "refused" | "stalled" | "silent",
      change = (world: World) => world,
    ) => {
      expect(isLost(change(looking(down(silence, ms - 1))))).toBe(false);
      expect(isLost(change(looking(down(silence, ms))))).toBe(true);
    };

    test("when its process stays away, or hangs for the time of a stall, whatever app says", () => {
      const agreed = (world: World) => world.clientLook("haproxy1", down("silent"));
      lostAfter(graceMs, "refused");
      lostAfter(graceMs, "refused", agreed);
      lostAfter(4_000, "stalled");
      lostAfter(4_000, "stalled", agreed);
    });

    test("when it is silent: soon if app agrees, later by monit's word alone", () => {
      lostAfter(proxyPatienceMs, "silent", (world) => world.clientLook("haproxy1", down("silent")));
      lostAfter(graceMs, "silent");
    });

    test("soon, if it sends traffic where it must not go", () => {
      lostAfter(proxyPatienceMs, "silent", (world) => {
        Object.assign(world.lines("haproxy1", 1).redis2.traffic, { ready: true, maintenance: false });
        return world;
      });
    });

    test("a new one gets the time of a boot", () => {
      lostAfter(bootMs, "silent", (world) => {
        delete world.facts.proxies.haproxy1.view;
        return world;
      });
    });

    test("at once, when it was ordered or the cloud says so; never while it answers", () => {
      const silent = looking(down("silent"));
      expect(whyProxyLost(view(silent.order("haproxy1")))).toBe("failover of haproxy1 ordered (by hand)");
      const off = looking(failing("silent"));
      off.facts.machines.haproxy1.cloud = "stopped";
      expect(whyProxyLost(view(off))).toBe("haproxy1 is stopped, says the cloud");
      const missing = looking(failing("silent"));
      missing.facts.machines.haproxy1.cloud = "missing";
      expect(whyProxyLost(view(missing))).toBe("haproxy1 is missing, says the cloud");
      expect(whyProxyLost(view(new World().order("haproxy1")))).toBeUndefined();
    });
  });

  describe("that monit alone does not see", () => {
    /** Silent for so long; app does not see it either. */
    const unseen = (ms: number) => looking(down("silent", ms)).clientLook("haproxy1", down("silent"));
    const idle = (world: World, seconds: number | undefined, askedMs = startMs) => {
      const server = world.server("redis1", 1);
      server.askedMs = askedMs;
      Object.assign(server.info ?? {}, {
        sessionsIdleSeconds: seconds === undefined ? {} : { [addresses.haproxy1]: seconds },
      });
      return world;
    };

    test("app uses it", () => {
      expect(witnessOf(view(looking(down("silent", proxyPatienceMs))))).toBe("app does");
      expect(witnessOf(view(looking(down("silent", proxyPatienceMs - 1))))).toBeUndefined();
    });

    test("a session from it was active on a redis server since", () => {
      expect(witnessOf(view(idle(unseen(10_000), 8)))).toBe("the redis servers do");
      expect(witnessOf(view(idle(unseen(10_000), 9)))).toBeUndefined();
      expect(witnessOf(view(idle(unseen(10_000), undefined)))).toBeUndefined();
      expect(witnessOf(view(idle(unseen(10_000), 8, startMs - 1_000)))).toBeUndefined();
    });

    test("a server that monit does not hear tells nothing", () => {
      const world = idle(unseen(10_000), 0);
      world.server("redis1", 1).looks.monit = failing("silent");
      expect(witnessOf(view(world))).toBeUndefined();
    });

    test.each<[string, (world: World) => unknown]>([
      ["its failover is ordered", (world) => world.order("haproxy1")],
      ["the cloud does not say that it runs", (world) => delete world.facts.machines.haproxy1.cloud],
      ["it is not down yet", (world) => (world.facts.proxies.haproxy1.look = failing("silent", 5_000))],
      ["it refuses", (world) => (world.facts.proxies.haproxy1.look = down("refused", 5_000))],
      [
        "it sends traffic where it must not go",
        (world) =>
          Object.assign(world.lines("haproxy1", 1).redis2.traffic, { ready: true, maintenance: false }),
      ],
    ])("but nobody speaks for it when %s", (_, happen) => {
      const world = looking(down("silent", 5_000));
      happen(world);
      expect(witnessOf(view(world))).toBeUndefined();
    });
  });

  test("a new one is configured like its twin, for eight attempts, while the twin serves", () => {
    const fresh = (failedAttempts: number, configured = false) => {
      const world = new World();
      world.machine("haproxy1").newcomer = { configured, failedAttempts };
      return world;
    };
    expect(isToBeConfigured(view(fresh(7)))).toBe(true);
    expect(isToBeConfigured(view(fresh(8)))).toBe(false);
    expect(isToBeConfigured(view(fresh(0, true)))).toBe(false);
    expect(isToBeConfigured(view(new World()))).toBe(false);
    const alone = fresh(0);
    alone.facts.proxies.haproxy2.look = down("silent");
    expect(isToBeConfigured(view(alone))).toBe(false);
    delete alone.facts.proxies.haproxy2.view;
    expect(isToBeConfigured(view(alone))).toBe(false);
    expect([isNewcomer(view(fresh(0))), isNewcomer(view(new World()))]).toEqual([true, false]);
  });

  test("some shard has a master: there is something to serve", () => {
    const world = new World();
    world.server("redis1", 2).info = replicaInfo("redis2", 9002);
    expect(view(world).somethingToServe).toBe(true);
    world.server("redis1", 1).info = replicaInfo("redis2", 9001);
    expect(view(world).somethingToServe).toBe(false);
  });

  test("of its wrong lines four are named, and the others counted", () => {
    const wrong = (count: number) => {
      const world = new World();
      const lines = [1, 2].flatMap((shard) =>
        Object.values(world.lines("haproxy1", shard)).map(({ probe }) => probe),
      );
      for (const probe of lines.slice(0, Math.min(count, 4)))
        Object.assign(probe, { ready: false, maintenance: true });
      const { view: at } = world.facts.proxies.haproxy1;
      if (at && count > 4) Object.assign(at.holds[1] ?? {}, { ready: false });
      if (at && count > 5) at.frontends.shard1 = "paused";
      return wrongLinesOf(view(world));
    };
    expect(wrong(1)).toBe("probe1/redis1");
    expect(wrong(4)).toBe("probe1/redis1, probe1/redis2, probe2/redis1 and probe2/redis2");
    expect(wrong(5)).toBe("probe1/redis1, probe1/redis2, probe2/redis1, probe2/redis2 and 1 more");
    expect(wrong(6)).toBe("probe1/redis1, probe1/redis2, probe2/redis1, probe2/redis2 and 2 more");
  });

  test("its repair belongs to the only redis machine that it is about, or to the proxy while it is new", () => {
    const world = new World();
    const probe = (machine: "redis1" | "redis2") =>
      Object.assign(world.lines("haproxy1", 1)[machine].probe, { ready: false, maintenance: true });
    expect(repairIsAbout(view(world))).toBeUndefined();
    probe("redis2");
    expect(repairIsAbout(view(world))).toBe("redis2");
    probe("redis1");
    expect(repairIsAbout(view(world))).toBeUndefined();
    world.machine("haproxy1").newcomer = { configured: true, failedAttempts: 0 };
    expect(repairIsAbout(view(world))).toBe("haproxy1");
  });

  test("frontends that were shut are named", () => {
    const none = { paused: [], holds: [] };
    expect(shutText("haproxy1", { ...none, shut: ["shard1"] })).toBe(
      "haproxy1's frontend shard1 was shut down",
    );
    expect(shutText("haproxy1", { ...none, shut: ["shard1", "health"] })).toBe(
      "haproxy1's frontend shard1 and frontend health were shut down",
    );
  });
});

describe("a redis machine", () => {
  const view = (world: World) => viewRedisMachine(known(world), "redis1", shardsOf(world));

  test("is not judged by some of its shards", () => {
    const world = new World(2);
    const message = "not every shard can be seen, so nobody knows what the machine still serves";
    expect(() => needAllShards(known(world), shardsOf(world).slice(1))).toThrow(message);
    expect(() => viewReplacement(known(world.replacing("redis1", taintedPhase)), [])).toThrow(message);
    const proxyOnly = viewReplacement(known(new World().replacing("haproxy1", taintedPhase)), []);
    expect(firstPending(proxyOnly)).toBe("haproxy1");
    const both = new World().replacing("haproxy1", taintedPhase).replacing("redis1", taintedPhase);
    expect(() => viewReplacement(known(both), [])).toThrow(message);
    expect(firstPending(viewReplacement(known(new World()), []))).toBeUndefined();
  });

  test("is lost when every server is silent, not one alone", () => {
    const world = new World().lookAll("redis1", down("silent"));
    world.decide();
    expect(whyRedisLost(view(world))).toBe(
      "redis1 does not answer on any port (say haproxy1, haproxy2 and monit)",
    );
    const one = new World().look("redis1", 2, down("refused"));
    one.decide();
    expect(whyRedisLost(view(one))).toBeUndefined();
    one.later(graceMs);
    expect(whyRedisLost(view(one))).toBe(
      "redis1's redis process is gone (say haproxy1, haproxy2 and monit) and did not come back within 15.0 s",
    );
  });

  test("whose tag is gone is kept while one of its servers answers", () => {
    const world = new World().look("redis1", 2, down("refused"));
    world.facts.machines.redis1.cloud = "missing";
    expect(whyRedisLost(view(world))).toBeUndefined();
    world.lookAll("redis1", failing("silent"));
    expect(whyRedisLost(view(world))).toBe("redis1 is missing, says the cloud");
  });

  test("is present when all of its servers answer", () => {
    expect(isPresent(view(new World()))).toBe(true);
    expect(isPresent(view(new World().look("redis1", 2, failing("silent"))))).toBe(false);
  });

  test("what is wrong with its servers is said once, and of those alone that are meant", () => {
    const gone = new World().look("redis1", 2, down("refused"));
    const text = "redis1's redis process is gone (say haproxy1, haproxy2 and monit)";
    expect(troubleOfLostProcesses(view(gone))).toBe(text);
    expect(troubleOfSilentServers(view(gone))).toBe(text);
    expect(troubleOfLostProcesses(view(gone.look("redis1", 1, down("refused"))))).toBe(text);
  });

  test.each<[Refusal["kind"], boolean]>([
    ["credentials", true],
    ["too many clients", true],
    ["unreadable", true],
    ["loading", false],
    ["busy", false],
  ])("a refusal of the kind %j is for a person: %j", (kind, isRefused) => {
    const world = new World();
    world.server("redis1", 1).refusal = { kind, text: "ITS WORDS" };
    expect(isRecoveryRefused(view(world))).toBe(isRefused);
    if (kind === "credentials") expect(refusalsOf(view(world))).toBe("redis1 refuses recovery: ITS WORDS");
  });

  test("is taken back although its tag is gone, but not when the cloud says that it is off", () => {
    const needed = (cloud: World["facts"]["machines"]["redis1"]["cloud"]) => {
      const world = new World().lookAll("redis2", down("silent")).replacing("redis1", condemnedPhase);
      world.facts.machines.redis1.cloud = cloud;
      return whyTakenBack(view(world));
    };
    const why = "redis2 does not answer on any port (say haproxy1, haproxy2 and monit) (shard 1)";
    expect([needed("running"), needed("missing"), needed("stopping")]).toEqual([why, why, undefined]);
  });
});

describe("a replacement waits", () => {
  const why = (world: World) => whysHeld(viewReplacement(known(world), shardsOf(world)));

  test("for what the engine said, until that time", () => {
    const held = (untilMs: number) =>
      why(
        new World().replacing("app", { ...taintedPhase, held: { why: "another program", untilMs } } as never),
      );
    expect(held(startMs + 1)).toEqual(["the replacement of app holds: another program"]);
    expect(held(startMs)).toEqual([]);
  });

  test("not for the counterpart of an instance that has not begun to serve", () => {
    const begun = (answering: number) => {
      const world = new World().replacing("redis1", taintedPhase, "i-former");
      for (const shard of world.shards) world.look("redis1", shard, shard <= answering ? up : none);
      for (const shard of world.shards.slice(answering)) delete world.server("redis1", shard).info;
      return why(world);
    };
    expect(begun(0)).toEqual([]);
    expect(begun(1)).toEqual(["the replacement of redis1 waits: redis2 is not master of shard 1"]);
  });

  test("only when it is the next thing to do", () => {
    expect(why(new World().replacing("redis1", condemnedPhase))).toEqual([]);
  });
});
