import { describe, expect, test } from "vitest";
import { evidence, fault, set } from "./histories.ts";
import { redundancy } from "./redundancy.ts";
import { traffic } from "./traffic.ts";
import { run } from "./verdict.ts";
import { acknowledgements, interruptionOf, longestWaits, waits } from "./waits.ts";

/** A write every 10 ms, but none in the pause. */
const paused = (from: number, to: number, shard = 1) =>
  Array.from({ length: 1000 }, (_, i) => i * 10)
    .filter((at) => at < from || at >= to)
    .map((at, i) => set(i, { at, shard }));

describe("waits", () => {
  test("the interruption begins with the last write before the fault and ends with the first after it", () => {
    const moments = acknowledgements(paused(1000, 1700));
    expect(interruptionOf(moments, { at: 1005 }, 9000)).toEqual({ ms: 710, shard: 1, from: 991, to: 1701 });
  });

  test("of several shards the one that waited longest counts; other faults' pauses do not", () => {
    const both = [...paused(1000, 1700), ...paused(1000, 2500, 2)];
    expect(interruptionOf(acknowledgements(both), { at: 1005 }, 9000)).toMatchObject({ shard: 2, ms: 1510 });
    expect(interruptionOf(acknowledgements(both), { at: 4000 }, 9000)?.ms).toBe(10);
  });

  test("the longest wait is per shard, and also of those who waited for an error", () => {
    const slow = set(1, { invokedAt: 0, completedAt: 740 });
    const lost = set(2, { invokedAt: 0, completedAt: 900, outcome: "unknown" });
    expect(longestWaits([slow, lost, set(3, { shard: 2 })])).toEqual({ 1: 900, 2: 1 });
  });

  test("a client that never gets an answer again after a fault has been left waiting", () => {
    const faults = [fault({ healthyAt: 5000 })];
    const others = paused(1000, 1700).map((each) => ({ ...each, process: "1/other" }));
    const finding = run(waits, evidence([...paused(1000, 20_000), ...others], { faults }));
    expect(finding).toMatchObject({ verdict: "fail" });
    expect(finding.sentence).toContain("left waiting: 1/anew-1");
    expect(run(waits, evidence([...paused(1000, 1700), ...others], { faults })).verdict).toBe("pass");
  });

  test("a run that was ended right after the fault says nothing of who was left waiting", () => {
    const faults = [fault({ healthyAt: 9500 })];
    expect(run(waits, evidence(paused(1000, 20_000), { faults })).verdict).toBe("pass");
  });
});

describe("validity of a run", () => {
  test.each([
    ["too little traffic before a fault", [fault({ loadBefore: { 1: 100, 2: 3 } })]],
    ["no traffic at all", [fault({ loadBefore: {} })]],
    ["no fault", []],
  ])("%s is unknown, never a pass", (_, faults) => {
    expect(run(traffic, evidence(paused(1000, 1700), { faults })).verdict).toBe("unknown");
  });

  test("enough traffic", () => {
    expect(run(traffic, evidence(paused(1000, 1700))).verdict).toBe("pass");
  });
});

describe("full redundancy", () => {
  test("must be reached after every fault", () => {
    expect(run(redundancy, evidence([])).verdict).toBe("pass");
    const second = fault({ number: 2, healthyAt: undefined, waitedInVainMs: 240_000 });
    expect(run(redundancy, evidence([], { faults: [fault(), second] }))).toMatchObject({
      verdict: "fail",
      examples: ["not within 240.00 s after fault 2: vanish redis1"],
    });
    const interrupted = evidence([], { faults: [fault({ healthyAt: undefined })] });
    expect(run(redundancy, interrupted).verdict).toBe("unknown");
  });
});
