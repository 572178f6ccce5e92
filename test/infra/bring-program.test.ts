/** The script by which `up` brings the running monit its environment and its program. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bringProgram } from "../../infra/roles/monit/role.ts";

const script = bringProgram({ bucket: "b", key: "program/x.tar", sha256: "5a", hash: "0a" });
const before = 'AWS_REGION="eu-central-1"\n';
const after = `${before}BARTON_WEBHOOK_URL="https://hooks.example.com/TOKEN"\n`;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-bring-"));
  writeFileSync(join(folder, "monitor.env"), before);
  // Both note how they were called; the first also what the environment file had in it then.
  const notes = join(folder, "notes");
  const called = `echo "$(basename "$0") $*" >>${notes}`;
  writeFileSync(
    join(folder, "fetch"),
    `#!/bin/sh\n${called}\ncat "$BARTON_MONITOR_ENV" >${folder}/used\n[ ! -e ${folder}/down ]\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(folder, "systemctl"), `#!/bin/sh\n${called}\n`, { mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const bring = (input: string) =>
  execa("/bin/sh", ["-c", script], {
    input,
    reject: false,
    env: {
      PATH: `${folder}:${process.env.PATH}`,
      BARTON_MONITOR_ENV: join(folder, "monitor.env"),
      BARTON_FETCH_PROGRAM: join(folder, "fetch"),
    },
  });
const read = (name: string) => readFileSync(join(folder, name), "utf8");
const fetched = "fetch b program/x.tar 5a 0a\n";

test("a changed environment is used for fetching, put in place for root alone, and the monitor starts anew", async () => {
  const { exitCode, stdout, stderr } = await bring(after);
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(read("used")).toBe(after);
  expect(read("monitor.env")).toBe(after);
  expect(statSync(join(folder, "monitor.env")).mode & 0o777).toBe(0o600);
  expect(read("notes")).toBe(`${fetched}systemctl restart barton-monitor.service\n`);
});

test("with the same environment the monitor is left running", async () => {
  expect((await bring(before)).exitCode).toBe(0);
  expect(read("notes")).toBe(`${fetched}systemctl start barton-monitor.service\n`);
});

test("when the program cannot be fetched, the environment stays, so that the next up does it all again", async () => {
  writeFileSync(join(folder, "down"), "");
  expect((await bring(after)).exitCode).not.toBe(0);
  expect(read("monitor.env")).toBe(before);
  expect(readdirSync(folder).filter((name) => name.startsWith("monitor.env"))).toEqual(["monitor.env"]);
});

test("an empty environment is an error, and changes nothing", async () => {
  const { exitCode, stderr } = await bring("");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("nothing of");
  expect(read("monitor.env")).toBe(before);
});
