/**
 * Finds the processes of the host that belong to a lab. It uses what the kernel says about each process (cgroup, network namespace),
 * never the name of a program or a pid from a file. So no other process is ever ended.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupPids } from "./control-plane/cgroups.ts";
import { allPids, netnsInode, netnsInodeAt, statusField } from "./control-plane/processes.ts";
import type { Lab } from "./lab.ts";

const netnsFolder = "/run/netns";

/** Names of the network namespaces of this lab: its own, and those of its machines. */
export function netnsNames(lab: Lab): string[] {
  return safeList(netnsFolder).filter((name) => name === lab.netns || name.startsWith(`${lab.netns}.`));
}

function safeList(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** This process and those above it, which must survive whatever they clean up. */
function ownLine(): Set<number> {
  const line = new Set<number>();
  for (let pid = process.pid; pid > 0 && !line.has(pid); pid = Number(statusField(pid, "PPid") ?? 0))
    line.add(pid);
  return line;
}

/** Host pids of everything that runs in the lab's cgroups, in its namespaces, or on one of its file systems. */
export function labPids(lab: Lab): number[] {
  const inodes = new Set(netnsNames(lab).map((name) => netnsInodeAt(join(netnsFolder, name))));
  inodes.delete(undefined);
  inodes.delete(netnsInode(1)); // whatever somebody has mounted there: the host itself is never meant
  const own = ownLine();
  const grouped = cgroupPids(lab.cgroup);
  const others = allPids().filter((pid) => inodes.has(netnsInode(pid)) || isRootedIn(pid, lab.dir));
  return [...new Set([...grouped, ...others])].filter((pid) => !own.has(pid));
}

/** Whether a process' root is a machine of the lab: nspawn's overlay names the lab's folder as its upper layer. */
function isRootedIn(pid: number, dir: string): boolean {
  try {
    const root = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
      .split("\n")
      .find((line) => line.split(" ")[4] === "/");
    return root?.includes(`upperdir=${dir}/`) ?? false;
  } catch {
    return false;
  }
}
