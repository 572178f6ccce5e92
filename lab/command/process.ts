/** Runs one program to its end. Collects its output and shows it line by line. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export interface ProgramRun {
  file: string;
  args: string[];
  env: Record<string, string | undefined>;
  cwd?: string;
  /** Given to its standard input, in this order; without it the input is empty. */
  stdin?: (string | Readable)[];
  /** Called for each complete line of output, while it runs. */
  onLine?: (stream: "stdout" | "stderr", line: string) => void;
  /** Called with each piece of standard output as it comes. */
  onStdout?: (chunk: string) => void;
  /** Aborting ends the program and everything it has started. */
  signal: AbortSignal;
}

export interface ProgramResult {
  /** Exit status; null when a signal ended it. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Both, in the order in which they came. */
  output: string;
}

/** Rejects when the program cannot be started or its input cannot be read; a failing exit status is a result. */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  run.signal.throwIfAborted();
  // A process group of its own, so that ending it also ends what a shell has started.
  const child = spawn(run.file, run.args, { env: run.env, cwd: run.cwd, detached: true, stdio: "pipe" });
  const end = () => endGroup(child);
  run.signal.addEventListener("abort", end);
  const result: ProgramResult = { status: null, signal: null, stdout: "", stderr: "", output: "" };
  for (const stream of ["stdout", "stderr"] as const) collect(child[stream], stream, run, result);
  const exit = new Promise<void>((resolve, reject) => {
    child.once("error", ({ message }) =>
      reject(new Error(`cannot start ${run.file}${place(run)}: ${message}`)),
    );
    child.once("close", (status, signal) => {
      Object.assign(result, { status, signal });
      resolve();
    });
  });
  let inputFailure: unknown;
  const input = feed(child, run.stdin ?? []).catch((error: unknown) => {
    inputFailure = error;
    // Half an input must not look like a whole one.
    endGroup(child);
  });
  try {
    await Promise.all([exit, input]);
  } finally {
    run.signal.removeEventListener("abort", end);
  }
  run.signal.throwIfAborted();
  if (inputFailure) throw inputFailure;
  return result;
}

function place({ cwd }: ProgramRun): string {
  return cwd === undefined ? "" : ` in ${cwd}`;
}

function collect(
  readable: Readable,
  stream: "stdout" | "stderr",
  run: ProgramRun,
  result: ProgramResult,
): void {
  let pending = "";
  readable.setEncoding("utf8");
  readable.on("data", (chunk: string) => {
    result[stream] += chunk;
    result.output += chunk;
    if (stream === "stdout") run.onStdout?.(chunk);
    const lines = (pending + chunk).split("\n");
    pending = lines.pop() ?? "";
    for (const line of lines) run.onLine?.(stream, line);
  });
  readable.on("end", () => pending !== "" && run.onLine?.(stream, pending));
}

/** Rejects when an input cannot be read. A program that does not read its input to the end is none of our business. */
async function feed(child: ChildProcess, inputs: (string | Readable)[]): Promise<void> {
  const { stdin } = child;
  if (!stdin) return;
  stdin.on("error", () => undefined);
  for (const input of inputs) {
    if (typeof input === "string") stdin.write(input);
    else await pour(input, stdin);
  }
  stdin.end();
}

function pour(input: Readable, stdin: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    input.once("error", reject).once("end", resolve);
    stdin.once("close", () => {
      input.destroy();
      resolve();
    });
    input.pipe(stdin, { end: false });
  });
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}
