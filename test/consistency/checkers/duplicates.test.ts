import { expect, test } from "vitest";
import { alreadyThere } from "../workload/marks.ts";
import { duplicates } from "./duplicates.ts";
import { everything, evidence, operation, set } from "./histories.ts";
import { run } from "./verdict.ts";

const increments = [
  operation({ action: "increment", value: 1 }),
  operation({ action: "increment", outcome: "unknown" }),
  operation({ action: "increment", outcome: "fail" }),
];
const verdictFor = (operations: typeof increments, given: Parameters<typeof everything>[1] = {}) =>
  run(duplicates, evidence(operations, { finals: [everything(operations, given)] })).verdict;

test.each([
  [1, "pass"],
  [2, "pass"],
  [3, "fail"],
])("one increment acknowledged, one unknown, one failed: a counter of %i is a %s", (counter, verdict) => {
  expect(verdictFor(increments, { counter })).toBe(verdict);
});

test("a member that was there already was added twice", () => {
  const own = [operation({ action: "add", value: 1, error: alreadyThere })];
  expect(verdictFor(own)).toBe("fail");
});

test("a member that nobody added", () => {
  const own = [operation({ action: "add", value: 1 })];
  expect(verdictFor(own, { members: new Set([1, 2]) })).toBe("fail");
  expect(verdictFor(own)).toBe("pass");
});

test("a write that failed and is there all the same", () => {
  const own = [operation({ action: "add", value: 1 }), set(1, { outcome: "fail", error: "refused" })];
  expect(verdictFor(own, { keys: new Map([["anew-1:1", 1]]) })).toBe("fail");
  expect(
    verdictFor([operation({ action: "add", value: 5, outcome: "fail" })], { members: new Set([5]) }),
  ).toBe("fail");
});

test("an unknown write may be there or not", () => {
  const own = [operation({ action: "add", value: 1 }), set(1, { outcome: "unknown" })];
  expect(verdictFor(own, { keys: new Map([["anew-1:1", 1]]) })).toBe("pass");
  expect(verdictFor(own)).toBe("pass");
});
