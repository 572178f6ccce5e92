/**
 * Processes, identified by pid *and* start time. So a new process that got an old pid is never mistaken for the former one.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

export type ProcessId = { pid: number; startTime: string };

/** Field 22 of /proc/PID/stat: clock ticks after boot. Undefined when there is no such process (or a zombie). */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field, the command's name in parentheses, may contain spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The process that has this pid now. Undefined when it has ended. */
export function processNow(pid: number): ProcessId | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive(process: ProcessId): boolean {
  return startTimeOf(process.pid) === process.startTime;
}

/**
 * Whether a process that was killed is really gone, with all of its threads: only then are its sockets closed. Between the
 * kill and that, which a busy machine draws out, it still seems to accept connections.
 */
export function hasEnded(process: ProcessId): boolean {
  // A leader that is a zombie may still have threads: then the pid cannot have been given to somebody else.
  if (![undefined, process.startTime].includes(startTimeOf(process.pid))) return true;
  try {
    return readdirSync(`/proc/${process.pid}/task`).every(
      (thread) => startTimeOf(Number(thread)) === undefined,
    );
  } catch {
    return true;
  }
}

/** Sends a signal to the process that was meant; false when it has ended. */
export function signalProcess({ pid, startTime }: ProcessId, signal: NodeJS.Signals | number): boolean {
  if (startTimeOf(pid) !== startTime) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** All pids of the host, in no order. */
export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The pid that a process has in the innermost pid namespace it belongs to: 1 for the init of a machine. */
export function innermostPid(pid: number): number | undefined {
  const line = statusField(pid, "NSpid");
  return line === undefined ? undefined : Number(line.split(/\s+/).at(-1));
}

/** How many pid namespaces deep a process is; 1 on the host itself. */
export function pidDepth(pid: number): number {
  return statusField(pid, "NSpid")?.split(/\s+/).length ?? 0;
}

/** A line of /proc/PID/status, e.g. `PPid`. */
export function statusField(pid: number, name: string): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return status.match(new RegExp(`^${name}:\\s*(.*)$`, "m"))?.[1];
  } catch {
    return undefined;
  }
}

/** Name of the program as the kernel has it (15 characters at most). */
export function commandName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Inode of the network namespace that a process is in. */
export function netnsInode(pid: number): number | undefined {
  try {
    return Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[1]);
  } catch {
    return undefined;
  }
}

/** Inode of the network namespace that is mounted at `path`; undefined when there is none, or only a plain file. */
export function netnsInodeAt(path: string): number | undefined {
  try {
    const { dev, ino } = statSync(path);
    return dev === statSync("/proc/self/ns/net").dev ? ino : undefined;
  } catch {
    return undefined;
  }
}
