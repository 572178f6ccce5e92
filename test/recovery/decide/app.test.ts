import { describe, expect, test } from "vitest";
import { apply } from "../../../recovery/decide/memory.ts";
import { describeStep } from "../../../recovery/decide/steps.ts";
import { whyNoFailover } from "../../../recovery/failover.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import { down, up, World } from "../world-of-facts.ts";

const stepsOf = (world: World, subject: string) =>
  world
    .decide()
    .decisions.find((decision) => decision.subject === subject)
    ?.steps.map(describeStep) ?? [];

describe("app", () => {
  test.each(["stopped", "terminated", "shutting-down"] as const)("%s, says the cloud: replaced", (cloud) => {
    const world = new World();
    world.facts.machines.app.cloud = cloud;
    world.facts.app.look = down("silent");
    expect(stepsOf(world, "app")).toEqual(["stop monitoring app"]);
    expect(world.decide().sentence).toContain(`app is ${cloud}, says the cloud: app is given up`);
  });

  test("given up: tainted, powered off, launched; no other machine waits for that or is touched", () => {
    const world = new World();
    world.facts.machines.app.cloud = "stopped";
    const because = "app is stopped, says the cloud";
    const given = apply(world.memory, { event: "given up", machine: "app", instanceId: "i-app", because }, 0);
    world.memory = given;
    expect(world.situation("app")).toBe("given-up");
    expect(stepsOf(world, "replacement")).toEqual(["taint app"]);
    world.memory = apply(given, { event: "tainted", machine: "app" }, 0);
    expect(stepsOf(world, "replacement")).toEqual([
      "compare the program with the one that the last up ran",
      "power off app (i-app)",
      "launch app anew",
    ]);
    const steps = world.decide().decisions.flatMap((one) => one.steps.map(() => one.subject));
    expect(new Set(steps)).toEqual(new Set(["replacement"]));
  });

  test("no instance with its tags, but it answers: kept", () => {
    const world = new World();
    world.facts.machines.app.cloud = "missing";
    expect(world.situation("app")).toBe("present");
    world.facts.app.look = down("silent");
    expect(world.situation("app")).toBe("lost");
  });

  test("silent to monit alone: kept, and said once it is long", () => {
    const world = new World();
    world.facts.app.look = down("silent", defaultLimits.bootMs - 1);
    expect(world.situation("app")).toBe("present");
    world.facts.app.look = down("silent", defaultLimits.bootMs);
    expect(world.situation("app")).toBe("unseen");
    expect(stepsOf(world, "app")).toEqual([]);
  });

  test("a new one is waited for until its proxy answers", () => {
    const world = new World();
    world.facts.app = { look: { state: "none" } };
    expect(world.situation("app")).toBe("starting");
    world.facts.app = { look: up, view: new World().facts.app.view };
    expect(world.situation("app")).toBe("present");
  });

  test("its failover can be ordered, that of monit cannot", () => {
    const world = new World();
    world.memory = apply(world.memory, { event: "ordered", machine: "app", why: "a test" }, 0);
    expect(stepsOf(world, "app")).toEqual(["stop monitoring app"]);
    expect(whyNoFailover("app")).toBeUndefined();
    expect(whyNoFailover("monit")).toContain("auto scaling group");
  });

  test("the budget holds it (rule 8)", () => {
    const world = new World();
    world.facts.machines.app.cloud = "stopped";
    world.memory.durable.givenUp.app = { instanceId: "i-app", because: "it is off", tainted: true };
    world.memory.durable.replacements = Array.from({ length: defaultLimits.replacementsPerHourMax }, () => ({
      machine: "app" as const,
      wallMs: world.facts.wallMs,
    }));
    expect(world.situation("replacement")).toBe("held");
  });
});
