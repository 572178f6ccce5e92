import { describe, expect, test } from "vitest";
import { emptyMemory } from "../../../../recovery/decide/memory/memory.ts";
import { proxyMachines, redisMachines } from "../../../../recovery/topology.ts";
import { addresses, down, masterInfo, none, replicaInfo, startMs, World } from "../../world-of-facts.ts";

function usedByNobody(world: World): World {
  for (const proxy of proxyMachines)
    for (const machine of redisMachines)
      Object.assign(world.lines(proxy, 1)[machine].traffic, { ready: false, maintenance: true });
  return world;
}

/** The server's key barton:epoch holds no number. */
function unreadable(world: World, machine: "redis1" | "redis2"): World {
  const { info } = world.server(machine, 1);
  if (info) delete info.epoch;
  return world;
}
const of = (machine: string) =>
  `traffic waits: ${machine}'s epoch cannot be read, or is not a whole number (key barton:epoch)`;

describe("a copy whose epoch cannot be read", () => {
  test("is not promoted, and the reason says so", () => {
    const world = unreadable(new World().lookAll("redis1", down("silent")), "redis2");
    const decision = world.decide().decisions.find(({ subject }) => subject === "shard 1");
    expect(decision).toMatchObject({ situation: "nothing-promotable", because: of("redis2") });
  });

  test("may be of any epoch: at the first start nobody is promoted beside it", () => {
    const world = unreadable(new World().brandNew(), "redis2");
    const decision = world.decide().decisions.find(({ subject }) => subject === "shard 1");
    expect(decision?.situation).toBe("nothing-promotable");
    expect(decision?.because).toContain("redis2's epoch cannot be read");
    expect(decision?.steps).toEqual([]);
  });
});

describe("memory is lost, and one redis machine is silent (simulation: monit and both redis machines lost)", () => {
  function withoutMemory(followed: string, downSeconds?: number): World {
    const world = new World(1).lookAll("redis1", down("silent"));
    world.memory = { ...structuredClone(emptyMemory), sightSinceMs: 0 };
    const follows = { host: followed, port: 9001, linkUp: false, syncing: false, downSeconds };
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { follows });
    return world;
  }

  test("a replica of it that was linked with it takes over at once", () => {
    expect(withoutMemory(addresses.redis1, 1).situation("shard 1")).toBe("master-lost");
  });

  test("one that was told to follow it, and never got a link, may have an old copy", () => {
    const world = withoutMemory(addresses.redis1);
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.decide().sentence).toContain(
      "nobody remembers how far the data of redis1 reached, and redis2 was never linked with it: its copy may be old; redis1, which may have it, is waited for, for up to 600 s",
    );
  });

  test("so may one that follows nobody when the proxies use no server at all", () => {
    const world = usedByNobody(withoutMemory("127.0.0.1"));
    expect(world.situation("shard 1")).toBe("nothing-promotable");
  });

  test("so may a master that no proxy uses: it may have been fenced long ago", () => {
    const world = usedByNobody(withoutMemory("127.0.0.1"));
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2" });
    expect(world.situation("shard 1")).toBe("nothing-promotable");
  });

  test("one that follows nobody may have an old copy: the data that the clients used last are waited for", () => {
    const world = withoutMemory("127.0.0.1");
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.decide().sentence).toContain(
      "nobody remembers how far the data of redis1 reached, and redis2 does not follow it: its copy may be old; redis1, which may have it, is waited for, for up to 600 s",
    );
  });
});

describe("the master's machine was replaced, and its new instance has not answered yet", () => {
  function successor(): World {
    const world = new World(1).lookAll("redis1", none);
    world.remembered(1).master = { machine: "redis1", runId: "run-redis1", epoch: 1, instanceId: "i-redis1" };
    Object.assign(world.facts.machines.redis1, { instanceId: "i-another", knownSinceMs: startMs });
    delete world.server("redis1", 1).info;
    return world;
  }

  test("a replica in sync takes over at once: the new instance starts as a replica of nobody", () => {
    expect(successor().situation("shard 1")).toBe("no-master");
  });

  test("one that lagged waits for it", () => {
    const world = successor();
    delete world.remembered(1).inSync;
    expect(world.situation("shard 1")).toBe("nothing-promotable");
  });
});
