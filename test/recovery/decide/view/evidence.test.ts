/** Verdicts, copies, sync and mastership asked directly: the conditions of each that no situation shows alone. */
import { describe, expect, test } from "vitest";
import { emptyMemory } from "../../../../recovery/decide/memory/memory.ts";
import { copyOf } from "../../../../recovery/decide/view/copy.ts";
import { isInSync, isSurpassed, rememberSync } from "../../../../recovery/decide/view/in-sync.ts";
import {
  isStale,
  isUsurper,
  masterOfPresentEpoch,
  soleMaster,
} from "../../../../recovery/decide/view/mastership.ts";
import { asSeen, seesAgain, whyBlind } from "../../../../recovery/decide/view/sight.ts";
import { sessionTarget, trafficTarget } from "../../../../recovery/decide/view/traffic.ts";
import { judgeServer } from "../../../../recovery/decide/view/verdict.ts";
import { viewShard } from "../../../../recovery/decide/view/view.ts";
import { type Look, type RedisInfo, serverId } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import {
  addresses,
  condemnedPhase,
  down,
  failing,
  masterInfo,
  none,
  replicaInfo,
  startMs,
  up,
  World,
} from "../../world-of-facts.ts";

const replica = serverId("redis2", 1);

function viewOf({ facts, memory }: World) {
  const [shard] = facts.topology.shards;
  if (!shard) throw new Error("no shard");
  return viewShard({ facts, memory, limits: defaultLimits }, shard);
}

describe("the value of a copy", () => {
  const copy = (
    info: Partial<RedisInfo>,
    former?: { runId: string; offset: number; instanceId?: string },
  ) => {
    const world = new World(1);
    world.server("redis1", 1).info = masterInfo(info);
    world.memory.seen[serverId("redis1", 1)] = { offset: former };
    return { world, of: () => copyOf(world.facts, world.memory, "redis1", 1, masterInfo(info)) };
  };

  test("is what the server says", () => {
    expect(copy({ beat: 3, epoch: 2, offset: 7 }).of()).toEqual({
      machine: "redis1",
      complete: true,
      epoch: 2,
      beat: 3,
      offset: 7,
      wasMaster: true,
    });
  });

  test("a copy that loads, is being received, or has no readable epoch is not complete", () => {
    const follows = { host: "10.0.0.1", port: 1, linkUp: false, syncing: true };
    expect(copy({ loading: true }).of().complete).toBe(false);
    expect(copy({ follows }).of().complete).toBe(false);
    expect(copy({ epoch: undefined }).of()).toMatchObject({ complete: false, epoch: 0 });
  });

  const former = { runId: "run-former", offset: 900, instanceId: "i-redis1" };

  test("a restarted process has the offset of its former self, where that is larger", () => {
    const restarted = (offset: number) => {
      const { world, of } = copy({ offset, runId: "run-new" }, former);
      delete world.remembered(1).inSync;
      return of().offset;
    };
    expect([restarted(5), restarted(901)]).toEqual([900, 901]);
  });

  test("not another instance, and not against a replica that had everything of the former self", () => {
    expect(copy({ offset: 5, runId: "run-new" }, { ...former, instanceId: "i-other" }).of().offset).toBe(5);
    expect(copy({ offset: 5, runId: "run-new" }, former).of().offset).toBe(5);
    // The process is the same one: it is not covered by its replica.
    expect(copy({ offset: 5 }, { ...former, runId: "run-redis1" }).of().offset).toBe(900);
  });
});

describe("a replica in sync", () => {
  /** Cycles in which redis2's link is as given, and what is remembered of its sync after them. */
  const syncAfter = (
    ...cycles: { up: boolean; offset: number; agoMs: number; askedMs?: number; loading?: boolean }[]
  ) => {
    const world = new World(1);
    world.remembered(1).inSync = { master: "run-redis1", replica: "run-redis2" };
    for (const { up: linkUp, offset, agoMs, askedMs, loading = false } of cycles) {
      const follows = { host: addresses.redis1, port: 9001, linkUp, syncing: false };
      world.server("redis2", 1).info = replicaInfo("redis1", 9001, { offset, loading, follows });
      world.server("redis1", 1).askedMs = askedMs;
      world.facts.nowMs = startMs - agoMs;
      rememberSync(world.memory, world.facts, "redis1", 1);
    }
    return world.remembered(1).inSync;
  };
  const sync = { master: "run-redis1", replica: "run-redis2" };

  test("stays one while its link is down for a moment in which its master may have died", () => {
    const down_ = (askedMs: number) => syncAfter({ up: false, offset: 1, agoMs: 0, askedMs });
    expect(down_(startMs + 1_000)).toEqual(sync);
    expect(down_(startMs + 1_001)).toBeUndefined();
  });

  test("is none when its link came up again, until its offset moves", () => {
    const lost = { up: false, offset: 1, agoMs: 300 };
    expect(syncAfter(lost, { up: true, offset: 1, agoMs: 200 })).toBeUndefined();
    expect(syncAfter(lost, { up: true, offset: 1, agoMs: 200 }, { up: true, offset: 2, agoMs: 100 })).toEqual(
      sync,
    );
    expect(
      syncAfter(
        lost,
        { up: true, offset: 1, agoMs: 200, loading: true },
        { up: true, offset: 2, agoMs: 100, loading: true },
      ),
    ).toEqual(sync);
  });

  test("a server with a verdict is none; one that was not looked at says nothing", () => {
    const with_ = (change: (world: World) => unknown) => {
      const world = new World(1);
      change(world);
      rememberSync(world.memory, world.facts, "redis1", 1);
      return world.remembered(1).inSync;
    };
    const verdict = { condition: "silent", sinceMs: 0, noticedMs: 0, by: [] } as never;
    expect(with_((world) => (world.memory.durable.servers[replica] = { verdict }))).toBeUndefined();
    const linkDown = (world: World) => {
      const follows = { host: addresses.redis1, port: 9001, linkUp: false, syncing: false };
      world.server("redis2", 1).info = replicaInfo("redis1", 9001, { follows });
      world.server("redis1", 1).askedMs = startMs + 5_000;
    };
    expect(with_(linkDown)).toBeUndefined();
    const unheard = (world: World) => {
      linkDown(world);
      world.server("redis2", 1).looks.monit = failing("silent");
    };
    expect(with_(unheard)).toEqual(sync);
    expect(with_((world) => delete world.server("redis2", 1).info)).toEqual(sync);
    expect(with_((world) => delete world.server("redis1", 1).info)).toEqual(sync);
    expect(with_((world) => delete world.facts.servers[replica])).toEqual(sync);
  });

  test("has what its master's present process wrote, and is itself the process that had it", () => {
    const is = (change: (world: World) => unknown) => {
      const world = new World(1);
      change(world);
      return isInSync(world.memory, world.facts, "redis2", 1);
    };
    expect(is(() => {})).toBe(true);
    expect(
      is((world) => (world.remembered(1).master = { machine: "redis2", runId: "run-redis1", epoch: 1 })),
    ).toBe(false);
    expect(
      is((world) => (world.remembered(1).master = { machine: "redis1", runId: "run-new", epoch: 1 })),
    ).toBe(false);
    expect(is((world) => (world.remembered(1).master = undefined))).toBe(false);
    expect(is((world) => Object.assign(world.server("redis2", 1).info ?? {}, { runId: "run-new" }))).toBe(
      false,
    );
    expect(is((world) => delete world.server("redis2", 1).info)).toBe(false);
    expect(is((world) => delete world.facts.servers[replica])).toBe(false);
  });
});

describe("a restarted master may lack what its replica has", () => {
  const surpassed = (reached: { epoch: number; beat: number } | undefined, info: Partial<RedisInfo> = {}) => {
    const world = new World(1);
    world.memory.seen[replica] = { reached };
    return isSurpassed(
      world.memory,
      "redis1",
      1,
      masterInfo({ runId: "run-new", epoch: 2, beat: 10, ...info }),
    );
  };

  test("unless the replica was seen last with an earlier beat", () => {
    expect(surpassed({ epoch: 2, beat: 8 })).toBe(true);
    expect(surpassed({ epoch: 2, beat: 7 })).toBe(false);
    expect(surpassed({ epoch: 1, beat: 99 })).toBe(false);
    expect(surpassed({ epoch: 3, beat: 0 })).toBe(true);
    expect(surpassed({ epoch: 0, beat: 0 }, { epoch: undefined, beat: undefined })).toBe(true);
  });

  test("or was not seen at all: then it may have anything", () => {
    expect(surpassed(undefined)).toBe(true);
    const world = new World(1);
    expect(isSurpassed(world.memory, "redis1", 1, masterInfo({ runId: "run-new" }))).toBe(true);
  });

  test("the process that served, and a server that was not master, are no such thing", () => {
    expect(surpassed({ epoch: 3, beat: 0 }, { runId: "run-redis1" })).toBe(false);
    const world = new World(1);
    expect(isSurpassed(world.memory, "redis2", 1, masterInfo({ runId: "run-new" }))).toBe(false);
  });
});

describe("a usurper", () => {
  /** redis1 says that it is master, in this epoch; recovery remembers redis2 as master of epoch 5, and has begun up to 6. */
  const usurps = (epoch: number | undefined, change: (world: World) => unknown = () => {}) => {
    const world = new World(1);
    world.remembered(1).master = { machine: "redis2", runId: "run-redis2", epoch: 5 };
    world.remembered(1).attempted = 6;
    for (const proxy of ["haproxy1", "haproxy2"] as const) use(world, proxy, "redis2");
    change(world);
    const claimant = { machine: "redis1", info: masterInfo({ epoch }) } as const;
    return isUsurper({ facts: world.facts, memory: world.memory }, 1, claimant);
  };
  const use = (world: World, proxy: "haproxy1" | "haproxy2", machine?: "redis1" | "redis2") => {
    for (const one of ["redis1", "redis2"] as const)
      Object.assign(world.lines(proxy, 1)[one].traffic, {
        ready: one === machine,
        maintenance: one !== machine,
      });
  };

  test("is in the epoch of the master, or in one that recovery never began", () => {
    expect([5, 6, 7, undefined].map((epoch) => usurps(epoch))).toEqual([true, false, true, false]);
  });

  test("is none that the proxies use alone, nor the remembered master itself", () => {
    const both = (world: World) => {
      use(world, "haproxy1", "redis1");
      use(world, "haproxy2", "redis1");
    };
    expect(usurps(5, both)).toBe(false);
    expect(usurps(5, (world) => use(world, "haproxy1", "redis1"))).toBe(true);
    const itself = (world: World) =>
      (world.remembered(1).master = { machine: "redis1", runId: "x", epoch: 5 });
    expect(usurps(5, itself)).toBe(false);
  });

  test("is none of another epoch while nobody uses the other server, or that one is condemned", () => {
    const held = (world: World) => {
      use(world, "haproxy1");
      use(world, "haproxy2");
    };
    expect(usurps(7, held)).toBe(false);
    expect(usurps(5, held)).toBe(true);
    expect(usurps(7, (world) => world.replacing("redis2", condemnedPhase))).toBe(false);
  });

  test("without a remembered master, the server that the proxies use is the legitimate one", () => {
    const forgotten = (world: World) => (world.remembered(1).master = undefined);
    expect([3, 7].map((epoch) => usurps(epoch, forgotten))).toEqual([true, true]);
  });
});

describe("the only master", () => {
  const changed = (change: (world: World) => unknown) => {
    const world = new World(1);
    change(world);
    return viewOf(world);
  };
  const later = (world: World) => (world.remembered(1).epoch = 2);
  const restarted = (world: World) =>
    Object.assign(world.server("redis1", 1).info ?? {}, { runId: "run-new" });
  const noMaster = (world: World) => (world.server("redis1", 1).info = replicaInfo("redis2", 9001));
  const twoMasters = (world: World) => (world.server("redis2", 1).info = masterInfo({ runId: "run-redis2" }));

  test("there is one, none or two", () => {
    expect(soleMaster(changed(() => {}))?.machine).toBe("redis1");
    expect(soleMaster(changed(noMaster))).toBeUndefined();
    expect(soleMaster(changed(twoMasters))).toBeUndefined();
  });

  test("is stale in an earlier epoch, unless it is the very process that serves", () => {
    const both = (world: World) => [later(world), restarted(world)];
    expect(isStale(changed(both))).toBe(true);
    expect(isStale(changed(later))).toBe(false);
    expect(isStale(changed(restarted))).toBe(false);
    expect(isStale(changed(noMaster))).toBe(false);
    const unreadable = (world: World) => [both(world), delete world.server("redis1", 1).info?.epoch];
    expect(isStale(changed(unreadable))).toBe(true);
    const forgotten = (world: World) => {
      later(world);
      delete world.remembered(1).master;
    };
    expect(isStale(changed(forgotten))).toBe(true);
  });

  test("is of the present epoch: the process that recovery knows, with the epoch that the shard has reached", () => {
    const present = (change: (world: World) => unknown) => masterOfPresentEpoch(changed(change));
    expect(present(() => {})).toBe("redis1");
    expect(present(later)).toBeUndefined();
    expect(present(restarted)).toBeUndefined();
    expect(present(noMaster)).toBeUndefined();
    expect(
      present((world) => (world.remembered(1).master = { machine: "redis2", runId: "run-redis1", epoch: 1 })),
    ).toBeUndefined();
    expect(present((world) => (world.remembered(1).master = undefined))).toBeUndefined();
    expect(present((world) => (world.remembered(1).epoch = 0))).toBeUndefined();
    expect(present((world) => delete world.server("redis1", 1).info?.epoch)).toBeUndefined();
  });
});

describe("the verdict on a server", () => {
  type Looks = [haproxy1: Look, haproxy2: Look, monit: Look];
  const judge = ([haproxy1, haproxy2, monit]: Looks, change: (world: World) => unknown = () => {}) => {
    const world = new World(1);
    world.server("redis1", 1).looks = { haproxy1, haproxy2, monit };
    change(world);
    return judgeServer(world.facts, "redis1", 1);
  };
  const withoutInfo = (world: World) => delete world.server("redis1", 1).info;

  test("off is the cloud's word, from now on", () => {
    const off = judge([up, up, up], (world) => (world.facts.machines.redis1.cloud = "stopped"));
    expect(off).toEqual({ condition: "off", by: ["the cloud"], sinceMs: startMs });
  });

  test("fine, by those who have looked; unseen when nobody has", () => {
    expect(judge([up, none, up])).toEqual({ condition: "fine", by: ["haproxy1", "monit"] });
    expect(judge([none, none, none])).toEqual({ condition: "unseen", by: [] });
    expect(judge([none, none, failing("silent")], withoutInfo)).toEqual({ condition: "unseen", by: [] });
  });

  test("a doubt, with its first sign, when it has answered before, refuses recovery, or somebody hears it", () => {
    const first = { condition: "doubted", by: ["haproxy1", "monit"], sinceMs: startMs - 300 };
    expect(judge([failing("silent", 100), up, failing("silent", 300)])).toEqual(first);
    expect(judge([failing("silent", 100), up, failing("silent", 300)], withoutInfo)).toEqual(first);
    const refuses = (world: World) => {
      withoutInfo(world);
      world.server("redis1", 1).refusal = { kind: "credentials", text: "?" };
    };
    expect(judge([none, none, failing("silent", 300)], refuses)).toMatchObject({ condition: "doubted" });
  });

  test("stalling, if somebody says so", () => {
    expect(judge([failing("stalled"), up, failing("silent")])).toMatchObject({ condition: "stalling" });
  });

  test("two of three: silent or refused at once, hung after the time of a stall", () => {
    expect(judge([down("silent"), up, down("silent")])).toMatchObject({
      condition: "silent",
      by: ["haproxy1", "monit"],
    });
    expect(judge([down("refused"), up, down("silent")])).toMatchObject({ condition: "refused" });
    const hangs = (ms: number) => judge([down("stalled", ms), up, down("stalled", ms)]).condition;
    expect([hangs(3_999), hangs(4_000)]).toEqual(["stalling", "hung"]);
    expect(judge([down("stalled", 4_000), up, down("stalled", 100)]).condition).toBe("stalling");
  });

  test("one port that is silent while another one answers, or refuses, is a stall and no lost machine", () => {
    const other = (look: Look) => {
      const world = new World(2).look("redis1", 1, down("silent")).look("redis1", 2, look);
      return judgeServer(world.facts, "redis1", 1).condition;
    };
    expect([up, failing("refused"), failing("silent"), none].map(other)).toEqual([
      "stalling",
      "stalling",
      "silent",
      "silent",
    ]);
  });

  test("facts that lack a server make no verdict", () => {
    const lacking = (world: World) => delete world.facts.servers[serverId("redis1", 1)];
    expect(() => judge([up, up, up], lacking)).toThrow("the facts lack redis1's server of shard 1");
  });
});

describe("monit's own sight", () => {
  const everybody = (look: Look) => {
    const world = new World(1).lookAll("redis1", look).lookAll("redis2", look);
    for (const proxy of ["haproxy1", "haproxy2"] as const) world.facts.proxies[proxy].look = look;
    return world;
  };

  test("it has not looked yet, sees nobody, or sees somebody", () => {
    expect(whyBlind(everybody(none).facts)).toBe("monit has not seen anybody yet");
    const nobody = "monit sees nobody: it may be the one that is cut off, so nothing is done";
    expect(whyBlind(everybody(down("silent")).facts)).toBe(nobody);
    expect(whyBlind(everybody(down("silent")).look("redis1", 1, none).facts)).toBe(nobody);
    expect(whyBlind(everybody(down("silent")).look("redis1", 1, up).facts)).toBeUndefined();
  });

  test("nobody's time runs out while it stood still", () => {
    const memory = structuredClone(emptyMemory);
    memory.seen[replica] = { trouble: { sinceMs: 10, wellMs: 20 } as never };
    memory.seen.other = { reached: { epoch: 1, beat: 1 } };
    const again = seesAgain(memory, 1_000, 300);
    expect(again.sightSinceMs).toBe(1_000);
    expect(again.seen[replica]?.trouble).toEqual({ sinceMs: 10, pausedMs: 700, wellMs: undefined });
    expect(again.seen.other).toEqual({ reached: { epoch: 1, beat: 1 } });
    expect(seesAgain(again, 2_000, 300).seen[replica]?.trouble).toMatchObject({ pausedMs: 700 });
  });

  test("a probe that began before it saw again is no verdict", () => {
    const world = new World(1).look("redis1", 1, down("silent", 500));
    const seen = (sightSinceMs: number | undefined) =>
      asSeen(world.facts, { ...world.memory, sightSinceMs }).servers[serverId("redis1", 1)]?.looks.monit;
    expect(seen(undefined)).toEqual(down("silent", 500));
    expect(seen(startMs - 500)).toEqual(down("silent", 500));
    expect(seen(startMs - 499)).toEqual({ state: "failing", silence: "silent", sinceMs: startMs - 499 });
  });

  test("a failing look stays a failing one, and a proxy without a view has no break", () => {
    const world = new World(1).look("redis1", 1, failing("silent", 500));
    delete world.facts.proxies.haproxy1.view;
    const looks = asSeen(world.facts, { ...world.memory, sightSinceMs: 0 }).servers[serverId("redis1", 1)]
      ?.looks;
    expect(looks?.haproxy1).toEqual(failing("silent", 500));
  });
});

describe("where a proxy sends a shard's traffic", () => {
  const of = (change: (world: World) => unknown) => {
    const world = new World(1);
    change(world);
    return [trafficTarget(world.facts, "haproxy1", 1), sessionTarget(world.facts, "haproxy1", 1)];
  };
  const set = (machine: "redis1" | "redis2", ready: boolean, maintenance: boolean) => (world: World) =>
    Object.assign(world.lines("haproxy1", 1)[machine].traffic, { ready, maintenance });

  test("to the one server in use; sessions stay with one that drains", () => {
    expect(of(() => {})).toEqual(["redis1", "redis1"]);
    expect(of(set("redis1", false, false))).toEqual([undefined, "redis1"]);
    expect(of(set("redis1", false, true))).toEqual([undefined, undefined]);
  });

  test("nobody knows with two in use, or when the proxy does not answer", () => {
    expect(of(set("redis2", true, false))).toEqual([undefined, undefined]);
    expect(of((world) => (world.facts.proxies.haproxy1.look = failing("silent")))).toEqual([
      undefined,
      undefined,
    ]);
    expect(of((world) => delete world.facts.proxies.haproxy1.view)).toEqual([undefined, undefined]);
  });
});

describe("the view of a server", () => {
  const of = (change: (world: World) => unknown) => {
    const world = new World(1);
    change(world);
    return viewOf(world).servers.redis2;
  };
  const info = (change: Partial<RedisInfo>) => (world: World) =>
    Object.assign(world.server("redis2", 1).info ?? {}, change);
  const look = (monit: Look) => (world: World) => (world.server("redis2", 1).looks.monit = monit);
  const silent = (world: World) => delete world.server("redis2", 1).info;

  test("it was looked at when it has said what it is, or failed often enough", () => {
    const looked = (...changes: ((world: World) => unknown)[]) =>
      of((world) => {
        for (const change of changes) change(world);
      }).looked;
    expect(looked()).toBe(true);
    expect(looked(silent)).toBe(false);
    expect(looked(look(failing("silent")))).toBe(false);
    expect(looked(look(failing("silent")), silent)).toBe(false);
    expect(looked(look(down("silent")), silent)).toBe(true);
  });

  test("it answers when monit hears it and knows what it is", () => {
    expect(of(silent).answers).toBe(false);
    expect(of(look(failing("silent"))).answers).toBe(false);
    expect([of(() => {}).heard, of(look(failing("silent"))).heard]).toEqual([true, false]);
  });

  test("a condemned machine's silence needs no second witness", () => {
    const condemned = (monit: Look) =>
      of((world) => look(monit)(world.replacing("redis2", condemnedPhase))).out;
    expect([condemned(up), condemned(failing("silent"))]).toEqual([false, true]);
    expect(of(look(failing("silent"))).out).toBe(false);
  });

  test("it follows its counterpart by the present address and port", () => {
    const follows = (host: string, port: number) =>
      of(info({ follows: { host, port, linkUp: true, syncing: false } })).followsCounterpart;
    expect(follows(addresses.redis1, 9001)).toBe(true);
    expect(follows("redis1.barton", 9001)).toBe(false);
    expect(follows(addresses.redis1, 9002)).toBe(false);
    expect(of(info({ follows: undefined })).followsCounterpart).toBe(false);
  });

  test("it is in sync with a link that is up, nothing being received or loaded, and no lag", () => {
    const follows = { host: addresses.redis1, port: 9001, linkUp: true, syncing: false };
    expect(of(() => {}).synced).toBe(true);
    expect(of(info({ follows: { ...follows, linkUp: false } })).synced).toBe(false);
    expect(of(info({ follows: { ...follows, syncing: true } })).synced).toBe(false);
    expect(of(info({ loading: true })).synced).toBe(false);
    expect(of(info({ follows: { ...follows, port: 9002 } })).synced).toBe(false);
    expect(of(info({ follows: undefined })).synced).toBe(false);
    expect(of((world) => delete world.remembered(1).inSync).synced).toBe(false);
  });

  test("it lags behind what its counterpart had a second ago, if it follows it", () => {
    const trail = (world: World) =>
      (world.memory.seen[serverId("redis1", 1)] = {
        trail: [
          { atMs: 0, offset: 1_001 },
          { atMs: 1_000, offset: 2_000 },
        ],
      });
    expect(of(trail).lags).toBe(true);
    expect(of((world) => [trail(world), info({ offset: 1_001 })(world)]).lags).toBe(false);
    expect(of((world) => [trail(world), info({ follows: undefined })(world)]).lags).toBe(false);
    expect(of(() => {}).lags).toBe(false);
  });
});
