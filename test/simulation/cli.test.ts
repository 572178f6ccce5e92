/** `scripts/simulate`: what its exit status says, and what makes no sense to it. */
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";

const timeout = 30_000;
const simulate = (...args: string[]) =>
  execa(process.execPath, [join(import.meta.dirname, "cli.ts"), ...args], {
    reject: false,
    stdin: "ignore",
  });

test.each([
  [["--schedules", "0"], "It must be a whole number above 0."],
  [["--threads", "0"], "It must be a whole number above 0."],
  [["--schedules", ""], "It must be a whole number."],
  [["--seed", "-1"], "It must be a whole number."],
  [["--from", "1.5"], "It must be a whole number."],
  [["--nonsense"], "unknown option '--nonsense'"],
  [["5"], "too many arguments"],
])("%j makes no sense: one message, exit status 2", { timeout }, async (args, message) => {
  const { exitCode, stdout, stderr } = await simulate(...args);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^error: [^\n]+$/);
  expect(stderr).toContain(message);
});

test("a few schedules that hold: exit status 0", { timeout }, async () => {
  const { exitCode, stdout } = await simulate("--schedules", "3", "--threads", "1");
  expect(stdout).toMatch(/^3 of 3 schedules, [^\n]*, 0 broke a rule, [^\n]*$/);
  expect(exitCode).toBe(0);
});

describe("Ctrl-C", () => {
  test.each([[[]], [["--json"]]])("with %j: what ran is said, exit status 2", { timeout }, async (args) => {
    const run = simulate("--schedules", "1000000", "--threads", "1", ...args);
    // From its first words on it listens.
    run.stderr.once("data", () => run.kill("SIGINT"));
    const { exitCode, stdout } = await run;
    expect(stdout).toMatch(args.length > 0 ? /"asked": 1000000/ : /of 1000000 schedules, .*\ninterrupted: /);
    expect(exitCode).toBe(2);
  });
});
