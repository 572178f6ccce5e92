import { describe, expect, test } from "vitest";
import { emptyMemory } from "../../../../recovery/decide/memory/memory.ts";
import { addresses, down, replicaInfo, World } from "../../world-of-facts.ts";

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
  function withoutMemory(followed: string): World {
    const world = new World(1).lookAll("redis1", down("silent"));
    world.memory = { ...structuredClone(emptyMemory), sightSinceMs: 0 };
    const follows = { host: followed, port: 9001, linkUp: false, syncing: false };
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { follows });
    return world;
  }

  test("a replica of it takes over at once", () => {
    expect(withoutMemory(addresses.redis1).situation("shard 1")).toBe("master-lost");
  });

  test("one that follows nobody may have an old copy: the data that the clients used last are waited for", () => {
    const world = withoutMemory("127.0.0.1");
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.decide().sentence).toContain(
      "nobody remembers how far the data of redis1 reached, and redis2 does not follow it: its copy may be old; redis1, which may have it, is waited for, for up to 600 s",
    );
  });
});
