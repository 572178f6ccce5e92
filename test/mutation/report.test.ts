/** How `scripts/mutate` counts and what it says. */
import { expect, test } from "vitest";
import { type Mutant, scoreOf, survivorsText, verdictOn } from "./report.ts";

const mutant = (status: Mutant["status"], overrides: Partial<Mutant> = {}): Mutant => ({
  file: "recovery/act/fence.ts",
  line: 7,
  mutator: "ConditionalExpression",
  original: "a &&\n    b",
  replacement: "true",
  status,
  ...overrides,
});
const act = { path: "recovery/act", isFolder: true };
const view = { path: "recovery/decide/view", isFolder: true };

test("what no test reaches counts like what survived; what was not run does not count", () => {
  const mutants = [mutant("killed"), mutant("survived"), mutant("not covered"), mutant("not counted")];
  expect(scoreOf(mutants)).toBeCloseTo(33.3, 1);
  expect(scoreOf([mutant("not counted")])).toBeUndefined();
});

test("each survivor is one line, by file and line", () => {
  const mutants = [mutant("survived", { line: 9 }), mutant("killed"), mutant("not covered")];
  expect(survivorsText(mutants)).toBe(
    "recovery/act/fence.ts:7 not covered (ConditionalExpression): a && b  =>  true\n" +
      "recovery/act/fence.ts:9 survived (ConditionalExpression): a && b  =>  true",
  );
});

test("every target must reach the threshold by itself", () => {
  const mutants = [
    mutant("killed"),
    mutant("survived"),
    ...Array(5).fill(mutant("killed", { file: "recovery/decide/view/view.ts" })),
  ];
  expect(verdictOn([act, view], mutants, 85)).toEqual({
    text:
      "recovery/act: 50.0 %, which is below 85 % (1 killed, 1 survived, 0 not covered)\n" +
      "recovery/decide/view: 100.0 % (5 killed, 0 survived, 0 not covered)",
    isEnough: false,
  });
  expect(verdictOn([act, view], mutants, 50).isEnough).toBe(true);
  expect(verdictOn([act], [], 85)).toEqual({ text: "recovery/act: nothing to mutate", isEnough: true });
});
