/**
 * Each machine of a lab has a cgroup of its own, `barton/<lab>/<instance>`, in every hierarchy that systemd uses:
 * the unified one (`/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` on a hybrid host) and, there, `name=systemd`.
 * Otherwise machines would share one cgroup, and their systemds would conflict. The cgroup also tells to which machine a process belongs.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const hierarchies = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/** The roots of the hierarchies that this host has. */
export function cgroupRoots(): string[] {
  return hierarchies.filter((root) => existsSync(join(root, "cgroup.procs")));
}

/** Makes the cgroup (e.g. `barton/local/i-…`) everywhere; gives its folders. */
export function makeCgroup(name: string): string[] {
  const folders = cgroupRoots().map((root) => join(root, name));
  if (folders.length === 0) {
    throw new Error(
      "This host has no cgroup hierarchy at /sys/fs/cgroup that systemd could use: mount cgroup2 there.",
    );
  }
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  return folders;
}

/** All processes in the cgroup and below it, host pids. Empty when there is none. */
export function cgroupPids(name: string): number[] {
  const pids = new Set<number>();
  for (const folder of cgroupRoots().map((root) => join(root, name))) {
    for (const each of foldersBelow(folder)) {
      for (const pid of readPids(each)) pids.add(pid);
    }
  }
  return [...pids];
}

/** Removes the cgroup and those below it; what still has processes stays. */
export function removeCgroup(name: string): void {
  for (const folder of cgroupRoots().map((root) => join(root, name))) {
    for (const each of foldersBelow(folder).reverse()) {
      try {
        rmdirSync(each);
      } catch {
        // Busy, or gone with its last process.
      }
    }
  }
}

/** Puts a process into the cgroup, in every hierarchy. */
export function enterCgroup(name: string, pid: number): void {
  for (const folder of makeCgroup(name)) writeFileSync(join(folder, "cgroup.procs"), String(pid));
}

/** `folder` and all folders below it, parents first. */
function foldersBelow(folder: string): string[] {
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [folder, ...children.flatMap((entry) => foldersBelow(join(folder, entry.name)))];
  } catch {
    return [];
  }
}

function readPids(folder: string): number[] {
  try {
    const text = readFileSync(join(folder, "cgroup.procs"), "utf8").trim();
    return text === "" ? [] : text.split("\n").map(Number);
  } catch {
    return [];
  }
}
