import { expect, test } from "vitest";
import { createLog, readableLine } from "../../recovery/log.ts";

test("one readable line per event, with its fields", () => {
  const line = JSON.stringify({
    level: 30,
    msg: "fence redis1",
    tookMs: 2.5,
    incident: "x-redis1",
    why: "no answer",
  });
  expect(readableLine(line, false)).toBe('fence redis1 tookMs=2.5 incident=x-redis1 why="no answer"\n');
});

test("under systemd each line carries the journal's priority", () => {
  const lines: string[] = [];
  const log = createLog({ write: (text) => lines.push(text) }, { JOURNAL_STREAM: "8:1" });
  log.error("a");
  log.warn("b");
  log.info("c");
  expect(lines).toEqual(["<3>a\n", "<4>b\n", "<6>c\n"]);
});

test("an error's message is shown", () => {
  const lines: string[] = [];
  createLog({ write: (text) => lines.push(text) }, {}).error(
    { err: new Error("disk full") },
    "state is not kept",
  );
  expect(lines).toEqual(['state is not kept error="disk full"\n']);
});
