/** Child processes that hang, ignore signals, and leave children of their own behind. */
import { expect, test } from "vitest";
import { membersOf, processOf, runCommand } from "../../../recovery/cloud/run-command.ts";

const sh = (script: string) => ["-c", script];
const long = { limitMs: 60_000 };

test("a command that ends by itself has its output, its input and its exit status", async () => {
  const lines: string[] = [];
  const result = await runCommand("sh", sh("cat; echo trouble >&2; exit 3"), {
    ...long,
    input: "given",
    onOutput: (text) => lines.push(text),
    onError: (text) => lines.push(text),
  });
  expect(result).toMatchObject({ ok: false, stdout: "given", stderr: "trouble", exitCode: 3, isCut: false });
  expect(result.why).toMatch(/failed with exit code 3/);
  expect(lines.join("|")).toBe("given|trouble\n");
  expect(await runCommand("true", [], long)).toMatchObject({ ok: true, why: undefined });
  expect(await runCommand("/nonexistent", [], long)).toMatchObject({ ok: false, isCut: false });
});

test("at its limit it is asked to end, and may do so in its own time", async () => {
  const script = "trap 'echo tidied; exit 1' INT; echo begun; while :; do sleep 0.05; done";
  const result = await runCommand("sh", sh(script), { limitMs: 500, graceMs: 60_000 });
  expect(result).toMatchObject({ ok: false, stdout: "begun\ntidied", isCut: true });
  expect(result.why).toBe("did not end within 0.5 s and was killed");
});

test("one that ignores that is killed with all its children, those in process groups of their own included", async () => {
  // setsid would leave the session; a process group of its own (set -m) does not.
  const script =
    "trap '' INT TERM HUP; set -m; (trap '' INT TERM HUP; sleep 1000; :) & echo $$; while :; do sleep 1; done";
  const result = await runCommand("bash", sh(script), { limitMs: 1_000, graceMs: 200 });
  expect(result).toMatchObject({ ok: false, isCut: true });
  const session = Number(result.stdout);
  expect(session).toBeGreaterThan(1);
  expect(membersOf(session)).toEqual([]);
});

test("one that was killed by somebody else does not keep us waiting for its children's output", async () => {
  const script = "trap '' INT TERM; sleep 1000 & echo $$; kill -KILL $$";
  const result = await runCommand("sh", sh(script), long);
  expect(result).toMatchObject({ ok: false, isCut: false });
  expect(membersOf(Number(result.stdout))).toEqual([]);
});

test("when recovery stops, it is asked to end", async () => {
  const stop = new AbortController();
  const running = runCommand("sh", sh("trap 'exit 1' INT; echo begun; while :; do sleep 0.05; done"), {
    limitMs: 60_000,
    graceMs: 60_000,
    signal: stop.signal,
    onOutput: () => stop.abort(),
  });
  expect(await running).toMatchObject({ isCut: true, why: "was interrupted, because recovery stops" });
});

test("a process is known by its name, and its session by its leader", () => {
  expect(processOf(process.pid)).toMatchObject({ isDead: false });
  expect(processOf(4_194_304)).toBeUndefined();
});
