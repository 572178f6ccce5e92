/**
 * One actor at a time on this machine: the monitor, or a `failover` command while no monitor runs.
 *
 * The lock is an abstract unix socket: the kernel gives the name to one process only and takes it back
 * the moment that process dies, however it dies, so a stale lock cannot exist.
 */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:net";
import type { Clock } from "../clock.ts";

export interface Lock {
  release(): Promise<void>;
}

/** Takes the lock that belongs to `runDir`, or returns undefined when another process holds it. */
export async function tryLock(runDir: string): Promise<Lock | undefined> {
  const server = createServer((socket) => socket.destroy());
  const taken = await listen(server, lockName(runDir));
  if (!taken) return undefined;
  return { release: () => new Promise((done) => server.close(() => done())) };
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

function lockName(runDir: string): string {
  return `\0barton-recovery-${createHash("sha256").update(runDir).digest("hex").slice(0, 16)}`;
}

function listen(server: Server, name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(new Error(`cannot take recovery's lock: ${error.message}`, { cause: error }));
    });
    server.listen(name, () => resolve(true));
  });
}
