import { describe, expect, test } from "vitest";
import { apply } from "../../../../recovery/decide/memory/events.ts";
import { describeStep } from "../../../../recovery/decide/steps.ts";
import { whyNoFailover } from "../../../../recovery/orders/failover.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { proxyMachines } from "../../../../recovery/topology.ts";
import { down, failing, taintedPhase, up, World } from "../../world-of-facts.ts";

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
    expect(world.decide().sentence).toContain(`app is ${cloud}, says the cloud: app is condemned`);
  });

  test("condemned: tainted, powered off, launched; no other machine waits for that or is touched", () => {
    const world = new World();
    world.facts.machines.app.cloud = "stopped";
    const because = "app is stopped, says the cloud";
    const given = apply(
      world.memory,
      { event: "condemned", machine: "app", instanceId: "i-app", because },
      0,
    );
    world.memory = given;
    expect(world.situation("app")).toBe("condemned");
    expect(stepsOf(world, "replacement")).toEqual(["taint app"]);
    world.memory = apply(given, { event: "tainted", machine: "app" }, 0);
    expect(stepsOf(world, "replacement")).toEqual([
      "compare the program with the one that the last up ran",
      "power off app (i-app)",
      "launch a new app",
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
    world.replacing("app", taintedPhase);
    world.memory.durable.replacements = Array.from({ length: defaultLimits.replacementsPerHourMax }, () => ({
      machine: "app" as const,
      wallMs: world.facts.wallMs,
    }));
    expect(world.situation("replacement")).toBe("held");
  });
});

describe("app does not answer monit", () => {
  /** Silent to monit for so long; what the proxies say of it. */
  function silentFor(ms: number, ...heard: Parameters<World["hearing"]>[1][]): World {
    const world = new World();
    world.facts.app.look = down("silent", ms);
    proxyMachines.forEach((proxy, i) => {
      world.hearing(proxy, heard[i]);
    });
    return world;
  }
  const sentenceOf = (world: World) => world.decide().sentence;

  test("nor does any proxy hear it: condemned, with an incident that says why", () => {
    const world = silentFor(2_000, "before", "before");
    const decision = world.decide().decisions.find(({ subject }) => subject === "app");
    expect(decision).toMatchObject({ situation: "lost", opens: true, about: "app", settled: false });
    expect(decision?.sinceMs).toBe(world.facts.app.look.sinceMs);
    expect(decision?.because).toBe(
      "app does not answer monit, and haproxy1 and haproxy2 do not hear it: app is condemned",
    );
    expect(stepsOf(world, "app")).toEqual(["stop monitoring app"]);
  });

  test.each([
    ["lately", "before"],
    ["before", "lately"],
    ["lately", "lately"],
    ["lately", undefined],
  ] as const)("but haproxy1 heard it %s, haproxy2 %s: kept however long, and said at once", (one, other) => {
    const world = silentFor(700, one, other);
    expect(world.situation("app")).toBe("doubt");
    expect(world.decide().settled).toBe(false);
    for (const ms of [defaultLimits.graceMs, 10 * defaultLimits.bootMs]) {
      world.facts.app.look = down("silent", ms);
      expect(world.situation("app")).toBe("unseen");
      expect(stepsOf(world, "app")).toEqual([]);
      expect(sentenceOf(world)).toMatch(/^monit cannot see app, but haproxy.* hears? it: it is kept/);
    }
  });

  test("one proxy is enough when the other does not answer, or cannot tell", () => {
    expect(silentFor(2_000, "before", undefined).situation("app")).toBe("lost");
    expect(silentFor(2_000, "before", "never").situation("app")).toBe("lost");
    const world = silentFor(2_000, "before", "lately");
    world.facts.proxies.haproxy2.look = down("silent");
    expect(world.situation("app")).toBe("lost");
    expect(sentenceOf(world)).toContain("app does not answer monit, and haproxy1 does not hear it");
  });

  test.each<[string, (world: World) => void]>([
    [
      "no proxy answers",
      ({ facts }) => proxyMachines.map((one) => Object.assign(facts.proxies[one], { look: down("silent") })),
    ],
    [
      "both proxies are of an older program",
      (world) => proxyMachines.map((one) => world.hearing(one, undefined)),
    ],
    [
      "both proxies have just started",
      (world) => proxyMachines.map((one) => world.hearing(one, "never", 5_000)),
    ],
    ["both proxies stood still", (world) => proxyMachines.map((one) => world.hearing(one, "before", 1_000))],
  ])("monit's word alone is no verdict: %s", (_, change) => {
    const world = silentFor(defaultLimits.graceMs - 1, "before", "before");
    change(world);
    expect(world.situation("app")).toBe("doubt");
    expect(world.decide().settled).toBe(false);
    world.facts.app.look = down("silent", 10 * defaultLimits.bootMs);
    expect(world.situation("app")).toBe("unseen");
    expect(stepsOf(world, "app")).toEqual([]);
    expect(sentenceOf(world)).toContain("app does not answer, says monit alone: it is kept");
  });

  test("too few failures are no verdict", () => {
    const world = silentFor(0, "before", "before");
    world.facts.app.look = failing("silent", 2_000);
    expect(world.situation("app")).toBe("doubt");
  });

  test.each(["refused", "stalled"] as const)("%s: the machine lives, so it is kept", (silence) => {
    const world = silentFor(0, "before", "before");
    world.facts.app.look = down(silence, 700);
    expect(world.situation("app")).toBe("doubt");
    world.facts.app.look = down(silence, 10 * defaultLimits.bootMs);
    expect(world.situation("app")).toBe("unseen");
    expect(stepsOf(world, "app")).toEqual([]);
  });

  test("it was just launched: it has its time to boot, and is condemned if it never comes", () => {
    const world = silentFor(defaultLimits.bootMs - 1, "never", "never");
    delete world.facts.app.view;
    expect(world.situation("app")).toBe("starting");
    expect(world.decide().settled).toBe(false);
    world.facts.app.look = down("silent", defaultLimits.bootMs);
    expect(world.situation("app")).toBe("lost");
  });

  test("a monitor that has just started believes proxies that heard it before", () => {
    const world = silentFor(2_000, "before", "before");
    delete world.facts.app.view;
    expect(world.situation("app")).toBe("lost");
  });
});
