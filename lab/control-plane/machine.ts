/**
 * One machine on the host: its root file system (an overlay), and the systemd-nspawn that boots it.
 *
 * A machine does not die with the control plane. A shell is the parent of nspawn and writes down how nspawn ended, so a control
 * plane that was away meanwhile still learns it.
 */
import { spawn } from "node:child_process";
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Lab, machineNetns } from "../lab.ts";
import { cgroupPids, makeCgroup, removeCgroup } from "./cgroups.ts";
import { diskFiles, emptyDisk, hasDisk, makeDisk, mountDisk } from "./disk.ts";
import { innermostPid, type ProcessId, pidDepth, processNow, signalProcess } from "./processes.ts";
import { run } from "./system.ts";

/** Paths and names of a machine. */
export function machineFiles(lab: Lab, instanceId: string) {
  const dir = join(lab.instancesDir, instanceId);
  const writable = hasDisk(dir) ? diskFiles(dir).mountPoint : dir;
  return {
    dir,
    /** What the machine wrote: the topmost layer of its root. */
    upper: join(writable, "upper"),
    work: join(writable, "work"),
    /** Where its root is mounted while it is on. */
    root: join(dir, "root"),
    seed: join(dir, "seed"),
    /** Exit status of nspawn, written when the machine has ended. */
    exit: join(dir, "exit"),
    console: join(dir, "console.log"),
    netns: machineNetns(lab, instanceId),
    cgroup: `${lab.cgroup}/${instanceId}`,
  };
}

export type BootOptions = {
  hostname: string;
  /** Lower layers of the root, the topmost first. */
  layers: readonly string[];
  /** Size of its root volume; without one it shares the host's disk. In GiB. */
  diskGiB?: number;
  /** Folders of the host that the machine sees, writable, at the same path. */
  sharedFolders: readonly string[];
};

/** How long a machine may take from nspawn's start to the first process of its own, in milliseconds. */
const leaderDeadlineMs = 10_000;

/**
 * Boots the machine: root mounted, network namespace there (see network.ts), seed written. Gives the process that
 * stands over it, once its systemd runs. Throws with the end of the console when nspawn gives up.
 */
export async function bootMachine(lab: Lab, instanceId: string, options: BootOptions): Promise<ProcessId> {
  await ensureDisk(lab, instanceId, options.diskGiB);
  const files = machineFiles(lab, instanceId);
  await mountRoot(files, options.layers);
  rmSync(files.exit, { force: true });
  const cgroups = makeCgroup(files.cgroup);
  const console = openSync(files.console, "a", 0o600);
  try {
    const child = spawn(
      "/bin/sh",
      ["-c", overseer, "overseer", files.exit, cgroups.join(" "), ...nspawn(files, instanceId, options)],
      {
        detached: true,
        stdio: ["ignore", console, console],
        cwd: "/",
        env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8", SYSTEMD_NSPAWN_API_VFS_WRITABLE: "network" },
      },
    );
    child.on("error", () => {}); // seen below: there is no pid
    child.unref();
    const overseerProcess = child.pid === undefined ? undefined : processNow(child.pid);
    if (overseerProcess === undefined) throw new Error("/bin/sh could not be started");
    await untilLeader(lab, instanceId, overseerProcess);
    return overseerProcess;
  } finally {
    closeSync(console);
  }
}

/** Enters the machine's cgroups, runs nspawn, and leaves its exit status in a file. */
const overseer = `exit_file=$1; for group in $2; do echo $$ >"$group/cgroup.procs" || exit 1; done; shift 2
"$@"; echo $? >"$exit_file.new"; mv "$exit_file.new" "$exit_file"`;

function nspawn(files: ReturnType<typeof machineFiles>, instanceId: string, options: BootOptions): string[] {
  return [
    "systemd-nspawn",
    ...["--quiet", "--boot", "--register=no", "--keep-unit", "--console=read-only"],
    ...["--link-journal=no", "--resolv-conf=off", "--timezone=off"],
    `--directory=${files.root}`,
    `--machine=${instanceId}`,
    `--hostname=${options.hostname}`,
    `--network-namespace-path=/run/netns/${files.netns}`,
    // nspawn leaves it out for a namespace that it has not made itself; networkd needs it.
    "--capability=CAP_NET_ADMIN",
    `--bind-ro=${files.seed}:/run/cloud-seed`,
    ...options.sharedFolders.map((folder) => `--bind=${folder}`),
  ];
}

async function untilLeader(lab: Lab, instanceId: string, overseerProcess: ProcessId): Promise<void> {
  const deadline = performance.now() + leaderDeadlineMs;
  while (leaderOf(lab, instanceId) === undefined) {
    const ended = processNow(overseerProcess.pid)?.startTime !== overseerProcess.startTime;
    if (ended || performance.now() > deadline) {
      const why = ended ? "systemd-nspawn ended" : `nothing runs in it after ${leaderDeadlineMs} ms`;
      throw new Error(
        `${instanceId} does not boot: ${why}. The end of its console:\n${consoleTail(lab, instanceId)}`,
      );
    }
    await delay(10);
  }
}

/** The last lines of a machine's console. */
export function consoleTail(lab: Lab, instanceId: string, lines = 15): string {
  const file = machineFiles(lab, instanceId).console;
  return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n") : "";
}

/** nspawn's exit status of the last time the machine was on; undefined when it was killed (or is on). */
export function exitStatus(lab: Lab, instanceId: string): number | undefined {
  try {
    return Number(readFileSync(machineFiles(lab, instanceId).exit, "utf8"));
  } catch {
    return undefined;
  }
}

/** Host pid of the machine's first process (its systemd), or undefined while it is off. */
export function leaderOf(lab: Lab, instanceId: string): ProcessId | undefined {
  const pids = cgroupPids(machineFiles(lab, instanceId).cgroup);
  const leader = pids.find((pid) => innermostPid(pid) === 1 && pidDepth(pid) > 1);
  return leader === undefined ? undefined : processNow(leader);
}

/** SIGRTMIN+4: systemd's signal for an orderly power-off. False when the machine is off already. */
export function askToPowerOff(lab: Lab, instanceId: string): boolean {
  const sigrtminPlus4 = 38; // SIGRTMIN as glibc has it, 34
  const leader = leaderOf(lab, instanceId);
  return leader !== undefined && signalProcess(leader, sigrtminPlus4);
}

/** Kills everything in the machine, nspawn included, and waits until all of it is gone. */
export async function killMachine(lab: Lab, instanceId: string): Promise<void> {
  const { cgroup } = machineFiles(lab, instanceId);
  const leader = leaderOf(lab, instanceId);
  // The kernel ends everything in the machine with its first process.
  if (leader !== undefined) signalProcess(leader, "SIGKILL");
  const deadline = performance.now() + 10_000;
  for (let pids = cgroupPids(cgroup); pids.length > 0; pids = cgroupPids(cgroup)) {
    if (performance.now() > deadline)
      throw new Error(`${instanceId} does not end: its processes ${pids.join(", ")} survive SIGKILL`);
    await delay(10);
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Gone in the meantime.
      }
    }
  }
}

type Files = ReturnType<typeof machineFiles>;

/** A new machine gets its volume; one that has written elsewhere already stays there. */
async function ensureDisk(lab: Lab, instanceId: string, gibibytes: number | undefined): Promise<void> {
  const { dir, upper, console } = machineFiles(lab, instanceId);
  if (gibibytes !== undefined && !hasDisk(dir) && !existsSync(upper)) {
    await makeDisk(dir, gibibytes).catch((error: Error) =>
      appendFileSync(console, `This machine writes to the host's disk: ${error.message}\n`),
    );
  }
  await mountOwnDisk(lab, instanceId);
}

/** Makes what a machine wrote readable while it is off; does nothing if it has no volume of its own. */
export async function mountOwnDisk(lab: Lab, instanceId: string): Promise<void> {
  const { dir } = machineFiles(lab, instanceId);
  if (hasDisk(dir) && !isMounted(diskFiles(dir).mountPoint)) await mountDisk(dir);
}

async function mountRoot(files: Files, layers: readonly string[]): Promise<void> {
  for (const folder of [files.upper, files.work, files.root]) mkdirSync(folder, { recursive: true });
  if (isMounted(files.root)) return;
  const options = [
    `lowerdir=${layers.join(":")}`,
    `upperdir=${files.upper}`,
    `workdir=${files.work}`,
    // An upper layer becomes a lower layer of other machines when an image is made of it.
    ...["index=off", "redirect_dir=off", "metacopy=off"],
  ];
  await run(["mount", "-t", "overlay", "overlay", "-o", options.join(","), files.root]);
}

export async function unmountRoot(lab: Lab, instanceId: string): Promise<void> {
  const files = machineFiles(lab, instanceId);
  if (isMounted(files.root)) await run(["umount", files.root]);
  const { mountPoint } = diskFiles(files.dir);
  if (isMounted(mountPoint)) {
    emptyDisk(files.dir);
    await run(["umount", mountPoint]);
  }
  removeCgroup(files.cgroup);
}

/** Whether something is mounted exactly there. */
export function isMounted(path: string): boolean {
  return mountPoints().includes(path);
}

/** All mount points of this mount namespace, in the order in which they were mounted. */
export function mountPoints(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path !== "")
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
}
