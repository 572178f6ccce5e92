/** Runs commands inside machines: as root through the host, or over ssh like an engineer. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { execa } from "execa";
import { insideNetwork, type Lab, LabError } from "./lab.ts";
import { machineNamed, runningMachine } from "./machines.ts";

/** What a login as root would have. */
const environment = [
  "HOME=/root",
  "USER=root",
  "LOGNAME=root",
  "SHELL=/bin/bash",
  "LANG=C.UTF-8",
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
];

/**
 * The command line that runs `command` as root inside a machine, through the kernel's namespaces: it needs neither
 * the machine's network nor its sshd. `terminal`: with a terminal of the machine's own.
 */
export function execCommand(leader: number, command: readonly string[], terminal: boolean): string[] {
  const enter = [
    "nsenter",
    `--target=${leader}`,
    "--mount",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--cgroup",
    "--root",
  ];
  const variables = terminal ? [...environment, `TERM=${process.env.TERM ?? "linux"}`] : environment;
  const login = ["/usr/bin/env", "--ignore-environment", "--chdir=/root", ...variables];
  const wanted = terminal
    ? ["script", "--quiet", "--return", "--command", command.map(shellQuoted).join(" "), "/dev/null"]
    : command;
  return [...enter, "--", ...login, ...wanted];
}

/** A word as a shell reads it back unchanged. */
export function shellQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Runs a command in a machine with this process' own input and output; gives its exit status. */
export async function execInMachine(lab: Lab, name: string, command: readonly string[]): Promise<number> {
  const { leader } = runningMachine(lab, name);
  const terminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  return passThrough(execCommand(leader, command, terminal));
}

/** What a command in a machine prints; undefined when it fails or takes longer than `timeoutMs`. */
export async function askMachine(
  lab: Lab,
  name: string,
  command: readonly string[],
  timeoutMs: number,
): Promise<string | undefined> {
  const { leader } = runningMachine(lab, name);
  const [file = "", ...args] = execCommand(leader, ["timeout", String(timeoutMs / 1000), ...command], false);
  const { exitCode, stdout } = await execa(file, args, { reject: false, stdin: "ignore" });
  return exitCode === 0 ? stdout : undefined;
}

/** ssh into a machine as its admin user, with the lab's key; gives ssh's exit status. */
export async function sshToMachine(lab: Lab, name: string, args: readonly string[]): Promise<number> {
  const machine = machineNamed(lab, name);
  if (machine.state !== "running") throw new LabError(`${name} is ${machine.state}.`);
  const options = [
    ...["-i", lab.sshKey, "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"],
    // Machines come and go on the same addresses, and the network is this host's own.
    ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
    ...["-o", "ConnectTimeout=10"],
  ];
  return passThrough(insideNetwork(lab, ["ssh", ...options, `admin@${machine.address}`, "--", ...args]));
}

/** Runs a command as if it had replaced this process: its streams, the signals sent to this one, its exit status. */
async function passThrough(command: readonly string[]): Promise<number> {
  const [file = "", ...args] = command;
  const child = spawn(file, args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
    process.on(signal, () => forward(child, signal));
  }
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new LabError(`${file} could not be started: ${error.message}`)));
    child.on("close", (code, signal) => resolve(code ?? 128 + (constants.signals[signal ?? "SIGKILL"] ?? 0)));
  });
}

/** nsenter waits for a child of its own and hands on no signals; a terminal's Ctrl-C has reached it already. */
function forward(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || (signal === "SIGINT" && process.stdin.isTTY)) return;
  const targets = childrenOf(child.pid);
  for (const pid of targets.length > 0 ? targets : [child.pid]) {
    try {
      process.kill(pid, signal);
    } catch {
      // Ended in the meantime.
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
        .trim()
        .split(/\s+/)
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return [];
  }
}
