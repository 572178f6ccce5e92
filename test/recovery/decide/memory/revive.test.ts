/** What is on disk may be damaged, or of an earlier version: the good parts count, and the others are named. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../../../recovery/decide/decide.ts";
import { apply, type Remembered } from "../../../../recovery/decide/memory/events.ts";
import { emptyMemory, type Memory, revive } from "../../../../recovery/decide/memory/memory.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { down, World } from "../../world-of-facts.ts";

const nowMs = 5_000;
const onDisk = (memory: Memory): unknown => JSON.parse(JSON.stringify(memory.durable));
const having = (...events: Remembered[]) =>
  events.reduce((memory, event) => apply(memory, event, 0), emptyMemory);
const condemned = {
  event: "condemned",
  machine: "redis1",
  instanceId: "i-redis1",
  because: "it is silent",
} as const;

/** A memory with something in every section. */
function full(): Memory {
  const world = new World().lookAll("redis1", down("silent"));
  world.memory = apply(world.memory, { event: "ordered", machine: "haproxy2", why: "by hand" }, 0);
  const events: Remembered[] = [
    { event: "promoting", shard: 1, epoch: 2 },
    { ...condemned, machine: "haproxy1", instanceId: "i-haproxy1" },
    { event: "tainted", machine: "haproxy1" },
    { event: "launched", machine: "haproxy1", instanceId: "i-2" },
    condemned,
    { event: "recorded", instanceId: "i-monit" },
  ];
  world.memory = events.reduce((memory, event) => apply(memory, event, world.facts.wallMs), world.memory);
  world.decide();
  return world.memory;
}

describe("what is whole", () => {
  test("comes back as it was; only its times begin again", () => {
    const { durable } = full();
    expect(Object.values(durable.servers)).toContainEqual(
      expect.objectContaining({ verdict: expect.objectContaining({ condition: "silent" }) }),
    );
    const { memory, dropped } = revive(onDisk(full()), nowMs);
    expect(dropped).toEqual([]);
    const times = { noticedMs: nowMs, sinceMs: nowMs };
    const servers = Object.entries(durable.servers).filter(([, { verdict }]) => verdict);
    expect(memory.durable).toEqual({
      ...durable,
      servers: Object.fromEntries(
        servers.map(([id, { verdict }]) => [id, { verdict: { ...verdict, ...times } }]),
      ),
    });
    expect(memory.seen).toEqual({});
  });

  test("a hold is forgotten: its end is of another process's clock", () => {
    const held = { event: "held", machine: "redis1", why: "another program", untilMs: 1e9 } as const;
    const { memory, dropped } = revive(
      onDisk(having(condemned, { event: "tainted", machine: "redis1" }, held)),
      nowMs,
    );
    expect(dropped).toEqual([]);
    expect(memory.durable.machines.redis1?.replacement).toEqual({
      instanceId: "i-redis1",
      because: "it is silent",
      phase: "tainted",
      powerOff: "not requested",
    });
  });

  test("no file is an empty memory, without a warning", () => {
    expect(revive(undefined, nowMs)).toEqual({ memory: emptyMemory, dropped: [] });
  });
});

describe("what is damaged is left out and named, and the rest counts", () => {
  test.each<[string, unknown, string[]]>([
    ["not an object", [1], ["memory: Invalid input: expected record, received array"]],
    ["a section", { servers: null }, ["servers: Invalid input: expected record, received null"]],
    ["an entry", { shards: { 1: "abc" } }, ["shards.1: Invalid input: expected record, received string"]],
    [
      "a field",
      { shards: { 1: { epoch: "abc", attempted: 7 } } },
      ["epoch of shard 1: Invalid input: expected number, received string"],
    ],
    ["a name", { machines: { redis9: {} } }, [expect.stringContaining("machines.redis9: Invalid option")]],
    ["a server's name", { servers: { "redis1/x": {} } }, ["servers.redis1/x: Invalid server"]],
    [
      "a replacement that cannot be",
      { machines: { redis1: { replacement: { because: "", phase: "tainted" } } } },
      [expect.stringContaining("replacement of redis1: ")],
    ],
    [
      "a replacement of monit, which recovery never replaces",
      { machines: { monit: { replacement: { because: "", phase: "launched" } } } },
      [expect.stringContaining("replacement of monit: ")],
    ],
    [
      "one of the replacements of the hour",
      { replacements: [{ machine: "redis1", wallMs: "x" }] },
      ["replacements[0]: Invalid input: expected number, received string"],
    ],
  ])("%s", (_, damage, dropped) => {
    const whole = { shards: { 2: { epoch: 3, attempted: 4 } } };
    const saved = Array.isArray(damage) ? damage : merged(whole, damage as Record<string, unknown>);
    const revived = revive(saved, nowMs);
    expect(revived.dropped).toEqual(dropped);
    if (!Array.isArray(damage)) expect(revived.memory.durable.shards[2]).toEqual({ epoch: 3, attempted: 4 });
  });

  test("a damaged epoch leaves the attempted one and the master", () => {
    const world = new World();
    world.remembered(1).attempted = 9;
    const saved = JSON.parse(JSON.stringify(world.memory.durable));
    saved.shards[1].epoch = "abc";
    const { memory } = revive(saved, nowMs);
    expect(memory.durable.shards[1]).toMatchObject({ epoch: 0, attempted: 9, master: { machine: "redis1" } });
  });
});

function merged(whole: Record<string, unknown>, damage: Record<string, unknown>): Record<string, unknown> {
  const shards = { ...(whole.shards as object), ...((damage.shards as object | undefined) ?? {}) };
  return { ...whole, ...damage, shards };
}

describe("the form of barton 1.0", () => {
  const former = {
    epochs: { 1: 5, 2: "abc" },
    attempted: { 1: 6 },
    masters: { 1: { machine: "redis2", runId: "run", epoch: 5 } },
    inSync: { 1: { master: "run", replica: "other" } },
    givenUp: { redis1: { because: "it is silent", tainted: true } },
    ordered: {},
    newcomers: {},
    out: null,
    replacements: [{ machine: "redis1", wallMs: 1 }],
  };

  test("is taken over as far as epochs and masters go; the rest is named", () => {
    const { memory, dropped } = revive(former, nowMs);
    expect(memory.durable.shards).toEqual({
      1: {
        epoch: 5,
        attempted: 6,
        master: { machine: "redis2", runId: "run", epoch: 5 },
        inSync: { master: "run", replica: "other" },
      },
      2: { epoch: 0, attempted: 0 },
    });
    expect(memory.durable.replacements).toEqual(former.replacements);
    expect(dropped).toEqual([
      "givenUp: of an earlier version, which kept it in another form",
      "out: of an earlier version, which kept it in another form",
      "epoch of shard 2: Invalid input: expected number, received string",
    ]);
  });

  test.each([{ out: null }, { epochs: { 1: "abc" } }, { epochs: null }])(
    "%j does not stop recovery",
    (saved) => {
      const world = new World();
      world.memory = revive(saved, world.facts.nowMs).memory;
      expect(world.decide().sentence).not.toBe("");
    },
  );
});

/** A whole memory with one of its values, anywhere in it, replaced by another. */
const spoilt = fc
  .tuple(fc.jsonValue(), fc.array(fc.nat(20), { maxLength: 5 }))
  .map(([value, path]) => spoil(onDisk(full()), path, value));

function spoil(value: unknown, [position, ...rest]: number[], by: unknown): unknown {
  if (position === undefined || typeof value !== "object" || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[position % Math.max(keys.length, 1)];
  if (key === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  copy[key] = spoil(copy[key], rest, by);
  return copy;
}

test("whatever is on disk, revive does not throw, and decide accepts what it gives", () => {
  const epochs = fc.dictionary(fc.constantFrom("1", "2", "x"), fc.jsonValue());
  const former = fc.record({ epochs, attempted: epochs, masters: epochs }, { requiredKeys: [] });
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), spoilt, former), (saved) => {
      const world = new World();
      const { memory } = revive(saved, world.facts.nowMs);
      for (const { epoch, attempted } of Object.values(memory.durable.shards)) {
        expect(Number.isSafeInteger(epoch) && Number.isSafeInteger(attempted)).toBe(true);
      }
      const outcome = decide(world.facts, memory, defaultLimits);
      expect(outcome.decisions.map(({ situation }) => situation)).not.toContain("UNKNOWN");
      // What it keeps in its turn is whole.
      expect(revive(onDisk(outcome.memory), 0).dropped).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
