/**
 * Runs a command on another machine over the system's ssh, and tries again while the machine boots.
 *
 * The private key and the command (which may hold secrets) are never arguments, because everybody on this machine could read
 * them. The key is a file in memory (0600) that is removed as soon as the login has succeeded. The command goes over standard
 * input.
 */
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Door } from "./door.ts";
import { type ProgramResult, runProgram } from "./process.ts";

export interface Connection {
  host: string;
  user: string;
  port: number;
  privateKey?: string;
  agentSocketPath?: string;
  /** Without it any host key is accepted, as the official plugin does. */
  hostKey?: string;
  /** Failed attempts before giving up; -1 for no limit. */
  dialErrorLimit: number;
  /** Seconds for one attempt; 0 for no limit. */
  perDialTimeout: number;
}

export interface RemoteRun {
  connection: Connection;
  command: string;
  /** Sent to the command's standard input; called again for each attempt. */
  stdin?: () => (string | Readable)[];
  /** Only what the server's AcceptEnv lets in arrives, as with the official plugin. */
  environment?: Record<string, string>;
  onLine?: (stream: "stdout" | "stderr", line: string) => void;
  /** Called for each failed attempt that will be followed by another. */
  onRetry?: (attempt: number, reason: string) => void;
  signal: AbortSignal;
}

/** Between attempts, in milliseconds: 100, 150, 225… up to 5 s, as the official plugin waits. */
const delays = { firstMs: 100, factor: 1.5, maxMs: 5000 };
/** For what follows the handshake (log-in): a machine that is that slow is dialled again. */
const loginTimeoutMs = 60_000;

/** The command's result; rejects when the machine cannot be reached within the connection's limits. */
export async function runRemote(run: RemoteRun): Promise<ProgramResult> {
  const { dialErrorLimit } = run.connection;
  let delayMs = delays.firstMs;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await dial(run);
    if (outcome.result) return outcome.result;
    if (dialErrorLimit >= 0 && attempt > dialErrorLimit)
      throw unreachable(run.connection, attempt, outcome.reason);
    run.onRetry?.(attempt, outcome.reason);
    await nextChance(run.connection, delayMs, run.signal);
    delayMs = Math.min(Math.round(delayMs * delays.factor), delays.maxMs);
  }
}

/**
 * Waits, but no longer than until the port opens, if it is closed: a machine that boots is then used at once, and not
 * up to five seconds later. With an open port (no log-in yet) the whole delay is waited.
 */
async function nextChance({ host, port }: Connection, delayMs: number, signal: AbortSignal): Promise<void> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(delayMs)]);
  let wasClosed = false;
  while (!over.aborted) {
    const isOpen = await accepts(host, port, over);
    if (isOpen && wasClosed) return;
    wasClosed ||= !isOpen;
    await sleep(isOpen ? delayMs : 200, undefined, { signal: over }).catch(() => undefined);
  }
  signal.throwIfAborted();
}

/** Whether somebody accepts a connection within a second. */
async function accepts(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, "connect", { signal: AbortSignal.any([signal, AbortSignal.timeout(1000)]) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function unreachable({ user, host, port }: Connection, attempts: number, reason: string): Error {
  return new Error(
    `${user}@${host} port ${port} let nobody in within ${attempts} attempts; the last one: ${reason}. ` +
      "Does the machine run, does its security group let ssh in from here, and has it the right public key?",
  );
}

type Outcome = { result: ProgramResult } | { result?: undefined; reason: string };

/** One attempt. The command prints a mark before it begins: without it, nobody was let in. */
async function dial(run: RemoteRun): Promise<Outcome> {
  const folder = await mkdtemp(join(memoryFolder(), `barton-ssh-${process.pid}-`));
  const login = new AbortController();
  const timer =
    run.connection.perDialTimeout > 0 ? setTimeout(() => login.abort(), loginTimeoutMs) : undefined;
  let removed: Promise<void> | undefined;
  const removeKey = () => {
    removed ??= rm(folder, { recursive: true, force: true });
    return removed;
  };
  const door = new Door(run.onLine, () => {
    clearTimeout(timer);
    void removeKey();
  });
  try {
    const { args, env } = await sshCall(run, folder);
    const result = await runProgram({
      file: "ssh",
      args: [...args, bootstrap(door.mark, run.command)],
      env,
      stdin: [run.command, ...(run.stdin?.() ?? [])],
      onLine: (stream, line) => door.line(stream, line),
      onStdout: (chunk) => door.look(chunk),
      signal: AbortSignal.any([run.signal, login.signal]),
    });
    return door.isOpen ? { result: door.withoutMark(result) } : { reason: reasonOf(result) };
  } catch (error) {
    run.signal.throwIfAborted();
    if (login.signal.aborted) return { reason: `no log-in within ${loginTimeoutMs / 1000} s` };
    throw error;
  } finally {
    clearTimeout(timer);
    await removeKey();
  }
}

/**
 * What ssh is told to run: print the mark, take the real command from the first bytes of standard input, and run
 * it by the user's shell, as sshd would; the rest of standard input is the command's.
 */
function bootstrap(mark: string, command: string): string {
  return `printf %s '${mark}'; c=$(head -c ${Buffer.byteLength(command)}) && exec "\${SHELL:-/bin/sh}" -c "$c"`;
}

async function sshCall(
  { connection, environment = {} }: RemoteRun,
  folder: string,
): Promise<{ args: string[]; env: Record<string, string | undefined> }> {
  const { host, user, port, privateKey, agentSocketPath, hostKey, perDialTimeout } = connection;
  const knownHosts = join(folder, "known_hosts");
  const keyFile = join(folder, "key");
  // Machines are made and replaced by this very program, so nobody could have known their keys before, and an
  // address that is used again must not be refused: a known_hosts for one connection, which takes what comes.
  if (hostKey) await writeFile(knownHosts, `${port === 22 ? host : `[${host}]:${port}`} ${hostKey}\n`);
  if (privateKey) await writeFile(keyFile, `${privateKey.trimEnd()}\n`, { mode: 0o600 });
  const options = [
    "BatchMode=yes",
    `StrictHostKeyChecking=${hostKey ? "yes" : "accept-new"}`,
    `UserKnownHostsFile=${knownHosts}`,
    "GlobalKnownHostsFile=/dev/null",
    ...(privateKey ? ["IdentitiesOnly=yes", `IdentityFile=${keyFile}`] : []),
    ...(perDialTimeout > 0 ? [`ConnectTimeout=${perDialTimeout}`] : []),
    // A machine that vanishes under a command is noticed within a minute.
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
    // OpenSSH's first choice withstands quantum computers and costs 0.1 s of processor time for each connection.
    "KexAlgorithms=^curve25519-sha256",
    ...Object.keys(environment).map((name) => `SendEnv=${name}`),
  ];
  return {
    args: [
      "-F",
      "none",
      "-T",
      "-p",
      String(port),
      ...options.flatMap((option) => ["-o", option]),
      `${user}@${host}`,
    ],
    env: { ...process.env, ...environment, ...(agentSocketPath ? { SSH_AUTH_SOCK: agentSocketPath } : {}) },
  };
}

/** Memory rather than disk, so that a key that could not be removed in time is gone with the next start. */
function memoryFolder(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    return tmpdir();
  }
}

function reasonOf({ stderr, status, signal }: ProgramResult): string {
  const last = stderr.trim().split("\n").at(-1);
  return last ? last.trim() : `ssh ended with ${signal ?? `status ${status}`}`;
}
