/** Reads what Pulumi reports about locks, and repairs a state that a killed run left behind. */
import { hostname } from "node:os";
import { processOf } from "./run-command.ts";

/** True if this error of the CLI says that the stack is locked. */
export function isLocked(errorText: string): boolean {
  return /the stack is currently locked by \d+ lock/.test(errorText);
}

/** Why an `up` failed, in a line or two: each of Pulumi's errors once, without the rest of its output. */
export function whyUpFailed(errorText: string): string {
  if (isLocked(errorText)) return errorText;
  const errors = [...errorText.matchAll(/\berror: (.+)/g)].map(([, text = ""]) => text.trim());
  const causes = new Set(errors.filter((text) => !/^(update failed|preview failed)$/.test(text)));
  return causes.size > 0 ? `pulumi up: ${[...causes].join("; ")}` : errorText;
}

interface LockHolder {
  host: string;
  pid: number;
}

/**
 * True if dead runs on this machine left all the locks that the error names. A lock of another machine is never stale:
 * somebody may be at work there.
 *
 * @param isRunning whether a pulumi process with that id runs here.
 */
export function isStaleLock(errorText: string, host = hostname(), isRunning = isPulumiRunning): boolean {
  const holders = holdersOf(errorText);
  return holders.length > 0 && holders.every((holder) => holder.host === host && !isRunning(holder.pid));
}

function holdersOf(errorText: string): LockHolder[] {
  const found = errorText.matchAll(/created by \S*@(\S+) \(pid (\d+)\)/g);
  return [...found].map(([, host = "", pid]) => ({ host, pid: Number(pid) }));
}

/** Checks the name, too: after a reboot another process may have the same id. */
function isPulumiRunning(pid: number): boolean {
  const process = processOf(pid);
  return process !== undefined && !process.isDead && process.command.startsWith("pulumi");
}

interface ExportedState {
  deployment?: { pending_operations?: unknown[] };
}

/**
 * The state without the operations that a killed run left pending, or undefined if there are none. If a pending creation
 * made an instance, recovery finds it by its tags and powers it off after the next `up`.
 */
export function withoutPendingOperations<State extends ExportedState>(state: State): State | undefined {
  if (!state.deployment?.pending_operations?.length) return undefined;
  return { ...state, deployment: { ...state.deployment, pending_operations: [] } };
}
