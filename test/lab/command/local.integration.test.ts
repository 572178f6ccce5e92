/** The stand-in's local.Command: real processes. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commandPlugin } from "../../../lab/command/command-plugin.ts";
import { type Plugin, resourceOf } from "../../../lab/plugin/plugin.ts";
import type { Properties, Value } from "../../../lab/plugin/values.ts";

const resource = resourceOf("urn:pulumi:local::barton::command:local:Command::step");
/** For conditions that surely come: how long is not the subject, and the machine may be busy. */
const eventually = { timeout: 60_000, interval: 20 };
const real = { preview: false, timeoutMs: undefined };

let folder: string;
let plugin: Plugin;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "barton-command-"));
  lines = [];
  plugin = commandPlugin();
  plugin.configure({ values: {}, secrets: new Set() }, async (_severity, _urn, message) => {
    lines.push(message);
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function inputs(values: Record<string, Value>): Properties {
  return { values, secrets: new Set() };
}

async function run(values: Record<string, Value>) {
  return (await plugin.create(resource, inputs(values), real)).state.values;
}

describe("local.Command", () => {
  test("runs by /bin/sh, or by an interpreter, in a folder, with an environment and standard input", async () => {
    expect(
      await run({ create: "echo $0 $A; cat; pwd", environment: { A: "b" }, stdin: "in\n", dir: folder }),
    ).toMatchObject({
      stdout: `/bin/sh b\nin\n${folder}`,
      stderr: "",
    });
    expect(await run({ create: "print(6 * 7)", interpreter: ["python3", "-c"] })).toMatchObject({
      stdout: "42",
    });
  });

  test("does not read its input: fine", async () => {
    expect(await run({ create: "true", stdin: "x".repeat(1_000_000) })).toMatchObject({ stdout: "" });
  });

  test("failures are told: status, signal, a folder that is not there", async () => {
    await expect(run({ create: "echo why >&2; exit 3" })).rejects.toThrow(
      /step failed with exit status 3:\nwhy$/,
    );
    await expect(run({ create: "kill -9 $$" })).rejects.toThrow("step was ended by SIGKILL, without output");
    await expect(run({ create: "true", dir: "/nonexistent" })).rejects.toThrow(
      "cannot start /bin/sh in /nonexistent",
    );
  });

  test.each([
    ["stdout", ["out"]],
    ["stderr", ["err"]],
    ["none", []],
  ])("logging: %s", async (logging, shown) => {
    expect(await run({ create: "echo out; echo err >&2", logging })).toMatchObject({
      stdout: "out",
      stderr: "err",
    });
    expect(lines).toEqual(shown);
  });

  test("Ctrl-C ends everything that the command has started", async () => {
    const file = join(folder, "pid");
    const running = run({ create: `sh -c 'sleep 600 & echo $! > ${file}; wait'; true` });
    await expect.poll(() => readFile(file, "utf8").catch(() => ""), eventually).toMatch(/^\d+\n$/);
    plugin.cancel();
    await expect(running).rejects.toThrow("cancelled");
    const pid = Number(await readFile(file, "utf8"));
    const isAlive = async () =>
      !/^State:\s+Z/m.test(await readFile(`/proc/${pid}/status`, "utf8").catch(() => "State: Z"));
    await expect.poll(isAlive, eventually).toBe(false);
  });
});
