import { describe, expect, test } from "vitest";
import { faultRequest } from "../../../lab/control-plane/fault-request.ts";
import { Random } from "../../simulation/random.ts";
import type { Tick } from "../workload/spec.ts";
import { catalogue, type Scene } from "./catalogue.ts";
import { loadOf, whyNotReady } from "./gate.ts";
import { needsMaster, parseWanted, planned } from "./plan.ts";

const scene = (seed = 1): Scene => ({
  shards: [
    { index: 1, port: 9001, master: "redis2", replica: "redis1" },
    { index: 2, port: 9002, master: "redis1", replica: "redis2" },
  ],
  activeProxy: "haproxy1",
  random: new Random(seed),
});

describe("the catalogue", () => {
  test.each(catalogue.map((kind) => [kind.name, kind]))("%s asks the lab for what it knows", (_, kind) => {
    for (let seed = 1; seed <= 20; seed++) {
      const { title, requests } = kind.make(scene(seed));
      expect(title).not.toBe("");
      expect(requests.length).toBeGreaterThan(0);
      for (const request of requests) expect(faultRequest(request)).toMatchObject({ kind: request.kind });
    }
  });

  test("targets are chosen by role", () => {
    const titles = (name: string) =>
      new Set(
        Array.from(
          { length: 30 },
          (_, seed) => catalogue.find((kind) => kind.name === name)?.make(scene(seed + 1)).title,
        ),
      );
    expect(titles("vanish")).toEqual(new Set(["vanish redis2"]));
    expect(titles("crash")).toEqual(new Set(["crash redis2:9001", "crash redis1:9002"]));
    expect(titles("vanish-replica")).toEqual(new Set(["vanish redis1"]));
    expect(titles("crash-haproxy")).toEqual(new Set(["crash haproxy1:haproxy"]));
    expect(titles("partition-redis").size).toBe(3);
  });

  test("a fault of a master hits one on the machine that was asked for, or nothing", () => {
    const split = scene();
    const [first, second] = split.shards as [Scene["shards"][number], Scene["shards"][number]];
    const together = { ...split, shards: [first, { ...second, master: "redis2", replica: "redis1" }] };
    for (const { name, targets, hitsMaster, make } of catalogue) {
      expect(hitsMaster === true, name).toBe(targets?.length === 2 && targets[0] === "redis1");
      if (!hitsMaster) continue;
      expect(make({ ...split, wanted: "redis1" }).title).toMatch(/ redis1(:9002)?$/);
      expect(make({ ...together, wanted: "redis2" }).title).toMatch(/ redis2(:900[12])?$/);
      expect(() => make({ ...together, wanted: "redis1" })).toThrow("redis1 has no master");
    }
  });

  test("what lasts is undone by the run; what recovery ends is left to it", () => {
    for (const kind of catalogue) {
      const { requests, lastsMs } = kind.make(scene());
      const lasting = requests.some(({ kind }) =>
        ["hang", "pause", "partition", "lossy", "disk-full", "dns"].includes(kind),
      );
      expect(lastsMs !== undefined, kind.name).toBe(lasting);
    }
  });
});

describe("the plan", () => {
  test("the same seed asks for the same faults", () => {
    const names = (seed: number) => {
      const plan = planned([], 1, new Random(seed));
      return Array.from({ length: 200 }, () => (plan.next().value as { kind: { name: string } }).kind.name);
    };
    expect(names(7)).toEqual(names(7));
    expect(names(7)).not.toEqual(names(8));
    expect(new Set(names(7)).size).toBe(catalogue.length);
  });

  test("faults that were asked for take turns", () => {
    const wanted = ["crash", "vanish:redis2"].map(parseWanted);
    expect(
      [...planned(wanted, 2, new Random(1))].map(({ kind, target }) => `${kind.name} ${target}`),
    ).toEqual(["crash undefined", "vanish redis2", "crash undefined", "vanish redis2"]);
  });

  test.each([
    ["vanish", undefined],
    ["vanish:redis1", "redis1"],
    ["crash:redis1", "redis1"],
    ["vanish:redis2", undefined],
    ["lossy:redis1", undefined],
    ["vanish-haproxy:haproxy1", undefined],
  ])("masters on redis2 alone, %s: masters are wanted on %s", (text, machine) => {
    const shards = scene().shards.map((shard) => ({ ...shard, master: "redis2", replica: "redis1" }));
    expect(needsMaster(parseWanted(text), shards)).toBe(machine);
    expect(needsMaster(parseWanted(text), scene().shards)).toBeUndefined();
  });

  test.each([
    ["explode", /there is no fault "explode"; there are: crash, vanish/],
    ["vanish:app", /use vanish, or vanish:redis1, vanish:redis2/],
    ["vanish:redis1:9001", /is no fault/],
    ["pair:redis1", /chooses its targets itself/],
  ])("%s is refused with what there is", (text, message) => {
    expect(() => parseWanted(text)).toThrow(message);
  });
});

describe("the gate", () => {
  const tick = (writes: number, slowestMs = 3): Tick => ({
    at: 0,
    ms: 500,
    shards: { 1: { writes, errors: 0, slowestMs }, 2: { writes: 50, errors: 0, slowestMs: 3 } },
  });
  const calm = [tick(50), tick(50), tick(50), tick(50)];
  const well = { healthy: true, sentence: "" };

  test("opens for a healthy and loaded system", () => {
    expect(whyNotReady(well, calm, 2)).toBeUndefined();
    expect(loadOf(calm)).toEqual({ 1: 100, 2: 100 });
  });

  test.each([
    ["not healthy", { healthy: false, sentence: "redis1 is away" }, calm, 2, "redis1 is away"],
    ["just begun", well, [tick(50)], 2, "just begun"],
    ["a shard without traffic", well, calm, 3, "not every shard"],
    ["too little traffic", well, [tick(5), tick(5), tick(5), tick(5)], 2, "shard 1 has only 10 writes"],
    ["clients that wait", well, [...calm.slice(1), tick(50, 2000)], 2, "an answer took 2000 ms"],
  ])("stays closed: %s", (_, status, ticks, shards, why) => {
    expect(whyNotReady(status, ticks, shards)).toContain(why);
  });
});
