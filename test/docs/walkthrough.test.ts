/** docs/walkthrough.md: the files and names of its stops exist, and one failure is at most twelve stops. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const text = readFileSync(join(root, "docs/walkthrough.md"), "utf8");
const stops = [...text.matchAll(/^### (\d+)\. `([^`]+)`: `([^`]+)`$/gm)].map(
  ([, number, file = "", name = ""]) => ({ number: Number(number), file, name }),
);

/** A function, a method or a situation of that name is defined in the text of a file. */
function defines(code: string, name: string): boolean {
  const escaped = name.replace(/[#-]/g, "\\$&");
  return new RegExp(
    `function ${escaped}\\b|^ {2}(async )?${escaped}\\(|^ *situation: "${escaped}"`,
    "m",
  ).test(code);
}

test("there are at most twelve stops, numbered from 1, each in a file of its own", () => {
  expect(stops.length).toBeGreaterThan(5);
  expect(stops.length).toBeLessThanOrEqual(12);
  expect(stops.map(({ number }) => number)).toEqual(stops.map((_, position) => position + 1));
  expect(new Set(stops.map(({ file }) => file)).size).toBe(stops.length);
  expect([...text.matchAll(/^### /gm)].length).toBe(stops.length);
});

test.each(stops)("stop $number: $file defines $name", ({ file, name }) => {
  expect(existsSync(join(root, file))).toBe(true);
  expect(defines(readFileSync(join(root, file), "utf8"), name)).toBe(true);
});

test("every stop says what the log says and how to see it in the lab", () => {
  expect([...text.matchAll(/^- \*\*Log\*\*: /gm)].length).toBe(stops.length);
  expect([...text.matchAll(/^- \*\*In the lab\*\*: /gm)].length).toBe(stops.length);
});
