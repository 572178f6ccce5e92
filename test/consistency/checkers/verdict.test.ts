import { describe, expect, test } from "vitest";
import { evidence } from "./histories.ts";
import { checkers } from "./index.ts";
import { exitStatusOf, grouped, run, worst } from "./verdict.ts";

describe("verdicts", () => {
  test("the worst wins", () => {
    expect(worst(["pass", "pass"])).toBe("pass");
    expect(worst(["pass", "unknown", "pass"])).toBe("unknown");
    expect(worst(["unknown", "fail", "pass"])).toBe("fail");
    expect(worst([])).toBe("unknown");
    expect(exitStatusOf).toEqual({ pass: 0, fail: 1, unknown: 2 });
  });

  test("a checker that crashes knows nothing, and says why", () => {
    const crashing = {
      name: "crashing",
      check: () => {
        throw new Error("a bug");
      },
    };
    const finding = run(crashing, evidence([]));
    expect(finding).toMatchObject({ checker: "crashing", verdict: "unknown" });
    expect(finding.sentence).toContain("a bug");
  });

  test.each(checkers.map((checker) => [checker.name, checker]))(
    "%s: crashing on broken evidence is unknown",
    (_, checker) => {
      const broken = evidence([], { operations: undefined as never, faults: undefined as never });
      expect(run(checker, broken).verdict).toBe("unknown");
    },
  );

  test.each(checkers.map((checker) => [checker.name, checker]))(
    "%s: an empty history is no pass",
    (name, checker) => {
      const { verdict } = run(checker, evidence([], { faults: [], finals: [] }));
      expect(verdict, name).toBe("unknown");
    },
  );

  test("thousands are kept apart", () => {
    expect([0, 999, 48211, 1234567].map(grouped)).toEqual(["0", "999", "48 211", "1 234 567"]);
  });
});
