/** The stand-in's remote resources against a real sshd. */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { commandPlugin } from "../../../lab/command/command-plugin.ts";
import { type Plugin, resourceOf } from "../../../lab/plugin/plugin.ts";
import type { Properties, Value } from "../../../lab/plugin/values.ts";
import { newSshd, type Sshd } from "./sshd.ts";

const command = resourceOf("urn:pulumi:local::barton::command:remote:Command::wait");
const copy = resourceOf("urn:pulumi:local::barton::command:remote:CopyToRemote::copy");
const assetKey = { "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17" };
const archiveKey = { "4dabf18193072939515e22adb298388d": "0def7320c3a5731c473e5ecbe6d01bc7" };
/** For conditions that surely come: how long is not the subject, and the machine may be busy. */
const eventually = { timeout: 60_000, interval: 20 };
const real = { preview: false, timeoutMs: undefined };

let sshd: Sshd;
let folder: string;
let plugin: Plugin;
let lines: string[];

beforeAll(async () => {
  sshd = await newSshd();
  await sshd.start();
});
afterAll(() => sshd.remove());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "barton-command-"));
  lines = [];
  plugin = commandPlugin();
  plugin.configure({ values: {}, secrets: new Set() }, async (_severity, _urn, message) => {
    lines.push(message);
  });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function connection(more: Record<string, Value> = {}): Record<string, Value> {
  const { port, user, privateKey } = sshd;
  return { host: "127.0.0.1", port, user, privateKey, dialErrorLimit: 10, perDialTimeout: 15, ...more };
}

function inputs(values: Record<string, Value>, ...secrets: string[]): Properties {
  return { values: { connection: connection(), ...values }, secrets: new Set(["connection", ...secrets]) };
}

async function run(values: Record<string, Value>, ...secrets: string[]): Promise<Properties> {
  return (await plugin.create(command, inputs(values, ...secrets), real)).state;
}

/** Folders of ours that are still in memory: each could hold a key. */
async function leftovers(): Promise<string[]> {
  return (await readdir("/dev/shm")).filter((name) => name.startsWith(`barton-ssh-${process.pid}-`));
}

/** The arguments of every ssh on this machine that goes to the destination. */
async function sshArguments(destination: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const calls = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return calls.filter((call) => call.startsWith("ssh\0") && call.includes(`\0${destination}\0`));
}

describe("remote.Command", () => {
  test("runs by the user's shell, and gives both outputs without their last newline", async () => {
    const { values } = await run({ create: "echo one; echo two; echo three >&2; echo $0" });
    expect(values).toMatchObject({ stdout: expect.stringMatching(/^one\ntwo\n\S*sh$/), stderr: "three" });
    expect(lines).toEqual(expect.arrayContaining(["one", "two", "three"]));
  });

  test("takes scripts of many lines, quotes and letters as they are", async () => {
    const script = `# a comment with 'quotes' and "more"\nif true; then\n  echo "größer $HOME" | wc -m\nfi\n`;
    expect((await run({ create: script })).values.stdout).toMatch(/^\d+$/);
  });

  test("passes standard input, to the last byte and no more", async () => {
    expect((await run({ create: "md5sum", stdin: "x".repeat(300_000) })).values.stdout).toBe(
      execFileSync("md5sum", { input: "x".repeat(300_000) })
        .toString()
        .trimEnd(),
    );
    expect((await run({ create: "cat" })).values.stdout).toBe("");
  });

  test("an environment that the server accepts arrives, also the previous outputs", async () => {
    const create = "echo $TRIAL_A $PULUMI_COMMAND_STDOUT";
    const first = await run({ create, environment: { TRIAL_A: "a b" } });
    expect(first.values.stdout).toBe("a b");
    const news = inputs({ create, environment: { TRIAL_A: "c" } });
    const second = await plugin.update(command, "id", { inputs: news, state: first }, news, real);
    expect(second.values.stdout).toBe("c a b");
    const without = inputs({ create, addPreviousOutputInEnv: false });
    expect(
      (await plugin.update(command, "id", { inputs: news, state: second }, without, real)).values.stdout,
    ).toBe("");
  });

  test("a failing command fails the resource, with its output and its status", async () => {
    const failing = run({ create: "echo before; echo trouble >&2; exit 7" });
    await expect(failing).rejects.toThrow(
      /^the command of wait failed with exit status 7:\nbefore\ntrouble$/,
    );
    // 255 is also ssh's own status: it must not be taken for a failed attempt to connect.
    await expect(run({ create: "exit 255" })).rejects.toThrow("exit status 255, without output");
  });

  test("update runs `update`, else `create`; delete runs `delete` or nothing", async () => {
    const file = join(folder, "log");
    const values = { create: `echo c >> ${file}`, update: `echo u >> ${file}`, delete: `echo d >> ${file}` };
    const state = await run(values);
    await plugin.update(command, "id", { inputs: inputs(values), state }, inputs(values), real);
    await plugin.delete(command, "id", { inputs: inputs(values), state }, { timeoutMs: undefined });
    const bare = inputs({ create: values.create });
    await plugin.update(command, "id", { inputs: bare, state }, bare, real);
    await plugin.delete(command, "id", { inputs: bare, state: bare }, { timeoutMs: undefined });
    expect(await readFile(file, "utf8")).toBe("c\nu\nd\nc\n");
  });

  test("a preview runs nothing", async () => {
    const file = join(folder, "touched");
    await plugin.create(command, inputs({ create: `touch ${file}` }), {
      preview: true,
      timeoutMs: undefined,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test("dials again while the machine boots", async () => {
    await sshd.stop();
    const running = run({ create: "echo up" });
    await expect.poll(() => lines.length, eventually).toBeGreaterThanOrEqual(2);
    expect(lines[0]).toMatch(/^attempt 1 to reach the machine failed: .*refused/);
    await sshd.start();
    expect((await running).values.stdout).toBe("up");
  });

  test("gives up after dialErrorLimit and says why", async () => {
    const values = { connection: connection({ dialErrorLimit: 2, port: 1 }), create: "true" };
    const failing = plugin.create(command, { values, secrets: new Set() }, real);
    await expect(failing).rejects.toThrow(/let nobody in within 3 attempts; the last one: .*refused/);
  });

  test("Ctrl-C ends both a command that runs and the waiting for a machine", async () => {
    const running = run({ create: "echo begun; sleep 600" });
    await expect.poll(() => lines, eventually).toContain("begun");
    plugin.cancel();
    await expect(running).rejects.toThrow("cancelled");
    await expect(run({ create: "true" })).rejects.toThrow("cancelled");
  });

  test("refuses a machine that does not have the given host key, and takes the right one", async () => {
    const right = { connection: connection({ hostKey: sshd.hostKey }), create: "echo in" };
    expect(
      (await plugin.create(command, { values: right, secrets: new Set() }, real)).state.values.stdout,
    ).toBe("in");
    const other = `ssh-ed25519 ${Buffer.alloc(51).toString("base64")}`;
    const values = { connection: connection({ hostKey: other, dialErrorLimit: 0 }), create: "true" };
    await expect(plugin.create(command, { values, secrets: new Set() }, real)).rejects.toThrow(
      "let nobody in",
    );
  });
});

describe("secrets", () => {
  test("neither key nor command are in the arguments of ssh, and the key is gone while the command still runs", async () => {
    const go = join(folder, "go");
    const running = run({
      create: `echo begun; until [ -e ${go} ]; do sleep 0.05; done; : hunter-two-hunter`,
    });
    await expect.poll(() => lines, eventually).toContain("begun");
    const calls = await sshArguments(`${sshd.user}@127.0.0.1`);
    expect(calls).toHaveLength(1);
    expect(calls[0]).not.toMatch(/hunter|PRIVATE KEY/);
    await expect.poll(leftovers, eventually).toEqual([]);
    await writeFile(go, "");
    await running;
  });

  test("outputs of a command that is made of a secret are secret; shown lines and errors hide it", async () => {
    const create = "read -r word; echo the word is $word";
    expect((await run({ create })).secrets).toEqual(new Set(["connection"]));
    const { secrets } = await run({ create, stdin: "hunter-two-hunter\n" }, "stdin");
    expect(secrets).toEqual(new Set(["connection", "stdin", "stdout", "stderr"]));
    expect(lines).toContain("the word is [secret]");
    const failing = run({ create: `${create}; exit 1`, stdin: "hunter-two-hunter\n" }, "stdin");
    await expect(failing).rejects.toThrow(/the word is \[secret\]$/);
  });

  test("an output that shows the private key is secret, whatever the command", async () => {
    const { secrets } = await run({ create: `echo '${sshd.privateKey.split("\n")[2]}'` });
    expect(secrets).toContain("stdout");
  });
});

describe("remote.CopyToRemote", () => {
  const copyOf = (source: Value, remotePath: string) =>
    plugin.create(copy, inputs({ source, remotePath }), real);
  const file = (path: string, hash = "1") => ({ ...assetKey, path, hash });

  test("a file: to a path, into a folder, over a file; folders above are made; modes do not travel", async () => {
    const source = join(folder, "it's.bin");
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 256));
    await writeFile(source, content, { mode: 0o755 });
    await copyOf(file(source), join(folder, "new/deep/target"));
    expect(await readFile(join(folder, "new/deep/target"))).toEqual(content);
    expect((await stat(join(folder, "new/deep/target"))).mode & 0o111).toBe(0);
    await copyOf(file(source), join(folder, "new"));
    expect(await readFile(join(folder, "new/it's.bin"))).toEqual(content);
    await writeFile(source, "short");
    await copyOf(file(source), join(folder, "new/deep/target"));
    expect(await readFile(join(folder, "new/deep/target"), "utf8")).toBe("short");
  });

  test("a text: to a path, not into a folder", async () => {
    const text = { ...assetKey, text: "words\n", hash: "1" };
    await copyOf(text, join(folder, "text"));
    expect(await readFile(join(folder, "text"), "utf8")).toBe("words\n");
    await expect(copyOf(text, folder)).rejects.toThrow(/is a folder: a text needs the path of a file/);
  });

  test("a folder: with its name, or with a slash what is in it; over what is there, and never over a file", async () => {
    const source = join(folder, "program");
    await mkdir(join(source, "a/empty"), { recursive: true });
    await writeFile(join(source, "a/one"), "1", { mode: 0o755 });
    await writeFile(join(source, "two words"), "2");
    await symlink("two words", join(source, "link"));
    const archive = (path: string) => ({ ...archiveKey, path, hash: "1" });
    await copyOf(archive(source), join(folder, "target"));
    const listed = async (path: string) => (await readdir(path, { recursive: true })).sort();
    expect(await listed(join(folder, "target/program"))).toEqual([
      "a",
      "a/empty",
      "a/one",
      "link",
      "two words",
    ]);
    expect((await stat(join(folder, "target/program/a/one"))).mode & 0o777).toBe(0o644);
    expect(await readFile(join(folder, "target/program/link"), "utf8")).toBe("2");

    await writeFile(join(source, "a/one"), "changed");
    await mkdir(join(folder, "flat"));
    await writeFile(join(folder, "flat/kept"), "");
    await copyOf(archive(`${source}/`), join(folder, "flat"));
    expect(await listed(join(folder, "flat"))).toEqual([
      "a",
      "a/empty",
      "a/one",
      "kept",
      "link",
      "two words",
    ]);
    await copyOf(archive(source), join(folder, "target"));
    expect(await readFile(join(folder, "target/program/a/one"), "utf8")).toBe("changed");
    await writeFile(join(folder, "file"), "");
    await expect(copyOf(archive(source), join(folder, "file"))).rejects.toThrow("exists and is not a folder");
  });

  test("an update copies when content or target changed, not for another connection", async () => {
    const [source, target] = [join(folder, "source"), join(folder, "target")];
    await writeFile(source, "1");
    const olds = inputs({ source: file(source), remotePath: target });
    const state = (await plugin.create(copy, olds, real)).state;
    await rm(target);
    const moved = { ...olds, values: { ...olds.values, connection: connection({ perDialTimeout: 9 }) } };
    await plugin.update(copy, "id", { inputs: olds, state }, moved, real);
    expect(await readdir(folder)).toEqual(["source"]);
    const changed = inputs({ source: file(source, "2"), remotePath: target });
    await plugin.update(copy, "id", { inputs: olds, state }, changed, real);
    expect(await readFile(target, "utf8")).toBe("1");
  });

  test("a file that is not there is named", async () => {
    await expect(copyOf(file(join(folder, "missing")), folder)).rejects.toThrow(/missing/);
  });
});
