import { expect, test } from "vitest";
import { createLog } from "../../../recovery/log.ts";
import { type Bug, Bugs, describeBug } from "../../../recovery/report/bugs.ts";

function reporting() {
  const lines: string[] = [];
  const told: Bug[] = [];
  const clock = { ms: 0, now: () => clock.ms, date: () => new Date(clock.ms), sleep: async () => {} };
  const bugs = new Bugs({ clock, log: createLog({ write: (line) => lines.push(line) }, {}) });
  bugs.watch((bug) => told.push(bug));
  return { bugs, clock, lines, told };
}

test("the same exception is counted, and told and logged once", () => {
  const { bugs, clock, lines, told } = reporting();
  for (clock.ms = 0; clock.ms < 3_000; clock.ms += 1_000) bugs.report("a cycle", new Error("x"));
  expect(bugs.all).toEqual([
    {
      where: "a cycle",
      message: "x",
      times: 3,
      firstAt: "1970-01-01T00:00:00.000Z",
      lastAt: "1970-01-01T00:00:02.000Z",
    },
  ]);
  expect(told).toHaveLength(1);
  expect(lines).toHaveLength(1);
  expect(bugs.all.map(describeBug)).toEqual([
    "BUG in a cycle (3 times): x; recovery goes on, but that part of its work was not done: please report it",
  ]);
});

test("a bug that is not seen for a minute disturbs no more, but is listed", () => {
  const { bugs, clock } = reporting();
  bugs.report("a cycle", "text instead of an error");
  clock.ms = 59_000;
  expect(bugs.recent).toHaveLength(1);
  clock.ms = 60_000;
  expect(bugs.recent).toEqual([]);
  expect(bugs.all).toMatchObject([{ message: "text instead of an error" }]);
});

test("messages that never repeat fill neither the memory nor the log", () => {
  const { bugs, lines, told } = reporting();
  for (let number = 0; number < 500; number += 1) bugs.report("a cycle", new Error(`offset ${number}`));
  expect(bugs.all).toHaveLength(21);
  expect(bugs.all.at(-1)).toMatchObject({ message: "several further exceptions: see the log", times: 480 });
  expect([lines.length, told.length]).toEqual([21, 21]);
});

test("a listener that throws is no bug of what is reported", () => {
  const { bugs, told } = reporting();
  bugs.watch(() => {
    throw new Error("the listener");
  });
  expect(() => bugs.guard("a cycle", () => void JSON.parse("{"))).not.toThrow();
  expect(told).toHaveLength(1);
});
