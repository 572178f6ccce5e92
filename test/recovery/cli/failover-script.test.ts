import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { replaceableMachines } from "../../../recovery/topology.ts";

const script = resolve(import.meta.dirname, "../../../scripts/failover");
let folder: string;
let barton: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "barton-failover-"));
  barton = join(folder, "barton");
  await writeFile(barton, '#!/bin/sh\necho "called: $*"\nexit 7\n', { mode: 0o755 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (args: string[], env = { BARTON_COMMAND: barton }) => execa(script, args, { reject: false, env });

describe("failover", () => {
  test.each(replaceableMachines)("hands %s to barton, and its exit status back", async (machine) => {
    expect(await run([machine])).toMatchObject({ stdout: `called: failover ${machine}`, exitCode: 7 });
  });

  test("hands --if-failed on", async () => {
    expect(await run(["--if-failed", "redis1"])).toMatchObject({
      stdout: "called: failover --if-failed redis1",
      exitCode: 7,
    });
  });

  test("--help says what it does", async () => {
    const { stdout, exitCode } = await run(["--help"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("Usage: failover [--if-failed] MACHINE");
  });

  test.each([
    [[]],
    [["redis1", "redis2"]],
    [["monit"]],
    [["redis3"]],
    [["--redis1"]],
    [["--if-failed"]],
    [["--if-failed", "monit"]],
  ])("%j is refused", async (args) => {
    const { stderr, exitCode } = await run(args);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^failover: /);
  });

  test("elsewhere than on monit it says what is missing", async () => {
    const { stderr, exitCode } = await run(["redis1"], { BARTON_COMMAND: join(folder, "none") });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("run this on the monit machine");
  });
});
