/** What may be named on the command line of `scripts/mutate`. */
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { covers, globOf, targetOf } from "./targets.ts";

const root = resolve(import.meta.dirname, "../..");
const target = (name: string) => targetOf(root, name);

test.each([
  ["act", "recovery/act/**/*.ts"],
  ["./recovery/decide/view/", "recovery/decide/view/**/*.ts"],
  ["act/fence.ts", "recovery/act/fence.ts"],
  ["recovery/act/fence.ts:10-20", "recovery/act/fence.ts:10-20"],
])("%s is %s", (name, glob) => {
  expect(globOf(target(name))).toBe(glob);
});

test.each([
  ["observe", "observe is not in recovery/decide or recovery/act: only their tests are run"],
  ["activate.ts", "activate.ts is not in recovery/decide or recovery/act: only their tests are run"],
  ["act/nothing.ts", "there is no recovery/act/nothing.ts"],
  ["act:1-2", "act:1-2: a folder has no lines"],
])("%s cannot be named", (name, message) => {
  expect(() => target(name)).toThrow(message);
});

test("a target is a folder with all below it, one file, or some of its lines", () => {
  const at = (file: string, line = 1) => ({ file, line });
  expect(covers(target("act"), at("recovery/act/fence.ts"))).toBe(true);
  expect(covers(target("act"), at("recovery/actor.ts"))).toBe(false);
  expect(covers(target("act/fence.ts"), at("recovery/act/drain.ts"))).toBe(false);
  expect(covers(target("act/fence.ts"), at("recovery/act/fence.ts"))).toBe(true);
  const lines = [9, 10, 20, 21].filter((line) => {
    return covers(target("act/fence.ts:10-20"), at("recovery/act/fence.ts", line));
  });
  expect(lines).toEqual([10, 20]);
});
