import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../../recovery/clock.ts";
import { incidentsMax, Journal, readIncidents } from "../../../recovery/incidents/journal.ts";
import { describeIncident } from "../../../recovery/incidents/record.ts";
import { createLog, silentLog } from "../../../recovery/log.ts";
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
  const failed = journal.step("redis1", "launch a new redis1");
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
      { step: "launch a new redis1", outcome: "failed: no capacity", tookMs: 100 },
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
  journal.step("haproxy1", "launch a new haproxy1");
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

test("a step that fails every two seconds for an hour is one entry, and its file is seldom written", async () => {
  let writes = 0;
  const counting: Files = Object.assign(Object.create(files), {
    write: (path: string, value: unknown) => {
      writes += 1;
      files.write(path, value);
    },
    list: files.list,
  });
  const journal = new Journal({ folder, files: counting, clock, log: silentLog, bugs });
  journal.open("redis1", "redis1 does not answer", undefined);
  for (let attempt = 0; attempt < 1_800; attempt += 1) {
    journal.step("redis1", "check program of redis1")("done");
    const end = journal.step("redis1", "launch redis1");
    pass(5);
    end(`failed: no capacity (request ${attempt})`);
    pass(1_995);
  }
  expect(writes).toBeLessThan(130);
  journal.close("redis1");
  await files.settled();
  const [incident] = await incidentsNow();
  expect(incident?.steps).toMatchObject([
    { step: "check program of redis1", times: 1_800, outcome: "done" },
    {
      step: "launch redis1",
      times: 1_800,
      startedAt: "2026-01-02T03:04:05.000Z",
      lastStartedAt: "2026-01-02T04:04:03.000Z",
      endedAt: "2026-01-02T04:04:03.005Z",
      outcome: "failed: no capacity (request 1799)",
    },
  ]);
  if (incident)
    expect(describeIncident(incident)).toContain(
      "launch redis1: failed: no capacity (request 1799) (5 ms), 1800 times until 2026-01-02T04:04:03.000Z",
    );
});

test("steps that are done twice without a failure between them stay two", () => {
  const journal = journalOf();
  journal.open("redis1", "gone", undefined);
  for (let time = 0; time < 2; time += 1) journal.step("redis1", "fence redis1")("done");
  expect(journal.openIncidents[0]?.steps).toHaveLength(2);
});

test("a record has no more than 200 steps, and says how many are left out; an outcome is no book", () => {
  const journal = journalOf();
  journal.open("redis1", "gone", undefined);
  for (let number = 0; number < 300; number += 1) journal.step("redis1", `step ${number}`)("done");
  journal.step("redis1", "up")(`failed: ${"x".repeat(10_000)}`);
  const [incident] = journal.openIncidents;
  expect(incident?.steps).toHaveLength(200);
  expect(incident?.stepsLeftOut).toBe(101);
  expect([0, 49, 50].map((position) => incident?.steps[position]?.step)).toEqual([
    "step 0",
    "step 49",
    "step 151",
  ]);
  expect(incident?.steps.at(-1)?.outcome).toHaveLength(501);
});

test("the oldest closed incidents are removed, open ones never", async () => {
  for (let number = 0; number < incidentsMax + 5; number += 1) {
    const name = `20250101-${String(number).padStart(6, "0")}-redis1`;
    await writeFile(join(folder, `${name}.json`), "{");
  }
  const journal = journalOf();
  await expect.poll(async () => (await files.list(folder)).length).toBe(incidentsMax);
  wallMs = Date.parse("2024-01-01T00:00:00Z");
  journal.open("redis1", "gone", undefined);
  journal.open("redis2", "gone", undefined);
  journal.close("redis2");
  await files.settled();
  await expect.poll(async () => (await files.list(folder)).length).toBeLessThanOrEqual(incidentsMax + 1);
  expect(await files.list(folder)).toContain("20240101-000000-redis1.json");
});

test("a damaged record is skipped with one warning that names it", async () => {
  const lines: string[] = [];
  await writeFile(join(folder, "20260102-030405-redis1.json"), '{"id":5}');
  expect(await readIncidents(files, folder, createLog({ write: (text) => lines.push(text) }, {}))).toEqual(
    [],
  );
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("20260102-030405-redis1.json is damaged and is not used: id: ");
});
