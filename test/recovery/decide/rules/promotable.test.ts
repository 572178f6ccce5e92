import { describe, expect, test } from "vitest";
import { down, World } from "../../world-of-facts.ts";

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
