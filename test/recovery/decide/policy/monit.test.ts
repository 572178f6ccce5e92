/** monit itself: its group replaces it, and recovery on the new one takes over the name. */
import { expect, test } from "vitest";
import { apply } from "../../../../recovery/decide/memory/events.ts";
import { describeStep } from "../../../../recovery/decide/steps.ts";
import { down, World } from "../../world-of-facts.ts";

const stepsOf = (world: World) =>
  world
    .decide()
    .decisions.find(({ subject }) => subject === "replacement")
    ?.steps.map(describeStep) ?? [];

/** A monit that its group has just launched: the record names its predecessor. */
function newMonit(): World {
  const world = new World();
  world.memory.durable.recordedMonit = "i-predecessor";
  return world;
}

test("a new monit brings its record up to date, once", () => {
  const world = newMonit();
  expect(world.situation("replacement")).toBe("name-to-be-moved");
  expect(stepsOf(world)).toEqual([
    "compare the program with the one that the last up ran",
    "update monit's record (i-monit)",
  ]);
  expect(world.decide().settled).toBe(false);
  world.memory = apply(world.memory, { event: "recorded", instanceId: "i-monit" }, 0);
  expect(world.situation("replacement")).toBe("nothing-to-replace");
  expect(world.decide().settled).toBe(true);
});

test("machines come first", () => {
  const world = newMonit();
  world.facts.machines.app.cloud = "stopped";
  const because = "app is off";
  world.memory = apply(world.memory, { event: "condemned", machine: "app", instanceId: "i-app", because }, 0);
  expect(stepsOf(world)).toEqual(["taint app"]);
});

test("nothing is done while the cloud has not been heard, or while nobody knows whom the record names", () => {
  const world = newMonit();
  world.facts.machines.monit.cloud = undefined;
  expect(world.situation("replacement")).toBe("nothing-to-replace");
  expect(new World().situation("replacement")).toBe("nothing-to-replace");
});

test("an instance on its way out is reported", () => {
  const world = new World().lookAll("redis2", down("silent"));
  world.facts.machines.monit.cloud = "shutting-down";
  expect(world.situation("monit")).toBe("off");
});
