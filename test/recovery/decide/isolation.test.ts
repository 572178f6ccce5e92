/** One exception in recovery does not stop the healing of what it has nothing to do with. */
import { describe, expect, test } from "vitest";
import { describeStep } from "../../../recovery/decide/steps.ts";
import { down, World } from "../world-of-facts.ts";

/** redis1 is lost, and a part of the facts is null, as only a bug in `observe` can make it. */
function lostBeside(damage: (world: World) => unknown): World {
  const world = new World().lookAll("redis1", down("silent"));
  damage(world);
  return world;
}
const spoil = (object: object | undefined, key: string | number) =>
  Object.assign(object ?? {}, { [key]: null });
const stepsOf = (world: World, subject: string) =>
  world
    .decide()
    .decisions.find((decision) => decision.subject === subject)
    ?.steps.map(describeStep);

describe("a null in the facts of a proxy, while redis1 is lost", () => {
  const world = () => lostBeside(({ facts }) => spoil(facts.proxies.haproxy1.view, "holds"));

  test("that proxy has a bug for a situation; redis1 is healed", () => {
    expect(world().situation("haproxy1")).toBe("BUG");
    expect(world().situation("haproxy2")).not.toBe("BUG");
    expect(stepsOf(world(), "shard 1")).toContain("make redis2 master of shard 1 (epoch 2)");
    expect(stepsOf(world(), "redis1")).toEqual(["stop monitoring redis1"]);
  });

  test("what was thrown is told, with its subject", () => {
    const { faults, settled, decisions } = world().decide();
    expect(faults).toMatchObject([{ where: "haproxy1", error: expect.any(TypeError) }]);
    expect(settled).toBe(false);
    expect(decisions.find(({ subject }) => subject === "haproxy1")).toMatchObject({
      because:
        "a bug in recovery: it cannot decide about haproxy1, does nothing about it, and goes on with all others",
      holds: true,
    });
  });
});

describe("a null in what one server tells", () => {
  const world = () => lostBeside((one) => spoil(one.server("redis2", 1).looks, "haproxy1"));

  test("its shard is not decided, the other one fails over", () => {
    expect(world().situation("shard 1")).toBe("BUG");
    expect(stepsOf(world(), "shard 2")).toContain("make redis2 master of shard 2 (epoch 2)");
    const told = world()
      .decide()
      .faults.map(({ where }) => where);
    expect(told).toEqual(expect.arrayContaining(["redis2/1", "shard 1"]));
  });

  test("no redis machine is replaced by what the other shard alone tells (rule 5)", () => {
    expect(world().situation("redis1")).toBe("BUG");
    expect(stepsOf(world(), "redis1")).toEqual([]);
  });

  test("the proxies have the other shard's lines set", () => {
    expect(stepsOf(world(), "haproxy1")?.join()).toContain("traffic 2/redis1 out");
  });
});

test("without a bug there is none to tell", () => {
  expect(new World().decide().faults).toEqual([]);
});
