/** What each step that was done leaves in memory, so that the next cycle, or the next monitor, continues from it. */
import { describe, expect, test } from "vitest";
import { apply, type Remembered } from "../../../../recovery/decide/memory/events.ts";
import { emptyMemory, type Memory, rollReason } from "../../../../recovery/decide/memory/memory.ts";
import type { Phase, Replacement } from "../../../../recovery/decide/memory/replacement.ts";

const now = Date.parse("2026-01-01T12:00:00Z");
const minutes = (count: number) => now - count * 60_000;
const following = (memory: Memory, ...events: Remembered[]) =>
  events.reduce((before, event) => apply(before, event, now), memory);

const replacing = (phase: Phase, more: Partial<Replacement> = {}): Memory => {
  const memory = structuredClone(emptyMemory);
  memory.durable.machines.redis1 = { replacement: { instanceId: "i-1", because: "gone", ...more, ...phase } };
  return memory;
};
const replacementAfter = (memory: Memory, event: Remembered) =>
  following(memory, event).durable.machines.redis1?.replacement;

test("the memory that is given stays as it is", () => {
  const before = structuredClone(emptyMemory);
  apply(before, { event: "ordered", machine: "redis1", why: "by hand" }, now);
  expect(before).toEqual(emptyMemory);
});

test("an order stands until it is withdrawn", () => {
  const ordered = following(emptyMemory, { event: "ordered", machine: "redis1", why: "by hand" });
  expect(ordered.durable.machines.redis1).toEqual({ ordered: "by hand" });
  expect(following(ordered, { event: "withdrawn", machine: "redis1" }).durable.machines.redis1).toEqual({});
});

test("a machine that is forgiven has its whole budget, the others have theirs", () => {
  const memory = structuredClone(emptyMemory);
  const other = { machine: "redis2", wallMs: now } as const;
  memory.durable.replacements = [{ machine: "redis1", wallMs: now }, other];
  expect(following(memory, { event: "forgiven", machine: "redis1" }).durable.replacements).toEqual([other]);
});

describe("condemned", () => {
  const condemn = (machine: "redis1" | "haproxy1", memory = emptyMemory) =>
    following(memory, { event: "condemned", machine, instanceId: "i-1", because: "gone" }).durable.machines[
      machine
    ];
  const replacement = {
    instanceId: "i-1",
    because: "gone",
    phase: "condemned",
    powerOff: "not requested",
  };

  test("a redis machine: nothing of its replacement is done", () => {
    expect(condemn("redis1")).toEqual({ replacement });
  });

  test("a proxy: its successor has no configuration yet", () => {
    expect(condemn("haproxy1")).toEqual({
      replacement,
      newcomer: { configured: false, failedAttempts: 0 },
    });
  });

  test.each([
    [rollReason, true],
    ["by hand", undefined],
  ])("ordered as %j: planned is %j", (why, planned) => {
    const ordered = following(emptyMemory, { event: "ordered", machine: "redis1", why });
    expect(condemn("redis1", ordered)?.replacement?.planned).toBe(planned);
  });
});

test("a new proxy: its attempts are counted until it is configured, and it is new until it is registered", () => {
  const proxy = "haproxy1";
  const newcomerAfter = (...events: ("configured" | "configuration failed" | "registered")[]) =>
    following(
      emptyMemory,
      { event: "condemned", machine: proxy, because: "gone" },
      ...events.map((event) => ({ event, proxy }) as const),
    ).durable.machines[proxy]?.newcomer;
  expect(newcomerAfter("configuration failed", "configuration failed")).toEqual({
    configured: false,
    failedAttempts: 2,
  });
  expect(newcomerAfter("configuration failed", "configured")).toEqual({
    configured: true,
    failedAttempts: 0,
  });
  expect(newcomerAfter("configured", "registered")).toBeUndefined();
  expect(following(emptyMemory, { event: "configuration failed", proxy }).durable.machines[proxy]).toEqual(
    {},
  );
});

test("monit's record names the instance", () => {
  expect(following(emptyMemory, { event: "recorded", instanceId: "i-9" }).durable.recordedMonit).toBe("i-9");
});

test("a promotion: the epoch that was begun and the one that was reached only rise", () => {
  const promoting = (epoch: number) => ({ event: "promoting", shard: 1, epoch }) as const;
  const promoted = (epoch: number) => ({ event: "promoted", shard: 1, machine: "redis2", epoch }) as const;
  expect(following(emptyMemory, promoting(7), promoting(6)).durable.shards[1]).toEqual({
    epoch: 0,
    attempted: 7,
  });
  expect(following(emptyMemory, promoted(7), promoted(6)).durable.shards[1]).toEqual({
    epoch: 7,
    attempted: 0,
    master: { machine: "redis2", runId: "", epoch: 6 },
  });
});

describe("a replacement goes on", () => {
  const condemned: Phase = { phase: "condemned", powerOff: "not requested" };
  const tainted: Phase = { phase: "tainted", powerOff: "not requested" };
  const launched: Phase = { phase: "launched" };
  const back: Phase = { phase: "taken back" };
  const event = (name: string, more = {}) => ({ event: name, machine: "redis1", ...more }) as Remembered;
  const held = event("held", { why: "another program", untilMs: 5 });
  const takenBack = event("taken back", { because: "needed" });

  test.each<[Phase, Remembered, Phase]>([
    [condemned, event("tainted"), { phase: "tainted", powerOff: "not requested" }],
    [back, event("tainted"), back],
    [condemned, held, condemned],
    [tainted, held, { ...tainted, held: { why: "another program", untilMs: 5 } }],
    [condemned, event("launched"), condemned],
    [tainted, event("launched"), launched],
    [launched, event("launched"), launched],
    [condemned, event("power-off begun"), { phase: "condemned", powerOff: "begun" }],
    [{ ...tainted, powerOff: "begun" }, event("power-off failed"), tainted],
    [{ ...tainted, powerOff: "begun" }, event("power-off accepted"), { ...tainted, powerOff: "accepted" }],
    [{ ...tainted, powerOff: "accepted" }, event("power-off begun"), { ...tainted, powerOff: "accepted" }],
    [
      { ...tainted, powerOff: { inDoubtSinceMs: 3 } },
      event("power-off failed"),
      { ...tainted, powerOff: { inDoubtSinceMs: 3 } },
    ],
    [
      { ...tainted, powerOff: { inDoubtSinceMs: 3 } },
      event("power-off accepted"),
      { ...tainted, powerOff: "accepted" },
    ],
    [launched, event("power-off begun"), launched],
    // EC2 may be ending the machine.
    [{ ...tainted, powerOff: "begun" }, takenBack, { ...tainted, powerOff: "begun" }],
    [{ ...tainted, powerOff: "accepted" }, takenBack, { ...tainted, powerOff: "accepted" }],
  ])("%j, %j", (before, progress, phase) => {
    expect(replacementAfter(replacing(before), progress)).toEqual({
      instanceId: "i-1",
      because: "gone",
      ...phase,
    });
  });

  test("taken back, with the reason for that", () => {
    expect(replacementAfter(replacing(tainted), takenBack)).toEqual({
      instanceId: "i-1",
      because: "needed",
      phase: "taken back",
    });
  });

  test("the end of a taint ends only what was taken back", () => {
    expect(replacementAfter(replacing(back), event("untainted"))).toBeUndefined();
    expect(replacementAfter(replacing(tainted), event("untainted"))).toMatchObject(tainted);
  });

  test("no event makes a replacement of a machine that has none", () => {
    expect(following(emptyMemory, event("tainted")).durable.machines.redis1).toBeUndefined();
  });

  test("a launch counts in the budget of the last hour; a planned one does not", () => {
    const at = (memory: Memory) => {
      memory.durable.replacements = [
        { machine: "app", wallMs: minutes(60) },
        { machine: "app", wallMs: minutes(59) },
      ];
      return following(memory, event("launched", { instanceId: "i-2" })).durable.replacements;
    };
    expect(at(replacing(tainted))).toEqual([
      { machine: "app", wallMs: minutes(59) },
      { machine: "redis1", wallMs: now },
    ]);
    expect(at(replacing(tainted, { planned: true }))).toHaveLength(2);
  });

  test("the instance that was launched is condemned by now: that one is to be launched yet", () => {
    const memory = replacing(tainted);
    const same = following(memory, event("launched", { instanceId: "i-1" }));
    expect(same.durable.machines.redis1?.replacement).toMatchObject(tainted);
    expect(same.durable.replacements).toEqual([]);
  });

  test("a planned replacement stays a planned one from phase to phase", () => {
    expect(replacementAfter(replacing(tainted, { planned: true }), event("launched"))).toMatchObject({
      planned: true,
    });
    expect(replacementAfter(replacing(tainted), event("launched"))).not.toHaveProperty("planned");
  });
});
