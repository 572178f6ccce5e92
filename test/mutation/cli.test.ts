/** `scripts/mutate`: what makes no sense to it. A whole run takes too long for a test. */
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";

const mutate = (...args: string[]) =>
  execa(process.execPath, [join(import.meta.dirname, "cli.ts"), ...args], { reject: false, stdin: "ignore" });

test.each([
  [["--threshold", "101"], "must be a number from 0 to 100"],
  [["--threshold", ""], "must be a number from 0 to 100"],
  [["--concurrency", "0"], "must be a whole number, 1 or more"],
  [["--nonsense"], "unknown option '--nonsense'"],
  [["observe"], "observe is not in recovery/decide or recovery/act"],
])("%j makes no sense: one message, exit status 2", async (args, message) => {
  const { exitCode, stdout, stderr } = await mutate(...args);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^[^\n]+$/);
  expect(stderr).toContain(message);
});

test("--help names the exit status", async () => {
  const { exitCode, stdout } = await mutate("--help");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("Exit status: 0");
});
