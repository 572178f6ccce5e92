/**
 * One actor at a time on this machine: the monitor, or a `failover` command while no monitor runs.
 *
 * The lock is an flock on a file that only root can open, so nobody else can take it. Node has no flock: a child holds it, for as
 * long as its standard input is open, which the kernel closes the moment this process dies, however it dies. So a stale lock
 * cannot exist.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, open, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { type Clock, systemClock, within } from "../clock.ts";

export interface Lock {
  release(): Promise<void>;
  /** Aborts when the lock is gone although nobody has released it: somebody has killed the child. Stop acting then. */
  lost: AbortSignal;
}

/** flock's exit status when another process has the lock; no other failure has it. */
const conflict = 75;
/** Neither taking nor releasing waits for anything. */
const answerMs = 5_000;

/**
 * Takes the lock in the folder `runDir`, or returns undefined when another process holds it.
 *
 * @throws when the folder belongs to somebody else, or flock (util-linux) cannot run.
 */
export async function tryLock(runDir: string): Promise<Lock | undefined> {
  const holder = holdLock(await lockFile(runDir));
  const answer = await within(systemClock, answerMs, answerOf(holder), "no answer");
  if (answer === "locked") return lockOf(holder);
  holder.kill("SIGKILL");
  if (answer === conflict) return undefined;
  throw new Error(`cannot take recovery's lock in ${runDir}: flock: ${answer}`);
}

/** Waits for the lock, calling `onWait` once when somebody else has it; undefined when `signal` aborts. */
export async function waitForLock(
  runDir: string,
  clock: Clock,
  onWait: () => void,
  signal?: AbortSignal,
): Promise<Lock | undefined> {
  for (let told = false; !signal?.aborted; told = true) {
    const lock = await tryLock(runDir);
    if (lock) return lock;
    if (!told) onWait();
    await clock.sleep(500, signal);
  }
  return undefined;
}

/** The file in its folder, both root's own: whoever can open the file, even to read it, could take the lock. */
async function lockFile(runDir: string): Promise<string> {
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  const { uid } = await stat(runDir);
  if (uid !== process.getuid?.()) {
    throw new Error(`cannot take recovery's lock: ${runDir} belongs to user ${uid}; remove that folder`);
  }
  await chmod(runDir, 0o700);
  const path = join(runDir, "lock");
  const file = await open(path, "a", 0o600);
  await file.chmod(0o600);
  await file.close();
  return path;
}

type Holder = ChildProcessByStdio<Writable, Readable, Readable>;

/** In a session of its own: a Ctrl-C at the terminal must not end it before us. */
function holdLock(path: string): Holder {
  const holds = ["sh", "-c", "echo locked; exec cat >/dev/null"];
  const args = ["--nonblock", "--no-fork", "--conflict-exit-code", String(conflict), path, ...holds];
  return spawn("flock", args, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
}

/** "locked", flock's exit status, or what it says. */
async function answerOf(holder: Holder): Promise<"locked" | number | string> {
  let said = "";
  holder.stderr.on("data", (data) => {
    said += data;
  });
  // A holder that has ended takes no input; that is seen by its exit.
  holder.stdin.on("error", () => {});
  const isLocked = once(holder.stdout, "data").then(() => "locked" as const);
  const ended = once(holder, "close").then(([status]) => (status === conflict ? conflict : said.trim()));
  isLocked.catch(() => {});
  return Promise.race([isLocked, ended]).catch((error: Error) => error.message);
}

function lockOf(holder: Holder): Lock {
  const lost = new AbortController();
  const ended = once(holder, "exit");
  let isReleased = false;
  void ended.then(() => isReleased || lost.abort());
  return {
    lost: lost.signal,
    async release() {
      isReleased = true;
      holder.stdin.end();
      if ((await within(systemClock, answerMs, ended, undefined)) === undefined) holder.kill("SIGKILL");
    },
  };
}
