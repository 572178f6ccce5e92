/** `scripts/chaos --judge`: the verdict of a folder, as text and JSON, by exit status. It needs no lab. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { finalsFile, historyFile, incidentsFile, observationsFile, runFile } from "./files.ts";
import type { FinalLine } from "./history.ts";
import type { Evidence } from "./record.ts";
import { sampleRun } from "./report/sample.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-judge-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the sample run, changed a little, as a run writes it. */
function write(change: (evidence: Evidence) => Evidence = (evidence) => evidence): void {
  const { run, evidence } = sampleRun();
  const { operations, finals, faults, observations, incidents } = change(evidence);
  const lines = (values: readonly object[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");
  const put = (file: string, text: string) => writeFileSync(join(folder, file), text);
  put(historyFile, lines(operations));
  put(
    finalsFile,
    lines(
      (finals ?? []).flatMap(({ shard, keys, members, counter, register }): FinalLine[] => [
        { shard, keys: [...keys.keys()], values: [...keys.values()] },
        { shard, members: [...members], counter, register },
      ]),
    ),
  );
  put(observationsFile, lines(observations));
  put(incidentsFile, JSON.stringify(incidents));
  put(runFile, JSON.stringify({ run, faults, wasReadBack: finals !== undefined }));
}

const judge = (...args: string[]) =>
  execa(join(import.meta.dirname, "../../scripts/chaos"), ["--judge", folder, ...args], {
    stdin: "ignore",
    reject: false,
  });

test("pass: exit status 0, the closing line, the report", async () => {
  write();
  const { exitCode, stdout } = await judge();
  expect(exitCode).toBe(0);
  expect(stdout.split("\n").at(-1)).toMatch(/^PASS vanish redis1: 0 of 1 482 confirmed writes lost, /);
  expect(stdout).toMatch(/^\[.*\] FAULT +COUNT +INTERRUPTION/m);
  expect(readFileSync(join(folder, "index.html"), "utf8")).toContain("PASS");
});

test("fail: exit status 1; --json prints the results alone", async () => {
  write((evidence) => ({
    ...evidence,
    finals: evidence.finals?.map((each) => ({ ...each, keys: new Map() })),
  }));
  const { exitCode, stdout } = await judge("--json");
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ verdict: "fail", folder });
});

test("unknown: exit status 2, when nothing was read back, and when there is no run", async () => {
  write((evidence) => ({ ...evidence, finals: undefined }));
  expect(await judge()).toMatchObject({ exitCode: 2 });
  rmSync(join(folder, runFile));
  const { exitCode, stderr } = await judge();
  expect(exitCode).toBe(2);
  expect(stderr).toContain(runFile);
});
