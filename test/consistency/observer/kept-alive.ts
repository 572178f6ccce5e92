/** A process beside a machine that is started anew when it ends or when the machine is a new one, until it is stopped. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type Lab, LabError } from "../../../lab/lab.ts";
import { runningMachine } from "../../../lab/machines.ts";

/** How long to wait before looking for the machine again, in milliseconds. */
const pauseMs = 500;

export interface KeptAlive {
  lab: Lab;
  machine: string;
  /** The command line, for the host's pid of the machine's systemd; `again`: it has run before. */
  command: (leader: number, again: boolean) => string[];
  env?: NodeJS.ProcessEnv;
  onLine: (line: string) => void;
}

/** Runs the process until `signal` aborts. */
export async function keepAlive(options: KeptAlive, signal: AbortSignal): Promise<void> {
  for (let again = false; !signal.aborted; ) {
    const leader = leaderOf(options);
    if (leader !== undefined) {
      await runOnce(options, options.command(leader, again), leader, signal);
      again = true;
    }
    await delay(pauseMs, undefined, { signal }).catch(() => {});
  }
}

function leaderOf({ lab, machine }: KeptAlive): number | undefined {
  try {
    return runningMachine(lab, machine).leader;
  } catch (error) {
    if (error instanceof LabError) return undefined;
    throw error;
  }
}

async function runOnce(
  options: KeptAlive,
  [file = "", ...args]: string[],
  leader: number,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...options.env },
    detached: true,
  });
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    child.on("error", () => resolve());
  });
  createInterface({ input: child.stdout }).on("line", options.onLine);
  // A process that only shares the machine's network does not end with it.
  const watch = setInterval(() => {
    if (leaderOf(options) !== leader) endGroup(child);
  }, 1000);
  const stop = () => endGroup(child);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  await ended;
  clearInterval(watch);
  signal.removeEventListener("abort", stop);
}

/** Ends the child and what nsenter has started for it: they are a process group of their own. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Ended in the meantime.
  }
}
