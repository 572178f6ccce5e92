import { expect, test } from "vitest";
import { watchStatus } from "../../../recovery/cli/watch-status.ts";
import type { Clock } from "../../../recovery/clock.ts";
import type { Status } from "../../../recovery/report/status.ts";

const statusOf = (sentence: string, healthy = true) =>
  ({
    healthy,
    sentence,
    inProgress: false,
    paused: null,
    machines: [{ name: "redis1", address: "10.0.0.1", state: "running" }],
    shards: [],
    incidents: [],
    notKept: [],
    bugs: [],
    notifications: null,
  }) as Status;

/** Watches the given looks, then is interrupted as by Ctrl-C. @returns what was written. */
async function watch(looks: (Status | Error)[], options: { isTTY?: boolean; json?: boolean } = {}) {
  const stop = new AbortController();
  const written: string[] = [];
  const clock: Clock = { now: () => 0, date: () => new Date(0), sleep: async () => {} };
  const look = async () => {
    const next = looks.shift();
    if (looks.length === 0) stop.abort();
    if (next instanceof Error) throw next;
    return next as Status;
  };
  const output = {
    isTTY: options.isTTY ?? false,
    write: (text: string) => written.push(text) > 0,
  } as unknown as NodeJS.WriteStream;
  await watchStatus(look, { json: options.json, output, signal: stop.signal, clock });
  return written.join("");
}

test("without a terminal: the first status, then only what has changed, each line with its time", async () => {
  const written = await watch([
    statusOf("all is well"),
    statusOf("all is well"),
    statusOf("redis1 is gone", false),
  ]);
  expect(written.split("\n")).toEqual([
    "1970-01-01T00:00:00.000Z healthy: all is well",
    "1970-01-01T00:00:00.000Z machines",
    "1970-01-01T00:00:00.000Z   redis1     10.0.0.1         running",
    "1970-01-01T00:00:00.000Z shards",
    "1970-01-01T00:00:00.000Z NOT HEALTHY: redis1 is gone",
    "",
  ]);
});

test("at a terminal every picture is drawn over the last, and the cursor comes back at the end", async () => {
  const written = await watch([statusOf("all is well"), statusOf("all is well")], { isTTY: true });
  expect(written.split("\x1b[H")).toHaveLength(4);
  expect(written.startsWith("\x1b[?25l")).toBe(true);
  expect(written.endsWith("\x1b[?25h\n")).toBe(true);
});

test("a look that fails is shown and the watch goes on; as JSON each change is a line", async () => {
  const looks = () => [new Error("the monitor did not answer"), statusOf("all is well")];
  expect(await watch(looks())).toMatch(/the monitor did not answer\n.* healthy: all is well/);
  const lines = (await watch(looks(), { json: true })).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { failure: "the monitor did not answer" },
    expect.objectContaining({ healthy: true }),
  ]);
});
