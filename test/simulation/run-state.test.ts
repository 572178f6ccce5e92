/** A run that was interrupted goes on where it was, and a file of another run is not taken for it. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { emptySummary } from "./many.ts";
import { runInParallel } from "./parallel.ts";
import { keepRunState, type RunState, readRunState } from "./run-state.ts";

const run = { firstSeed: 1, asked: 100 };
const newPath = async () => join(await mkdtemp(join(tmpdir(), "barton-simulate-")), "state.json");

test("what was kept is read again; without a file there is nothing", async () => {
  const path = await newPath();
  expect(await readRunState(path, run)).toBeUndefined();
  const state: RunState = { ...run, nextSeed: 51, summary: { ...emptySummary(), schedules: 50 } };
  await keepRunState(path, state);
  expect(await readRunState(path, run)).toEqual(state);
});

test("a file of another run, or one that is damaged, is named", async () => {
  const path = await newPath();
  await keepRunState(path, { ...run, nextSeed: 1, summary: emptySummary() });
  await expect(readRunState(path, { firstSeed: 1, asked: 7 })).rejects.toThrow(
    `${path} is of a run with --from 1 --schedules 100; use those, or another file`,
  );
  await writeFile(path, "{");
  await expect(readRunState(path, run)).rejects.toThrow(`${path} is no state of a run`);
});

test("only what has run without a gap counts as done", async () => {
  // The first chunk ends last.
  const code = `import { parentPort } from "node:worker_threads";
    parentPort.on("message", ({ firstSeed, schedules }) =>
      setTimeout(() => parentPort.postMessage({ schedules, findings: [], seconds: 1, virtualSeconds: 1, written: 1, confirmed: 1, excused: 0 }),
        firstSeed === 1 ? 300 : 0));`;
  const worker = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  const seen: [number, number][] = [];
  await runInParallel({
    ...{ firstSeed: 1, schedules: 150, threads: 2, worker },
    onDone: (nextSeed, { schedules }) => seen.push([nextSeed, schedules]),
  });
  expect(seen).toEqual([[151, 150]]);
});
