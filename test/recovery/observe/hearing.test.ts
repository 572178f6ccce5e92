import { describe, expect, test } from "vitest";
import { InTouchSince, parseClients } from "../../../recovery/observe/hearing.ts";

test("the table tells who has asked lately, and who only before", () => {
  // Of haproxy 2.6.12.
  const table = [
    "# table: clients, type: ip, size:100, used:2",
    "0x55f89d553090: key=10.42.1.31 use=0 exp=3599405 http_req_rate(2000)=7",
    "0x55f89d553190: key=10.42.1.32 use=1 exp=3595520 http_req_rate(2000)=0",
    "",
  ].join("\n");
  expect(parseClients(table)).toEqual({ "10.42.1.31": true, "10.42.1.32": false });
  expect(parseClients("# table: clients, type: ip, size:100, used:0\n")).toEqual({});
});

test("a proxy of an older program has no such table", () => {
  expect(parseClients("No such table\n")).toBeUndefined();
});

describe("in touch with one process", () => {
  let nowMs = 0;
  const answers = (since: InTouchSince, atMs: number, connection = 1, tookMs = 5) => {
    nowMs = atMs;
    return since.answered(connection, atMs - tookMs);
  };

  test("since its first answer, whatever the pace", () => {
    const since = new InTouchSince(() => nowMs);
    expect([100, 300, 9_000].map((atMs) => answers(since, atMs))).toEqual([100, 100, 100]);
  });

  test("anew after it was replaced, or stood still", () => {
    const since = new InTouchSince(() => nowMs);
    answers(since, 100);
    expect(answers(since, 300, 2)).toBe(300);
    expect(answers(since, 5_000, 2, 4_600)).toBe(5_000);
    expect(answers(since, 5_200, 2)).toBe(5_000);
  });
});
