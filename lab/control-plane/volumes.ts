/**
 * EBS volumes on this host. Each is a sparse file, attached as a loop device; the machine sees it under the names that a Nitro instance
 * would use. It outlives the machines. File systems are made and mounted by the machines, not here.
 */
import { spawn } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "../lab.ts";
import { cgroupPids, enterCgroup } from "./cgroups.ts";
import { fillUp } from "./disk.ts";
import { leaderOf, machineFiles } from "./machine.ts";
import { commandName, isAlive, type ProcessId, processNow } from "./processes.ts";
import { run, tryRun } from "./system.ts";

/** A loop device is free as soon as the last mount of it has gone, which is moments after its machine. In milliseconds. */
const releaseDeadlineMs = 10_000;
/** From a machine's first process to its systemd, in milliseconds. */
const initDeadlineMs = 10_000;

const volumesDir = (lab: Lab) => join(lab.dir, "volumes");
const volumeFile = (lab: Lab, volumeId: string) => join(volumesDir(lab), `${volumeId}.img`);

/** Makes an empty volume. Throws when the host has no loop device to show it by. */
export async function makeVolume(lab: Lab, volumeId: string, gibibytes: number): Promise<void> {
  await losetup(["--find"]);
  mkdirSync(volumesDir(lab), { recursive: true, mode: 0o700 });
  await run(["truncate", `--size=${gibibytes}G`, volumeFile(lab, volumeId)]);
}

async function losetup(args: string[]): Promise<string> {
  try {
    return await run(["losetup", ...args]);
  } catch (error) {
    throw new Error(
      "The lab's EBS volumes are loop devices, and this host gives none: load the kernel's module `loop` (modprobe loop); " +
        `in a container, give it /dev/loop-control and the loop devices. ${(error as Error).message}`,
    );
  }
}

/** Makes a volume larger; a machine that has it sees that at once. */
export async function growVolume(lab: Lab, volumeId: string, gibibytes: number): Promise<void> {
  await run(["truncate", `--size=${gibibytes}G`, volumeFile(lab, volumeId)]);
  for (const loop of loopsOf(volumeFile(lab, volumeId))) await run(["losetup", "--set-capacity", loop]);
}

/** The end of a volume, and of its data. */
export function removeVolume(lab: Lab, volumeId: string): void {
  rmSync(volumeFile(lab, volumeId), { force: true });
}

/** Shows the volume to a machine that is on, as its `index`th NVMe disk; one that is off gets it when it boots. */
export async function plugVolume(
  lab: Lab,
  instanceId: string,
  volumeId: string,
  index: number,
): Promise<void> {
  const leader = await initOf(lab, instanceId);
  if (leader === undefined) return;
  const file = volumeFile(lab, volumeId);
  const loop = loopsOf(file)[0] ?? (await losetup(["--find", "--show", file]));
  const dev = `/proc/${leader.pid}/root/dev`;
  const disk = `nvme${index}n1`;
  mkdirSync(join(dev, "disk/by-id"), { recursive: true });
  rmSync(join(dev, disk), { force: true });
  const { rdev } = statSync(loop);
  await run(["mknod", "--mode=660", join(dev, disk), "b", String(major(rdev)), String(minor(rdev))]);
  await run(["ln", "-sfn", `../../${disk}`, join(dev, "disk/by-id", nameById(volumeId))]);
}

/**
 * The machine's first process, once it is the machine's own systemd: before, what it sees as its root may still be the host's.
 * Undefined when the machine is off.
 */
async function initOf(lab: Lab, instanceId: string): Promise<ProcessId | undefined> {
  const deadline = performance.now() + initDeadlineMs;
  for (;;) {
    const leader = leaderOf(lab, instanceId);
    if (leader === undefined || commandName(leader.pid) === "systemd") return leader;
    if (performance.now() > deadline) {
      throw new Error(
        `${instanceId} shows no systemd within ${initDeadlineMs} ms, so that its volumes cannot be attached`,
      );
    }
    await delay(10);
  }
}

/** As udev calls an EBS volume: the id without its hyphen is the disk's serial number. */
const nameById = (volumeId: string) => `nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`;

/**
 * Takes the volume away from its machine, and ends when nobody can write to it any more. A machine that is on and uses it
 * loses it as in a forced detachment: what had files open there ends, as it would by errors of its writes.
 */
export async function unplugVolume(lab: Lab, instanceId: string, volumeId: string): Promise<void> {
  const leader = leaderOf(lab, instanceId);
  for (const loop of loopsOf(volumeFile(lab, volumeId))) {
    const { rdev } = statSync(loop);
    if (leader !== undefined) {
      takeNodesAway(`/proc/${leader.pid}/root/dev`, nameById(volumeId));
      await unmountInside(lab, instanceId, leader, rdev);
    }
    await release(loop, volumeFile(lab, volumeId));
  }
}

function takeNodesAway(dev: string, byId: string): void {
  const link = join(dev, "disk/by-id", byId);
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) return;
  // By its own name, never by its path: that would lead to the host's device.
  rmSync(join(dev, basename(readlinkSync(link))), { force: true });
  rmSync(link, { force: true });
}

async function unmountInside(lab: Lab, instanceId: string, leader: ProcessId, device: number): Promise<void> {
  const mounts = mountsOf(leader.pid, device);
  if (mounts.length === 0) return;
  for (const user of cgroupPids(machineFiles(lab, instanceId).cgroup)) {
    if (usesFilesOf(user, device)) await tryRun(["kill", "-KILL", String(user)]);
  }
  // umount looks into the machine's own /proc, which shows only processes of the machine's.
  const inside = ["nsenter", `--target=${leader.pid}`, "--mount", "--pid", "--root", "--wd"];
  for (const path of mounts) {
    await run([...inside, "--", "umount", "--lazy", path]).catch((error) => {
      if (isAlive(leader)) throw error; // else its mounts have gone with it
    });
  }
}

/**
 * Takes all space of these volumes away, where their machine has mounted them. Gives the processes that hold it: files without a
 * name, so that the space is free again as soon as they end, by a signal or with their machine.
 */
export async function fillVolumes(lab: Lab, instanceId: string, volumeIds: string[]): Promise<ProcessId[]> {
  const leader = leaderOf(lab, instanceId);
  if (leader === undefined) return [];
  const loops = volumeIds.flatMap((id) => loopsOf(volumeFile(lab, id)));
  const mounts = loops.flatMap((loop) => mountsOf(leader.pid, statSync(loop).rdev).slice(0, 1));
  return Promise.all(
    mounts.map(async (path) => {
      const mountPoint = `/proc/${leader.pid}/root${path}`;
      const holder = await openNameless(lab, instanceId, join(mountPoint, ".lab-disk-full"));
      await fillUp(mountPoint, `/proc/${holder.pid}/fd/3`);
      return holder;
    }),
  );
}

/** A process in the machine's cgroup that holds a file open (3) which has no name any more. */
async function openNameless(lab: Lab, instanceId: string, file: string): Promise<ProcessId> {
  const script = 'exec 3>"$1" && rm -f "$1" && exec sleep infinity';
  const child = spawn("/bin/sh", ["-c", script, "sh", file], { detached: true, stdio: "ignore", cwd: "/" });
  child.on("error", () => {}); // seen below: there is no pid
  child.unref();
  const holder = child.pid === undefined ? undefined : processNow(child.pid);
  if (holder === undefined) throw new Error("/bin/sh could not be started");
  enterCgroup(`${machineFiles(lab, instanceId).cgroup}/lab`, holder.pid);
  while (commandName(holder.pid) !== "sleep") {
    if (!isAlive(holder)) throw new Error(`${file} could not be made`);
    await delay(5);
  }
  return holder;
}

/** Where a process sees a block device mounted; nowhere, once it has ended. */
function mountsOf(pid: number, device: number): string[] {
  const number = `${major(device)}:${minor(device)}`;
  return textOf(`/proc/${pid}/mountinfo`)
    .split("\n")
    .map((line) => line.split(" "))
    .filter((fields) => fields[2] === number)
    .map((fields) => fields[4] ?? "");
}

function usesFilesOf(pid: number, device: number): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    const opened = readdirSync(folder).map((fd) => join(folder, fd));
    return [join(`/proc/${pid}`, "cwd"), ...opened].some(
      (path) => statSync(path, { throwIfNoEntry: false })?.dev === device,
    );
  } catch {
    return false; // it has ended
  }
}

async function release(loop: string, file: string): Promise<void> {
  const deadline = performance.now() + releaseDeadlineMs;
  while (loopsOf(file).includes(loop)) {
    // Of a device in use it only asks to be detached by its last user.
    await tryRun(["losetup", "--detach", loop]);
    if (performance.now() > deadline)
      throw new Error(`${loop} (${file}) is still in use after ${releaseDeadlineMs} ms`);
    await delay(20);
  }
}

/**
 * Detaches the loop devices of all the lab's volumes, whoever attached them; gives their number. Those of root disks go by
 * themselves: machines of another lab that boots meanwhile may hold a copy of their mounts for a while.
 */
export async function releaseAll(lab: Lab): Promise<number> {
  const left = loops().filter(({ file }) => file.startsWith(`${volumesDir(lab)}/`));
  for (const { loop, file } of left) await release(loop, file);
  return left.length;
}

const loopsOf = (file: string) => loops().flatMap((each) => (each.file === file ? [each.loop] : []));

/** All loop devices of the host that have a file. */
function loops(): { loop: string; file: string }[] {
  return readdirSync("/sys/block")
    .filter((name) => name.startsWith("loop"))
    .flatMap((name) => {
      const file = textOf(`/sys/block/${name}/loop/backing_file`).trim();
      return file === "" ? [] : [{ loop: `/dev/${name}`, file }];
    });
}

/** A file's text; none, when the kernel has just taken it away. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** As glibc takes a device number apart; the numbers of loop devices fit into its lower part. */
const major = (device: number) => (device >> 8) & 0xfff;
const minor = (device: number) => (device & 0xff) | ((device >> 12) & 0xfff00);
