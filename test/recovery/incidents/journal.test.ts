import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../../recovery/clock.ts";
import { Journal, readIncidents } from "../../../recovery/incidents/journal.ts";
import { describeIncident } from "../../../recovery/incidents/record.ts";
import { silentLog } from "../../../recovery/log.ts";
import { DiskFiles, type Files } from "../../../recovery/storage/files.ts";

let folder: string;
let files: Files;
let nowMs: number;
const bugs = { guard: (_: string, work: () => void) => work() };
let wallMs: number;
const clock: Clock = { now: () => nowMs, date: () => new Date(wallMs), sleep: async () => {} };
const pass = (ms: number) => {
  nowMs += ms;
  wallMs += ms;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-journal-"));
  files = new DiskFiles({ log: silentLog });
  nowMs = 10_000;
  wallMs = Date.parse("2026-01-02T03:04:05Z");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const incidentsNow = () => readIncidents(files, folder, silentLog);
const journalOf = (reopened?: Awaited<ReturnType<typeof readIncidents>>) =>
  new Journal({ folder, files, clock, log: silentLog, bugs }, reopened);

test("an incident is recorded with each step's start, end and outcome", async () => {
  const journal = journalOf();
  journal.open("redis1", "redis1 does not answer", 9_500);
  const end = journal.step("redis1", "fence redis1");
  pass(12);
  end("done");
  const failed = journal.step("redis1", "launch redis1 anew");
  pass(100);
  failed("failed: no capacity");
  pass(888);
  journal.close("redis1");
  await files.settled();
  const [incident] = await incidentsNow();
  expect(incident).toMatchObject({
    id: "20260102-030405-redis1",
    machine: "redis1",
    because: "redis1 does not answer",
    firstSignAt: "2026-01-02T03:04:04.500Z",
    noticedAt: "2026-01-02T03:04:05.000Z",
    endedAt: "2026-01-02T03:04:06.000Z",
    tookMs: 1000,
    steps: [
      {
        step: "fence redis1",
        startedAt: "2026-01-02T03:04:05.000Z",
        endedAt: "2026-01-02T03:04:05.012Z",
        tookMs: 12,
        outcome: "done",
      },
      { step: "launch redis1 anew", outcome: "failed: no capacity", tookMs: 100 },
    ],
  });
  if (incident) expect(describeIncident(incident)).toContain("0.500 s   fence redis1: done (12 ms)");
});

test("durations are right although the wall clock jumps by an hour", async () => {
  const journal = journalOf();
  journal.open("redis1", "gone", undefined);
  const end = journal.step("redis1", "fence redis1");
  pass(5);
  wallMs -= 3_600_000;
  end("done");
  journal.close("redis1");
  await files.settled();
  expect((await incidentsNow())[0]).toMatchObject({ tookMs: 5, steps: [{ tookMs: 5 }] });
});

test("an open incident is continued after a restart, its interrupted steps are marked", async () => {
  const journal = journalOf();
  journal.open("haproxy1", "gone", undefined);
  journal.step("haproxy1", "taint haproxy1")("done");
  journal.step("haproxy1", "launch haproxy1 anew");
  // Written with the next change; here the monitor dies first, and the file shows what was known.
  await files.settled();
  const next = journalOf(await incidentsNow());
  expect(next.openMachines).toEqual(["haproxy1"]);
  next.open("haproxy1", "noticed again", undefined);
  next.close("haproxy1");
  await files.settled();
  const incidents = await incidentsNow();
  expect(incidents).toHaveLength(1);
  expect(incidents[0]).toMatchObject({ because: "gone", endedAt: expect.any(String) });
});

test("steps of no incident are not recorded, and strange files are no incidents", async () => {
  journalOf().step("redis1", "set servers")("done");
  await writeFile(join(folder, "notes.json"), "{}");
  await files.settled();
  expect(await incidentsNow()).toEqual([]);
});
