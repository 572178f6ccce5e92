/**
 * A machine's root volume, if it has a size: an ext4 file system in a sparse file. It holds everything that the machine writes. It can be
 * full while the host's disk is not.
 */
import { existsSync, mkdirSync, renameSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { run, tryRun } from "./system.ts";

/** Without ext4's initialisation in the background, which would cost time and gain nothing. */
const mountOptions = "loop,noinit_itable";

/** Paths of a machine's volume; `dir` is the machine's folder. */
export function diskFiles(dir: string) {
  return {
    image: join(dir, "disk.img"),
    mountPoint: join(dir, "disk"),
    /** What takes the space away in `fault disk-full`; outside of what the machine sees. */
    ballast: join(dir, "disk/ballast"),
  };
}

/** Whether the machine has a volume of its own. */
export function hasDisk(dir: string): boolean {
  return existsSync(diskFiles(dir).image);
}

/**
 * Makes a volume and mounts it. Throws when the host cannot mount one (a container without loop devices): then the
 * machine can only write to the host's disk.
 */
export async function makeDisk(dir: string, gibibytes: number): Promise<void> {
  const { image, mountPoint } = diskFiles(dir);
  const unfinished = `${image}.new`;
  mkdirSync(mountPoint, { recursive: true });
  try {
    await run(["truncate", `--size=${gibibytes}G`, unfinished]);
    // No blocks that are kept for root: full is full.
    await run([
      "mkfs.ext4",
      "-q",
      "-F",
      "-m",
      "0",
      "-E",
      "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
      unfinished,
    ]);
    await run(["mount", "-o", mountOptions, unfinished, mountPoint]);
    renameSync(unfinished, image);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Mounts it. */
export async function mountDisk(dir: string): Promise<void> {
  const { image, mountPoint } = diskFiles(dir);
  await run(["mount", "-o", mountOptions, image, mountPoint]);
}

/** Takes all space away. The data is as it was, and nothing is written to the host's disk. */
export async function fillDisk(dir: string): Promise<void> {
  const { ballast, mountPoint } = diskFiles(dir);
  await fillUp(mountPoint, ballast);
}

/** Makes a file as large as what is left of its file system, mounted at `mountPoint`. */
export async function fillUp(mountPoint: string, ballast: string): Promise<void> {
  let size = 0;
  for (
    let unit = freeBytes(mountPoint);
    unit >= 4096;
    unit = Math.min(Math.floor(unit / 2), freeBytes(mountPoint))
  ) {
    if (await tryRun(["fallocate", `--offset=${size}`, `--length=${unit}`, ballast])) size += unit;
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Gives the space back. */
export function emptyDisk(dir: string): void {
  rmSync(diskFiles(dir).ballast, { force: true });
}
