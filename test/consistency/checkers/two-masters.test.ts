import { describe, expect, test } from "vitest";
import type { Observation } from "../record.ts";
import { evidence, operation } from "./histories.ts";
import { openTwice, overlaps, twoMasters } from "./two-masters.ts";
import { run } from "./verdict.ts";

const by = (server: string, at: number, completedAt = at + 1) => operation({ server, at, completedAt });

describe("who acknowledged", () => {
  test("a failover changes the server once", () => {
    expect(overlaps([by("a", 0), by("a", 10), by("b", 500), by("b", 510)])).toEqual([]);
  });

  test("a, b and a again within a second: both took writes at once", () => {
    const found = overlaps([by("a", 0), by("b", 500), by("a", 600)]);
    expect(found.map((triple) => triple.map(({ server }) => server))).toEqual([["a", "b", "a"]]);
    expect(run(twoMasters, evidence([by("a", 0), by("b", 500), by("a", 600)])).verdict).toBe("fail");
  });

  test("there and back in more than a second may be two failovers", () => {
    expect(overlaps([by("a", 0), by("b", 600), by("a", 1200)])).toEqual([]);
  });

  test("an answer that comes late is no new write: it was begun before the switch", () => {
    expect(overlaps([by("a", 0), by("a", 5, 700), by("b", 500)])).toEqual([]);
    expect(overlaps([by("a", 0, 600), by("b", 500), by("a", 700)])).toEqual([]);
  });

  test("shards are looked at one by one", () => {
    const own = [by("a", 0), { ...by("b", 100), shard: 2 }, by("a", 200)];
    expect(run(twoMasters, evidence(own)).verdict).not.toBe("fail");
  });
});

/** Looks every 200 ms: `masters` and what each proxy has enabled, as functions of time. */
function looks(
  masters: (at: number) => string[],
  enabled: Record<"haproxy1" | "haproxy2", (at: number) => string[]>,
  uses: (at: number) => string[],
): Observation[] {
  return Array.from({ length: 16 }, (_, i) => i * 200).flatMap((at): Observation[] => [
    ...(["redis1", "redis2"] as const).map((source): Observation => {
      const role = masters(at).includes(source) ? "master" : "slave";
      return { at, source, shard: 1, role };
    }),
    { at: at + 30, source: "haproxy1", enabled: { 1: enabled.haproxy1(at) } },
    { at: at + 60, source: "haproxy2", enabled: { 1: enabled.haproxy2(at) } },
    { at: at + 90, source: "app", uses: { 1: uses(at) } },
  ]);
}

const both = () => ["redis1", "redis2"];
const switchAt = (moment: number, first: string, then: string) => (at: number) => [
  at < moment ? first : then,
];

describe("what stood open", () => {
  test("a failover: the old one is out everywhere before the new one is in", () => {
    const switched = switchAt(1000, "redis1", "redis2");
    expect(
      openTwice(looks(switched, { haproxy1: switched, haproxy2: switched }, () => ["haproxy1"])),
    ).toEqual([]);
  });

  test("two masters, one behind each proxy, both proxies with clients", () => {
    const split = { haproxy1: () => ["redis1"], haproxy2: () => ["redis2"] };
    const own = looks(both, split, () => ["haproxy1", "haproxy2"]);
    expect(openTwice(own).length).toBeGreaterThan(0);
    expect(run(twoMasters, evidence([by("a", 0)], { observations: own })).verdict).toBe("fail");
  });

  test("two masters behind one proxy", () => {
    expect(
      openTwice(looks(both, { haproxy1: both, haproxy2: both }, () => ["haproxy1"])).length,
    ).toBeGreaterThan(0);
  });

  test("a second master that no proxy sends to is harmless", () => {
    const one = { haproxy1: () => ["redis2"], haproxy2: () => ["redis2"] };
    expect(openTwice(looks(both, one, () => ["haproxy1", "haproxy2"]))).toEqual([]);
  });

  test("nor is a proxy that no client uses any more, although its table is old", () => {
    const split = { haproxy1: () => ["redis1"], haproxy2: () => ["redis2"] };
    expect(openTwice(looks(both, split, () => ["haproxy2"]))).toEqual([]);
  });

  test("what a look says held when it was answered, and not before it was asked", () => {
    const ways: Observation[] = looks(
      both,
      { haproxy1: switchAt(1000, "redis1", "redis2"), haproxy2: () => ["redis1"] },
      (at) => (at < 1200 ? ["haproxy1"] : ["haproxy2"]),
    );
    // app moves between its looks at 1090 and 1290 ms: whether before haproxy1's switch at 1030 ms nobody knows.
    expect(openTwice(ways)).toEqual([]);
    const slow = ways.map((each): Observation => ({ ...each, askedAt: each.at - 190 }));
    expect(openTwice(slow)).toEqual([]);
  });

  test("two looks that do not overlap in time prove nothing", () => {
    const switched = switchAt(1000, "redis1", "redis2");
    const late = switchAt(1200, "redis1", "redis2");
    const own = looks(switched, { haproxy1: switched, haproxy2: late }, () => ["haproxy1", "haproxy2"]);
    expect(openTwice(own)).toEqual([]);
  });

  test("without looks, or without writes that know who took them, nothing is known", () => {
    expect(run(twoMasters, evidence([by("a", 0)])).verdict).toBe("unknown");
    const one = { haproxy1: () => ["redis1"], haproxy2: () => ["redis1"] };
    const observations = looks(
      () => ["redis1"],
      one,
      () => ["haproxy1"],
    );
    expect(run(twoMasters, evidence([by("a", 0)], { observations })).verdict).toBe("pass");
    for (const source of ["app", "haproxy1", "haproxy2", "redis1", "redis2"]) {
      const without = observations.filter((each) => each.source !== source);
      expect(run(twoMasters, evidence([by("a", 0)], { observations: without })).verdict, source).toBe(
        "unknown",
      );
    }
    const ofTwo = [by("a", 0), { ...by("a", 0), shard: 2 }];
    expect(run(twoMasters, evidence(ofTwo, { observations }))).toMatchObject({
      verdict: "unknown",
      sentence: expect.stringContaining("not all of shard 2 was watched"),
    });
    const blind = [operation({ server: undefined })];
    expect(run(twoMasters, evidence(blind, { observations })).verdict).toBe("unknown");
  });
});
