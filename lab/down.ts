/**
 * `scripts/lab down`: removes a lab from any state: a killed control plane, half-made machines, remains of a crash. It does not use the
 * lab's own records, which may be lost or wrong. It finds everything by inspecting the host.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { removeCgroup } from "./control-plane/cgroups.ts";
import { mountPoints } from "./control-plane/machine.ts";
import { run, tryRun } from "./control-plane/system.ts";
import { releaseAll } from "./control-plane/volumes.ts";
import { type Lab, LabError } from "./lab.ts";
import { labPids, netnsNames } from "./processes-of.ts";

/** How long processes may take to end after SIGKILL, in milliseconds. */
const endDeadlineMs = 15_000;

/** What was found and removed. All zero: there was nothing. */
export type Removed = {
  processes: number;
  mounts: number;
  volumes: number;
  namespaces: number;
  folder: boolean;
};

/** Ends and removes everything of the lab. To be called again after a failure; on a lab that never was it does nothing. */
export async function removeLab(lab: Lab, progress: (line: string) => void): Promise<Removed> {
  if (process.getuid?.() !== 0) throw new LabError("A lab needs root: run this as root, or with sudo.");
  const processes = await endProcesses(lab, progress);
  const mounts = await unmountAll(lab, progress);
  const volumes = await releaseAll(lab);
  const leftovers = nspawnLeftovers(lab);
  const namespaces = await removeNamespaces(lab, progress);
  removeCgroup(lab.cgroup);
  for (const leftover of leftovers) rmSync(leftover, { recursive: true, force: true });
  const folder = existsSync(lab.dir);
  if (folder) {
    progress("removing its folder");
    // One file system only: should anything still be mounted below, its content is not the lab's to delete.
    await run(["rm", "-rf", "--one-file-system", lab.dir]);
  }
  return { processes, mounts, volumes, namespaces, folder };
}

async function endProcesses(lab: Lab, progress: (line: string) => void): Promise<number> {
  const all = new Set<number>();
  const deadline = performance.now() + endDeadlineMs;
  for (let pids = labPids(lab); pids.length > 0; pids = labPids(lab)) {
    if (all.size === 0) progress(`ending ${pids.length} processes`);
    if (performance.now() > deadline) {
      throw new LabError(
        `Processes of lab ${lab.name} survive SIGKILL: ${pids.join(", ")}. They may be waiting for a disk.`,
      );
    }
    for (const pid of pids) {
      all.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Ended in the meantime.
      }
    }
    await delay(20);
  }
  return all.size;
}

/** The deepest first; a file system that somebody outside still uses is at least taken out of the tree. */
async function unmountAll(lab: Lab, progress: (line: string) => void): Promise<number> {
  const ours = mountPoints().filter((path) => path === lab.dir || path.startsWith(`${lab.dir}/`));
  if (ours.length > 0) progress(`unmounting ${ours.length} file systems`);
  for (const path of ours.reverse()) {
    if (!(await tryRun(["umount", path]))) await run(["umount", "--lazy", path]);
  }
  return ours.length;
}

async function removeNamespaces(lab: Lab, progress: (line: string) => void): Promise<number> {
  const names = netnsNames(lab);
  if (names.length > 0) progress(`removing ${names.length} network namespaces`);
  for (const name of names) {
    // A file without a namespace behind it is what a crash in the middle of `ip netns add` leaves.
    await tryRun(["ip", "netns", "delete", name]);
    rmSync(`/run/netns/${name}`, { force: true });
  }
  return names.length;
}

/** Folders that nspawn keeps per machine, by the ids that the lab's folder and namespaces have in their names. */
function nspawnLeftovers(lab: Lab): string[] {
  const inFolder = existsSync(lab.instancesDir) ? readdirSync(lab.instancesDir) : [];
  const inNamespaces = netnsNames(lab).map((name) => name.slice(lab.netns.length + 1));
  return [...inFolder, ...inNamespaces]
    .filter((id) => /^i-[0-9a-f]{17}$/.test(id))
    .flatMap((id) => [`/run/systemd/nspawn/propagate/${id}`, `/run/systemd/nspawn/unix-export/${id}`]);
}
