/** `scripts/chaos`, from outside: 1 says that something was shown to fail, so nothing else may end with it. */
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, test } from "vitest";
import { root } from "../infra/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "barton-chaos-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quietly = { stdin: "ignore", reject: false } as const;
const chaos = (...args: string[]) =>
  execa(process.execPath, [join(root, "test/consistency/cli.ts"), ...args], quietly);

test.each([
  [["--fault", "explode"], 'there is no fault "explode"'],
  [["--minutes", "x"], "It must be a number of minutes"],
  [["--nonsense"], "unknown option '--nonsense'"],
])("%j: a mistake in the command line shows nothing, exit status 2", async (args, message) => {
  const { exitCode, stdout, stderr } = await chaos(...args);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(message);
});

test("--help is no mistake", async () => {
  expect(await chaos("--help")).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("Exit status"),
  });
});

test.each([
  ["chaos", 2],
  ["simulate", 2],
  ["lab", 1],
])("scripts/%s before set-up ends with %d", async (script, status) => {
  cpSync(join(root, "scripts"), join(folder, "scripts"), { recursive: true });
  const { exitCode, stderr } = await execa(join(folder, "scripts", script), quietly);
  expect(exitCode).toBe(status);
  expect(stderr).toContain("not set up yet");
});

describe("told to end", () => {
  /** A process that takes a moment to write what there is. */
  async function interrupted(...signals: NodeJS.Signals[]) {
    const program = `import { interruption } from "./interruption.ts";
      interruption(() => console.log("healing")).addEventListener("abort", () =>
        setTimeout(() => { console.log("written"); process.exit(0); }, 500));
      setTimeout(() => process.exit(3), 20_000);
      console.log("ready");`;
    const running = execa(process.execPath, ["--input-type=module", "--eval", program], {
      ...quietly,
      cwd: import.meta.dirname,
    });
    await once(running.stdout, "data");
    for (const signal of signals) {
      const heard = once(running.stdout, "data");
      running.kill(signal);
      await Promise.race([heard, running]);
    }
    const { exitCode, stdout } = await running;
    return { exitCode, lines: stdout.split("\n") };
  }

  test.each([
    [["SIGINT"]],
    [["SIGTERM"]],
    [["SIGTERM", "SIGTERM"]],
    [["SIGINT", "SIGTERM"]],
  ] as NodeJS.Signals[][][])("by %j: it ends in order", async (signals) => {
    expect(await interrupted(...signals)).toEqual({ exitCode: 0, lines: ["ready", "healing", "written"] });
  });

  test("Ctrl-C again: at once, and nothing is known", async () => {
    expect(await interrupted("SIGTERM", "SIGINT")).toEqual({ exitCode: 2, lines: ["ready", "healing"] });
  });
});
