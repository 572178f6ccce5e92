/** A party that answers for a moment now and then, over many cycles: patience with it ends all the same. */
import { describe, expect, test } from "vitest";
import { continued } from "../../../../recovery/decide/memory/flapping.ts";
import type { Look, Silence } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { masterInfo, replicaInfo, up, World } from "../../world-of-facts.ts";

const stepMs = 100;
const { graceMs } = defaultLimits;

/** Plays a world in steps, until the condition holds; gives the milliseconds that it took, or undefined. */
function play(world: World, limitMs: number, step: (atMs: number) => void, isDone: () => boolean) {
  for (let atMs = 0; atMs < limitMs; atMs += stepMs) {
    step(atMs);
    if (isDone()) return atMs;
    world.later(stepMs);
  }
  return undefined;
}

/** A look that is down since then. */
const since = (world: World, silence: Silence, ms: number): Look => ({
  state: "down",
  silence,
  sinceMs: world.facts.nowMs - ms,
  provenSinceMs: world.facts.nowMs - ms,
});

/** redis2's server of shard 1, which restarts every `periodMs`, and answers for `answersMs` then. */
function crashLoop(world: World, periodMs: number, answersMs: number, loading = true) {
  let runs = 0;
  return (atMs: number) => {
    const inPeriodMs = atMs % periodMs;
    const server = world.server("redis2", 1);
    if (inPeriodMs < periodMs - answersMs) {
      world.look("redis2", 1, since(world, "refused", inPeriodMs + stepMs));
      return;
    }
    if (inPeriodMs === periodMs - answersMs) runs += 1;
    world.look("redis2", 1, up);
    server.info = replicaInfo("redis1", 9001, { loading, runId: `run-${runs}` });
    server.askedMs = world.facts.nowMs;
  };
}

describe("a redis server", () => {
  test("that crashes again and again while it loads costs its machine after graceMs of trouble in all", () => {
    const world = new World();
    const situation = () => world.situation("redis2");
    const tookMs = play(world, 120_000, crashLoop(world, 5_000, 200), () => situation() === "machine-lost");
    expect(tookMs).toBeGreaterThanOrEqual(graceMs);
    expect(tookMs).toBeLessThan(graceMs + 3_000);
  });

  test("that comes back and stays for a while has its whole time again", () => {
    const world = new World();
    const step = crashLoop(world, graceMs + 9_000, graceMs + 1_000, false);
    expect(play(world, 200_000, step, () => world.situation("redis2") === "machine-lost")).toBeUndefined();
  });

  test("that loads for minutes is left alone: its process lives", () => {
    const world = new World();
    const step = crashLoop(world, 600_000, 595_000);
    expect(play(world, 590_000, step, () => world.situation("redis2") === "machine-lost")).toBeUndefined();
  });

  test("that hung and says that a script runs is out still, and costs its machine", () => {
    const world = new World();
    world.look("redis1", 1, since(world, "stalled", 5_000));
    world.decide();
    world.look("redis1", 1, up);
    world.server("redis1", 1).refusal = { kind: "busy", text: "BUSY Redis is busy running a script." };
    const tookMs = play(
      world,
      60_000,
      () => {
        world.server("redis1", 1).askedMs = world.facts.nowMs;
        world.server("redis2", 1).info = masterInfo({ runId: "run-redis2", epoch: 2 });
      },
      () => ["machine-lost", "machine-needed"].includes(world.situation("redis1") ?? ""),
    );
    expect(tookMs).toBe(graceMs);
  });

  test("that answers once in a while between its stalls is out after stallMs of them in all", () => {
    const world = new World();
    const { stallMs } = world.facts.topology.detection;
    const step = (atMs: number) => {
      const inPeriodMs = atMs % 3_000;
      world.look("redis1", 1, inPeriodMs < 2_500 ? since(world, "stalled", inPeriodMs) : up);
      world.server("redis1", 1).askedMs = world.facts.nowMs;
    };
    const tookMs = play(world, 60_000, step, () => world.situation("shard 1") === "master-lost");
    expect(tookMs).toBeGreaterThanOrEqual(stallMs);
    expect(tookMs).toBeLessThan(stallMs + 1_000);
  });
});

describe("a proxy", () => {
  test("whose process dies again and again is replaced after graceMs in all", () => {
    const world = new World();
    const step = (atMs: number) => {
      const inPeriodMs = atMs % 6_000;
      world.facts.proxies.haproxy1.look = inPeriodMs < 5_000 ? since(world, "refused", inPeriodMs) : up;
    };
    const tookMs = play(world, 60_000, step, () => world.situation("haproxy1") === "lost");
    expect(tookMs).toBeGreaterThanOrEqual(graceMs);
    expect(tookMs).toBeLessThan(graceMs + 4_000);
  });

  test("that takes the place of one that was lost has its whole time", () => {
    const world = new World();
    world.facts.proxies.haproxy1.look = since(world, "refused", 14_000);
    expect(world.situation("haproxy1")).toBe("doubt");
    world.facts.machines.haproxy1 = { ...world.facts.machines.haproxy1, instanceId: "i-new" };
    world.facts.proxies.haproxy1.look = { state: "none" };
    world.later(10_000).decide();
    world.facts.proxies.haproxy1.look = since(world, "refused", 2_000);
    expect(world.situation("haproxy1")).toBe("doubt");
  });

  test("that was restarted once has its whole time again after a while, and for each kind of silence", () => {
    const world = new World();
    const step = (atMs: number) => {
      const inPeriodMs = atMs % 40_000;
      const isStalled = inPeriodMs > 12_000 && inPeriodMs < 14_000;
      world.facts.proxies.haproxy1.look =
        inPeriodMs < 10_000
          ? since(world, "refused", inPeriodMs)
          : isStalled
            ? since(world, "stalled", 500)
            : up;
    };
    expect(play(world, 120_000, step, () => world.situation("haproxy1") === "lost")).toBeUndefined();
  });
});

describe("a trouble", () => {
  const restMs = 1_000;
  test("counts its bad stretches only, also what came before the verdict on the later ones", () => {
    let spell = continued(undefined, "bad", 0, 0, restMs);
    spell = continued(spell, "well", 0, 5_000, restMs);
    spell = continued(spell, "bad", 5_200, 5_700, restMs);
    expect(spell).toEqual({ sinceMs: 200 });
  });
  test("is not ended by what is unclear, however long", () => {
    const spell = continued({ sinceMs: 0 }, "unclear", 0, 100, restMs);
    expect(continued(spell, "unclear", 0, 99_000, restMs)).toEqual({ sinceMs: 0, pausedMs: 100 });
  });
  test("ends when all was well without a break", () => {
    let spell = continued({ sinceMs: 0 }, "well", 0, 100, restMs);
    expect(continued(spell, "well", 0, 1_099, restMs)).toBeDefined();
    spell = continued(spell, "unclear", 0, 900, restMs);
    spell = continued(spell, "well", 0, 1_000, restMs);
    expect(continued(spell, "well", 0, 1_999, restMs)).toBeDefined();
    expect(continued(spell, "well", 0, 2_000, restMs)).toBeUndefined();
  });
});
