import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Step } from "../../../recovery/decide/steps.ts";
import { crashPoint } from "../../../recovery/loop/crash-point.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-crash-point-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const taint: Step = { do: "taint", machines: ["redis1"] };
const launch: Step = { do: "launch", machines: ["redis1"] };

test("without a file there is none", () => {
  expect(crashPoint({})).toBeUndefined();
  expect(crashPoint({ BARTON_LAB_CRASH_AFTER: "launch" })).toBeUndefined();
});

test("recovery dies once after each step, also when it was started anew", () => {
  let deaths = 0;
  const start = () => crashPoint({ BARTON_LAB_CRASH_POINTS: join(folder, "points") }, () => deaths++);
  start()?.(taint);
  expect(deaths).toBe(1);
  const second = start();
  second?.(taint);
  expect(deaths).toBe(1);
  second?.(launch);
  expect(deaths).toBe(2);
});

test("or only after steps of some kinds", () => {
  let deaths = 0;
  const env = { BARTON_LAB_CRASH_POINTS: join(folder, "points"), BARTON_LAB_CRASH_AFTER: "cut,launch" };
  const point = crashPoint(env, () => deaths++);
  point?.(taint);
  expect(deaths).toBe(0);
  point?.(launch);
  expect(deaths).toBe(1);
});
