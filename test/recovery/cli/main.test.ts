/** `barton`'s command line: mistakes are one line with an exit status, and change nothing. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, test } from "vitest";
import { root } from "../../infra/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "barton-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** On a machine where nothing of recovery is: no monitor, no credentials, no incidents. */
const barton = (...args: string[]) =>
  execa(process.execPath, [join(root, "recovery/cli/main.ts"), ...args], {
    reject: false,
    stdin: "ignore",
    env: {
      BARTON_STATE_DIR: folder,
      BARTON_RUN_DIR: folder,
      BARTON_RECOVERY_FILE: join(folder, "recovery.json"),
    },
  });

test.each([
  [["nonsense"], "unknown command 'nonsense'"],
  [["status", "--nonsense"], "unknown option '--nonsense'"],
  [["failover"], "missing required argument 'machine'"],
  [["failover", "nobody"], 'there is no machine "nobody"; a failover can be of: redis1, redis2'],
  [["failover", "monit"], "auto scaling group"],
  [["forgive", "nobody"], 'there is no machine "nobody"'],
  [["roll", "nobody"], 'there is no machine "nobody"; there are: redis1'],
  [["pause", "--for", "soon"], '"soon" is no duration'],
  [["rehearse", "vanish"], "missing required argument 'target'"],
  [["rehearse", "hang", "redis1:9001", "--for", "soon"], '"soon" is no duration'],
  [["incident", "none"], 'there is no incident "none"'],
  [["plan"], "the monitor does not run"],
  [["switchover", "redis1", "--json"], "the monitor does not run"],
  [["forgive", "redis1"], "the monitor does not run"],
  [["status"], "is this the monit machine, and are you root?"],
  [["roll", "--dry-run"], "is this the monit machine, and are you root?"],
  [["rehearse", "vanish", "redis1"], "is this the monit machine, and are you root?"],
])("barton %j", { timeout: 20_000 }, async (args, message) => {
  const { exitCode, stdout, stderr } = await barton(...args);
  expect(exitCode).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toContain(message);
  expect(stderr).toMatch(/^barton: [^\n]+$/);
});

test("every command has a help", { timeout: 60_000 }, async () => {
  const { stdout } = await barton("--help");
  const commands = [...stdout.matchAll(/^ {2}([a-z]+)(?= .*)/gm)].map(([, name = ""]) => name);
  expect(commands).toEqual(expect.arrayContaining(["status", "roll", "rehearse", "forgive", "explain"]));
  for (const name of commands) {
    const help = await barton(name, "--help");
    expect(help).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("Usage: barton") });
  }
});
