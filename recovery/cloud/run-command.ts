/**
 * Child processes that end, whatever they do. Each one gets a session of its own. At its limit it is asked to end (SIGINT);
 * after a grace period all processes of the session are killed: pulumi's language host and plugins have process groups of their
 * own, and a plugin that hangs outlives a pulumi that was killed alone.
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";

/** How long a command may take. */
export interface CommandLimit {
  limitMs: number;
  /** Between the request to end and the kill; without one the kill comes at the limit. */
  graceMs?: number;
}

export interface CommandOptions extends CommandLimit {
  cwd?: string;
  /** Added to this process's environment. */
  env?: Record<string, string | undefined>;
  input?: string;
  stripFinalNewline?: boolean;
  onOutput?: (text: string) => void;
  onError?: (text: string) => void;
  /** When it aborts, the command is asked to end, and killed after the grace period. */
  signal?: AbortSignal;
}

export interface CommandResult {
  ok: boolean;
  stdout: string;
  stderr: string;
  exitCode: number | undefined;
  /** It did not end by itself. */
  isCut: boolean;
  /** Why it failed, in words that follow its name; undefined when it did not. */
  why?: string;
}

/** How long the children of a process that has ended may keep its output open. */
const strayMs = 1_000;
/** A process that the kernel does not let go of (a dead network file system) is not waited for any longer than this. */
const abandonMs = 5_000;

/** Runs a command to its end, which comes at the latest some seconds after `limitMs` and `graceMs`. Never rejects. */
export async function runCommand(
  file: string,
  args: string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const { cwd, env, input = "", stripFinalNewline, onOutput, onError } = options;
  const fixed = { detached: true, reject: false } as const;
  const child = execa(file, args, { cwd, env, input, stripFinalNewline, ...fixed });
  child.stdout?.on("data", (data) => onOutput?.(String(data)));
  child.stderr?.on("data", (data) => onError?.(String(data)));
  const over = new AbortController();
  const fate: Fate = {};
  const abandoned = seeToItsEnd(child, fate, options, over.signal);
  const result = await Promise.race([child, abandoned]);
  over.abort();
  const { stdout = "", stderr = "", exitCode, failed = true, shortMessage = "failed" } = result ?? {};
  // What it has left behind would go on changing the cloud, beside the run that follows.
  if (failed && child.pid !== undefined) killSession(child.pid);
  const why = fate.why ?? (failed ? shortMessage : undefined);
  return { ok: why === undefined, stdout, stderr, exitCode, isCut: fate.why !== undefined, why };
}

/** Why the command was ended by us, if it was. */
interface Fate {
  why?: string;
}

type Child = Pick<ReturnType<typeof execa>, "pid" | "kill" | "once">;

/** Ends the command when it is time. Resolves only when not even a kill has ended it; `over`: it has ended. */
async function seeToItsEnd(
  child: Child,
  fate: Fate,
  { limitMs, graceMs = 0, signal }: CommandOptions,
  over: AbortSignal,
): Promise<undefined> {
  const early = new AbortController();
  signal?.addEventListener("abort", () => early.abort(), { signal: over });
  if (signal?.aborted) early.abort();
  // Killed by somebody else: its children may keep its output open.
  const isDead = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void isDead.then(() => sleep(Math.max(strayMs, graceMs), over)).then(() => killIfNotOver(child, over));
  await sleep(limitMs, AbortSignal.any([over, early.signal]));
  if (!over.aborted) {
    fate.why = early.signal.aborted
      ? "was interrupted, because recovery stops"
      : `did not end within ${limitMs / 1_000} s and was killed`;
    if (graceMs > 0) child.kill("SIGINT");
    await sleep(graceMs, over);
    killIfNotOver(child, over);
  }
  await sleep(abandonMs, over);
  return over.aborted ? new Promise(() => {}) : undefined;
}

function killIfNotOver(child: Child, over: AbortSignal): void {
  if (!over.aborted && child.pid !== undefined) killSession(child.pid);
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** Kills all processes of a session, those that are started meanwhile included. */
function killSession(session: number): void {
  for (let pass = 0; pass < passesMax; pass += 1) {
    const members = membersOf(session);
    if (members.length === 0) return;
    for (const pid of members) kill(pid);
  }
}

/** A process that is killed may have started another one a moment before. */
const passesMax = 100;

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

/** The living processes of a session (setsid); dead ones that nobody has waited for do not count. */
export function membersOf(session: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const process = processOf(pid);
      return process?.session === session && !process.isDead;
    });
}

/** What the kernel says of a process; undefined when there is none with this id. */
export function processOf(pid: number): { command: string; session: number; isDead: boolean } | undefined {
  try {
    // "pid (command) state parent group session …"; the command may itself contain parentheses and spaces.
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const end = text.lastIndexOf(")");
    const [state = "", , , session] = text.slice(end + 2).split(" ");
    const command = text.slice(text.indexOf("(") + 1, end);
    return { command, session: Number(session), isDead: state === "Z" || state === "X" };
  } catch {
    return undefined;
  }
}
