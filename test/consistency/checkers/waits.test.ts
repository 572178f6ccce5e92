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

  test("a pause at the next fault is that one's, and a shard that never went on has no end", () => {
    const moments = acknowledgements(paused(5000, 5900));
    expect(interruptionOf(moments, { at: 1005 }, 5003)?.ms).toBe(10);
    expect(interruptionOf(moments, { at: 5003 }, 9000)?.ms).toBe(910);
    expect(interruptionOf(acknowledgements(paused(1000, 20_000)), { at: 1005 }, 9000)).toBeUndefined();
  });

  test("a request that outlasts its fault was left waiting, although it got its answer at a later fault", () => {
    const faults = [
      fault({ healthyAt: 3000 }),
      fault({ number: 2, at: 6000, doneAt: 6010, healthyAt: 7000 }),
    ];
    const late = set(1, { invokedAt: 1100, completedAt: 6100, process: "1/late" });
    const others = paused(1000, 1700);
    const finding = run(waits, evidence([...others, late], { faults }));
    expect(finding).toMatchObject({ verdict: "fail" });
    expect(finding.sentence).toContain("left waiting: 1/late");
    expect(finding.examples[0]).toContain("answered after 5.00 s");
    // It is answered in time, and goes on.
    const inTime = [
      { ...late, completedAt: 4400 },
      { ...late, invokedAt: 7100, completedAt: 7101 },
    ];
    expect(run(waits, evidence([...others, ...inTime], { faults })).verdict).toBe("pass");
  });

  test("who is hit by the next fault at once waits for that one's end", () => {
    const faults = [
      fault({ healthyAt: 3000 }),
      fault({ number: 2, at: 3500, doneAt: 3510, healthyAt: 7000 }),
    ];
    const caught = set(1, { invokedAt: 2900, completedAt: 7000, process: "1/caught" });
    expect(run(waits, evidence([...paused(1000, 1700), caught], { faults })).verdict).toBe("pass");
    const late = { ...caught, completedAt: 8600 };
    expect(run(waits, evidence([...paused(1000, 1700), late], { faults })).verdict).toBe("fail");
  });

  test("WAIT may take the time that it was given, and no more", () => {
    const blocked = set(1, { at: 0, confirmed: false, confirmedAt: 501 });
    expect(longestWaits([blocked])).toEqual({ 1: 1 });
    expect(longestWaits([{ ...blocked, confirmedAt: 3501 }])).toEqual({ 1: 3000 });
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
