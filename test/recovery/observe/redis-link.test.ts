import { expect, test } from "vitest";
import { numberFrom } from "../../../recovery/observe/redis-link.ts";

test.each<[unknown, number | undefined]>([
  ["7", 7],
  [null, 0],
  ["abc", undefined],
  ["", undefined],
  ["1.5", undefined],
  ["-1", undefined],
  ["1e3", undefined],
  ["NaN", undefined],
  ["Infinity", undefined],
  ["99999999999999999999", undefined],
])("a key that holds %j is the number %s", (reply, number) => {
  expect(numberFrom([null, reply])).toBe(number);
});

test("a reply that is an error, or missing, is no number", () => {
  expect(numberFrom([new Error("LOADING"), null])).toBeUndefined();
  expect(numberFrom(undefined)).toBeUndefined();
});
