import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { leaveLocks, removeLock } from "../../../lab/control-plane/stale-lock.ts";

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "barton-state-"));
});
afterEach(() => rmSync(state, { recursive: true }));

test("a lock is in pulumi's form, one per stack; its backups and attributes are no stacks", () => {
  const stacks = join(state, ".pulumi/stacks/barton");
  mkdirSync(stacks, { recursive: true });
  for (const file of ["local.json", "local.json.attrs", "local.json.bak", "local.json.bak.attrs"]) {
    writeFileSync(join(stacks, file), "{}");
  }
  const at = new Date("2026-11-23T16:00:00.123Z");
  const [file = "", ...others] = leaveLocks(state, { hostname: "monit.barton" }, at);
  expect(others).toEqual([]);
  expect(file).toMatch(/\.pulumi\/locks\/organization\/barton\/local\/[0-9a-f-]{36}\.json$/);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
    pid: 4_194_303,
    username: "root",
    hostname: "monit.barton",
    timestamp: "2026-11-23T16:00:00.123Z",
  });
  removeLock(file);
  removeLock(file);
  expect(existsSync(file)).toBe(false);
});

test("without a stack there is nothing to lock", () => {
  expect(() => leaveLocks(state, { hostname: "monit" })).toThrow("there is no stack");
});
