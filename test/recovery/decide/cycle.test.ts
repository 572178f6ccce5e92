/** What one cycle tells beside the decisions themselves: doubt, times, faults; and a second look at one subject. */
import { describe, expect, test } from "vitest";
import { decide, reconsider } from "../../../recovery/decide/decide.ts";
import type { Subject } from "../../../recovery/decide/decision.ts";
import { findRow, UnknownSituation } from "../../../recovery/decide/policy/table.ts";
import { tables } from "../../../recovery/decide/policy/tables.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import { condemnedPhase, down, failing, startMs, World } from "../world-of-facts.ts";

const decided = (world: World, subject: Subject) =>
  world.decide().decisions.find((decision) => decision.subject === subject);

describe("recovery looks faster while a verdict may come soon", () => {
  const doubt = (change: (world: World) => unknown) => {
    const world = new World();
    change(world);
    return world.decide().doubt;
  };

  test("when a server or a proxy fails some probes, or enough of them, for one vantage point", () => {
    expect(doubt(() => {})).toBe(false);
    expect(doubt((world) => (world.server("redis2", 1).looks.haproxy1 = failing("silent")))).toBe(true);
    expect(doubt((world) => (world.server("redis2", 1).looks.haproxy1 = down("silent")))).toBe(true);
    expect(doubt((world) => (world.facts.proxies.haproxy2.look = failing("refused")))).toBe(true);
  });

  test("not for what is out already", () => {
    expect(doubt((world) => world.lookAll("redis2", down("silent")))).toBe(false);
    const condemned = (world: World) => {
      world.replacing("haproxy2", condemnedPhase).facts.proxies.haproxy2.look = down("silent");
    };
    expect(doubt(condemned)).toBe(false);
  });

  test("nor when it cannot be told: then rather too fast, and the fault is named", () => {
    const world = new World();
    Object.assign(world.server("redis2", 1).looks, { haproxy1: null });
    const outcome = decide(world.facts, world.memory, defaultLimits);
    expect(outcome.doubt).toBe(true);
    expect(outcome.faults.map(({ where }) => where)).toContain("the pace");
    expect(outcome.settled).toBe(false);
  });
});

describe("when a trouble began", () => {
  test("the first sign among the servers that are out", () => {
    const world = new World(2)
      .look("redis1", 1, down("refused", 900))
      .look("redis1", 2, down("refused", 400));
    expect(decided(world, "redis1")?.sinceMs).toBe(startMs - 900);
    expect(decided(world, "shard 2")?.sinceMs).toBe(startMs - 400);
  });

  test("no time for servers in doubt, or when all is well", () => {
    expect(decided(new World(), "redis1")?.sinceMs).toBeUndefined();
    expect(decided(new World().look("redis1", 1, failing("silent")), "redis1")?.sinceMs).toBeUndefined();
  });
});

test("a decision that is settled opens nothing, and asks a person for nothing", () => {
  expect(decided(new World(), "app")).toMatchObject({ settled: true, opens: false });
  const lost = decided(new World().lookAll("redis1", down("silent")), "shard 1");
  expect(lost).toMatchObject({ settled: false, opens: true });
  const doubted = decided(new World().look("redis1", 1, failing("silent")), "redis1");
  expect(doubted).toMatchObject({ settled: false, opens: false });
});

test("both tables of a shard tell only when neither is settled", () => {
  expect(decided(new World(), "shard 1")?.writes).toBeUndefined();
  expect(decided(new World().lookAll("redis2", down("silent")), "shard 1")?.writes).toBeUndefined();
  const world = new World().lookAll("redis2", down("silent"));
  Object.assign(world.server("redis1", 1).info ?? {}, { refusesWrites: true });
  expect(decided(world, "shard 1")?.writes).toBeDefined();
});

test("a second look at one subject counts its own plan as not under way, and every other one as such", () => {
  const lines = (busy: Subject[], subject: Subject) => {
    const world = new World(1);
    Object.assign(world.lines("haproxy1", 1).redis2.traffic, { ready: true, maintenance: false });
    const { decision } = reconsider(world.facts, world.memory, defaultLimits, subject, new Set(busy));
    return decision?.situation;
  };
  expect(lines(["haproxy1"], "haproxy1")).toBe("drifted");
  // The shard's own plan sets its traffic lines.
  expect(lines(["haproxy1", "shard 1"], "haproxy1")).toBe("serving");
  expect(lines([], "shard 9")).toBeUndefined();
});

test.each<[Subject, (world: World) => unknown]>([
  ["app", ({ facts }) => Object.assign(facts.app, { look: null })],
  ["monit", ({ facts }) => Object.assign(facts.machines, { monit: null })],
  [
    "replacement",
    ({ memory }) =>
      Object.assign(memory.durable, {
        machines: { app: { replacement: { phase: "tainted" } } },
        replacements: null,
      }),
  ],
])("a bug about %s is told with its name, and nothing is done about it", (subject, damage) => {
  const world = new World();
  damage(world);
  expect(decided(world, subject)).toMatchObject({
    situation: "BUG",
    because: `a bug in recovery: it cannot decide about ${subject}, does nothing about it, and goes on with all others`,
    steps: [],
  });
});

describe("the tables", () => {
  test("have these titles, in the order in which people read them", () => {
    expect(tables.map(({ title, rows }) => [title, rows[0]?.situation])).toEqual([
      ["A shard", "two-masters"],
      ["Writes of a shard", "disk-full"],
      ["A redis machine", "needed-again"],
      ["A proxy machine", "condemned-back"],
      ["The replacement", "name-to-be-moved"],
      ["app", "condemned"],
      ["monit", "off"],
    ]);
  });

  test("facts that no row covers are reported, never guessed at", () => {
    const find = () => findRow([], {}, () => "redis1: odd");
    expect(find).toThrow(UnknownSituation);
    expect(find).toThrow(
      "no row of the table of situations covers this: redis1: odd; nothing is done about it, please report it",
    );
    expect(new UnknownSituation("x").name).toBe("UnknownSituation");
  });
});
