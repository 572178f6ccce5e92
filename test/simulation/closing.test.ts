/** How a run of many schedules ends when it does not end as usual: interrupted, or with something broken. */
import { expect, test } from "vitest";
import { closingOf, exitStatusOf, progressOf } from "./closing.ts";
import { emptySummary, type Summary } from "./many.ts";

const finding = { seed: 7, check: "neverThrows", atMs: 100, text: "the model threw" };
const after = (schedules: number, more: Partial<Summary> = {}): Summary => ({
  ...emptySummary(),
  ...{ schedules, seconds: schedules / 100 },
  ...more,
});

test("exit status 0 only when all that was asked for ran, and held", () => {
  expect(exitStatusOf(after(200), 200)).toBe(0);
  expect(exitStatusOf(after(150), 200)).toBe(2);
  expect(exitStatusOf(after(0), 200)).toBe(2);
  expect(exitStatusOf(after(200, { findings: [finding] }), 200)).toBe(1);
  expect(exitStatusOf(after(150, { findings: [finding] }), 200)).toBe(1);
});

test("an interrupted run says how many schedules ran, also when none did", async () => {
  expect(await closingOf(after(200), 200)).toMatch(/^200 of 200 schedules, 100 per second, [^\n]*$/);
  expect(await closingOf(after(150), 200)).toMatch(
    /^150 of 200 schedules, .*\ninterrupted: nothing is known about the 50 schedules that did not run$/,
  );
  expect(await closingOf(after(0), 200)).toMatch(
    /^0 of 200 schedules, 0 per second, .*\ninterrupted: .* 200 /,
  );
});

test("a finding is told with the command that shows it again", async () => {
  const text = await closingOf(after(150, { findings: [finding] }), 200);
  expect(text).toContain("replay it with: scripts/simulate --seed 7");
  expect(text).toContain("1 broke a rule");
});

test("progress has the time that is left", () => {
  expect(progressOf(after(150), 200)).toMatch(/^150 of 200 schedules, .*, 1 s left$/);
});
