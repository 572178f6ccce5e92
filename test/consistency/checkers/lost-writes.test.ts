import { describe, expect, test } from "vitest";
import { everything, evidence, fault, operation, set } from "./histories.ts";
import { acknowledgedWrites, confirmedWrites, lossesOf } from "./lost-writes.ts";
import { run } from "./verdict.ts";

const writes = [set(1, { confirmed: true }), set(2), set(3, { outcome: "unknown" }), set(4, { at: 900 })];
/** The final state without one key. */
const without = (key: string) => {
  const state = everything(writes);
  state.keys.set(key, null);
  return [state];
};

describe("confirmed writes", () => {
  test("all there", () => {
    expect(run(confirmedWrites, evidence(writes))).toMatchObject({
      verdict: "pass",
      sentence: "0 of 1 confirmed writes lost",
    });
  });

  test("one that is missing fails, and is named", () => {
    const finding = run(confirmedWrites, evidence(writes, { finals: without("anew-1:1") }));
    expect(finding).toMatchObject({ verdict: "fail", sentence: "1 of 1 confirmed writes lost" });
    expect(finding.examples[0]).toContain("anew-1:1");
  });

  test("one with another value is lost, too", () => {
    const state = everything(writes);
    state.keys.set("anew-1:1", 99);
    expect(run(confirmedWrites, evidence(writes, { finals: [state] })).verdict).toBe("fail");
  });

  test("the register may not be behind a confirmed value, and may be before it", () => {
    const own = [operation({ action: "write", value: 7, confirmed: true })];
    expect(run(confirmedWrites, evidence(own, { finals: [everything(own, { register: 6 })] })).verdict).toBe(
      "fail",
    );
    expect(run(confirmedWrites, evidence(own, { finals: [everything(own, { register: 8 })] })).verdict).toBe(
      "pass",
    );
  });

  test.each([[undefined], [[]]])("nothing read back (%j) is unknown", (finals) => {
    expect(run(confirmedWrites, evidence(writes, { finals })).verdict).toBe("unknown");
  });

  test("without a confirmed write nothing was shown", () => {
    expect(run(confirmedWrites, evidence([set(1)])).verdict).toBe("unknown");
  });
});

describe("acknowledged writes", () => {
  test("a missing one is counted when a machine was lost", () => {
    const finding = run(acknowledgedWrites, evidence(writes, { finals: without("anew-1:4") }));
    expect(finding).toMatchObject({ verdict: "pass", sentence: "1 of 3 acknowledged writes lost" });
  });

  test("and fails when only a process died", () => {
    const finding = run(
      acknowledgedWrites,
      evidence(writes, { finals: without("anew-1:4"), faults: [fault({ processCrash: true })] }),
    );
    expect(finding.verdict).toBe("fail");
    expect(finding.sentence).toContain("although the master that took them was not lost");
  });

  test("a write long before the next fault was lost by nobody's fault, and fails", () => {
    const faults = [fault({ at: 100_000, doneAt: 100_010 })];
    expect(run(acknowledgedWrites, evidence(writes, { finals: without("anew-1:2"), faults })).verdict).toBe(
      "fail",
    );
  });

  test("a member of the set, and increments of the counter", () => {
    const own = [
      operation({ action: "add", value: 1 }),
      operation({ action: "increment", value: 1 }),
      operation({ action: "increment", value: 2 }),
    ];
    const finals = [everything(own, { members: new Set(), counter: 1 })];
    const finding = run(acknowledgedWrites, evidence(own, { finals }));
    expect(finding.sentence).toBe("2 of 3 acknowledged writes lost");
    const crashed = run(
      acknowledgedWrites,
      evidence(own, {
        finals: [everything(own, { counter: 1 })],
        faults: [fault({ processCrash: true })],
      }),
    );
    expect(crashed.verdict).toBe("fail");
  });
});

describe("what excuses the loss of an acknowledged write", () => {
  const before = Array.from({ length: 10 }, (_, i) => set(i, { at: 100 * i }));
  const lost = (given: Parameters<typeof set>[1]) => {
    const own = [...before, set(99, given)];
    const state = everything(own);
    state.keys.set("anew-1:99", null);
    return run(acknowledgedWrites, evidence(own, { finals: [state] })).verdict;
  };

  test("it was acknowledged by the master that was lost", () => {
    expect(lost({ at: 990 })).toBe("pass");
    expect(lost({ at: 1300 })).toBe("pass");
  });

  test("nothing, when its successor had acknowledged it", () => {
    expect(lost({ at: 1300, server: "10.0.0.2:9001" })).toBe("fail");
  });

  test("nothing, when all was well again", () => {
    expect(lost({ at: 9001 })).toBe("fail");
  });
});

describe("the counter", () => {
  const told = (...values: number[]) =>
    values.map((value, i) => operation({ action: "increment", value, at: i * 10 }));
  const lostOf = (values: number[], counter: number) =>
    lossesOf(evidence(told(...values), { finals: [everything([], { counter })] })).acknowledged.lost.map(
      ({ value }) => value,
    );

  test("that only grows has lost nothing, whatever else was carried out", () => {
    expect(lostOf([1, 2, 5, 6], 7)).toEqual([]);
  });

  test("that is less in the end has lost the last increments", () => {
    expect(lostOf([1, 2, 3], 1)).toEqual([2, 3]);
  });

  test("that went back on the way has lost those before, although others have made up for them since", () => {
    expect(lostOf([1, 2, 3, 2, 3, 4], 4)).toEqual([2, 3]);
  });

  test("each loss has its moment, and so its fault", () => {
    const own = told(1, 2, 2, 3).map((each, i) => ({ ...each, invokedAt: 985 + i, completedAt: 986 + i }));
    const finals = [everything([], { counter: 3 })];
    const verdictWith = (processCrash: boolean) =>
      run(acknowledgedWrites, evidence(own, { finals, faults: [fault({ processCrash })] })).verdict;
    expect(verdictWith(false)).toBe("pass");
    expect(verdictWith(true)).toBe("fail");
  });
});
