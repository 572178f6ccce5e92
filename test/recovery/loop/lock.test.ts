import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { chmod, mkdir, readdir, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { membersOf } from "../../../recovery/cloud/run-command.ts";
import { tryLock, waitForLock } from "../../../recovery/loop/lock.ts";

/** The one that the package brings: another may not run TypeScript. */
const node = resolve(import.meta.dirname, "../../../node_modules/.bin/node");
let folder: string;
let runDir: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "barton-lock-"));
  // As /run: everybody may enter it.
  await chmod(folder, 0o755);
  runDir = join(folder, "barton");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("one holder at a time; released, it can be taken again", async () => {
  const lock = await tryLock(runDir);
  expect(lock).toBeDefined();
  expect(await tryLock(runDir)).toBeUndefined();
  const other = await tryLock(`${runDir}-other`);
  expect(other).toBeDefined();
  await other?.release();
  await lock?.release();
  expect(lock?.lost.aborted).toBe(false);
  const again = await tryLock(runDir);
  expect(again).toBeDefined();
  await again?.release();
});

/** Another process that holds the lock, in a process group of its own, as at a terminal. */
async function startHolder(): Promise<ChildProcess> {
  const module = resolve(import.meta.dirname, "../../../recovery/loop/lock.ts");
  const code = `import { tryLock } from ${JSON.stringify(module)};
    process.on("SIGINT", () => console.log("interrupted"));
    if (await tryLock(${JSON.stringify(runDir)})) console.log("held");`;
  const holder = spawn(node, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  if (holder.stdout) await once(holder.stdout, "data");
  return holder;
}

test("a holder that is killed leaves nothing behind", async () => {
  const holder = await startHolder();
  expect(await tryLock(runDir)).toBeUndefined();
  holder.kill("SIGKILL");
  let waited = 0;
  const lock = await waitForLock(runDir, systemClock, () => {
    waited += 1;
  });
  expect(waited).toBeLessThanOrEqual(1);
  await lock?.release();
});

test("a Ctrl-C, which every process of the terminal gets, does not release it before the holder has ended", async () => {
  const holder = await startHolder();
  process.kill(-(holder.pid ?? 0), "SIGINT");
  if (holder.stdout) await once(holder.stdout, "data");
  expect(await tryLock(runDir)).toBeUndefined();
  holder.kill("SIGKILL");
  const lock = await waitForLock(runDir, systemClock, () => {});
  expect(lock).toBeDefined();
  await lock?.release();
});

/** The processes that have a file open. */
async function whoHasOpen(path: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const files = pids.map(async (pid) => {
    const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
    return Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  });
  const open = await Promise.all(files);
  return pids.filter((_, position) => open[position]?.includes(path)).map(Number);
}

test("who loses it is told", async () => {
  const lock = await tryLock(runDir);
  const pids = await whoHasOpen(join(runDir, "lock"));
  expect(pids).toHaveLength(1);
  expect(membersOf(pids[0] ?? 0)).toEqual(pids);
  process.kill(pids[0] ?? 0, "SIGKILL");
  await expect.poll(() => lock?.lost.aborted).toBe(true);
  await lock?.release();
});

const asNobody = (file: string, ...args: string[]) =>
  execa(file, args, { uid: 65_534, gid: 65_534, reject: false });

test.skipIf(process.getuid?.() !== 0)("an unprivileged user can neither take nor block it", async () => {
  // A folder that an older version has made for everybody.
  await mkdir(runDir, { mode: 0o755 });
  const first = await tryLock(runDir);
  await first?.release();
  expect((await stat(runDir)).mode & 0o777).toBe(0o700);
  expect((await stat(join(runDir, "lock"))).mode & 0o777).toBe(0o600);
  expect((await asNobody("flock", "--nonblock", join(runDir, "lock"), "true")).exitCode).not.toBe(0);
  // Nor where the folder can be entered.
  await chmod(runDir, 0o755);
  const blocking = await asNobody("flock", "--nonblock", join(runDir, "lock"), "true");
  expect(blocking.stderr).toMatch(/Permission denied/);
  const lock = await tryLock(runDir);
  expect(lock).toBeDefined();
  await lock?.release();
});

test.skipIf(process.getuid?.() !== 0)("a folder that somebody else has made is refused", async () => {
  await chmod(folder, 0o777);
  await asNobody("mkdir", runDir);
  await expect(tryLock(runDir)).rejects.toThrow(/belongs to user 65534; remove that folder$/);
});
