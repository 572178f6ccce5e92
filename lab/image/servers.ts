/**
 * haproxy, redis and valkey as programs for tests on the loopback: those of the base image, so that what is tested is what the machines
 * run, whatever the host has. Each program has the image's own libraries: its interpreter and its library path are set (patchelf) to
 * copies beside it. So it is started like any program of the host, and needs no root.
 */

import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, realpath, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { type Lab, LabError, labNamed } from "../lab.ts";
import { baseImageDir, recipeHash } from "./base.ts";

const programs = [
  ...["haproxy", "redis-server", "redis-cli", "redis-check-aof", "redis-benchmark"],
  ...["valkey-server", "valkey-cli", "valkey-check-aof"],
];
/** To be raised when {@link unpack} changes what the folder contains. */
const version = 1;

/** The folder of the programs, whether or not {@link ensureServers} has made it. */
export function serversBin({ cacheDir }: Pick<Lab, "cacheDir"> = labNamed("local")): string {
  return join(folderOf(cacheDir), "bin");
}

const folderOf = (cacheDir: string) => join(cacheDir, "servers", `${recipeHash()}-${version}`);

/** Makes the folder from the base image, which must be there, unless it exists; gives its path. Needs dpkg-deb and patchelf. */
export async function ensureServers(lab: Pick<Lab, "cacheDir">): Promise<string> {
  const target = folderOf(lab.cacheDir);
  if (existsSync(target)) return target;
  const parent = join(lab.cacheDir, "servers");
  await mkdir(parent, { recursive: true });
  const work = await mkdtemp(join(parent, "making-"));
  try {
    await unpack(baseImageDir(lab), work, target);
    await rename(join(work, "servers"), target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error; // another clone was faster
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return target;
}

/** `target` is where the folder will be in the end: its programs name their libraries by absolute paths. */
async function unpack(image: string, work: string, target: string): Promise<void> {
  const packages = join(image, "opt/packages");
  const unpacked = join(work, "packages");
  for (const name of await readdir(packages)) {
    if (name.endsWith(".deb")) await execa("dpkg-deb", ["--extract", join(packages, name), unpacked]);
  }
  const folders = { bin: join(work, "servers/bin"), lib: join(work, "servers/lib") };
  for (const folder of Object.values(folders)) await mkdir(folder, { recursive: true });
  const libraryPath = (await Promise.all([unpacked, image].map(libraryFolders))).flat();
  for (const name of programs) {
    const copy = join(folders.bin, name);
    await copyFile(await find(name, unpacked), copy);
    const interpreter = await interpreterOf(copy, image);
    for (const library of [interpreter, ...(await librariesOf(copy, interpreter, libraryPath))])
      await copyFile(library, join(folders.lib, basename(library)));
    const lib = join(target, "lib");
    await execa("patchelf", [
      ...["--set-interpreter", join(lib, basename(interpreter))],
      // Not the newer RUNPATH, which does not count for the libraries of libraries.
      ...["--force-rpath", "--set-rpath", lib, copy],
    ]);
  }
}

async function find(program: string, root: string): Promise<string> {
  const path = ["usr/bin", "usr/sbin"].map((folder) => join(root, folder, program)).find(existsSync);
  if (path === undefined) throw new LabError(`The base image offers no package with ${program}.`);
  return realpath(path);
}

/** usr/lib and its folder of this machine's architecture. */
async function libraryFolders(root: string): Promise<string[]> {
  const lib = join(root, "usr/lib");
  const names = existsSync(lib) ? await readdir(lib) : [];
  return names.filter((name) => name.endsWith("-linux-gnu")).map((name) => join(lib, name));
}

/** The image's own dynamic linker, by the name under which the program asks for it. */
async function interpreterOf(program: string, image: string): Promise<string> {
  const { stdout } = await execa("patchelf", ["--print-interpreter", program]);
  return join(image, stdout);
}

/** Paths of all libraries that the program loads. */
async function librariesOf(program: string, interpreter: string, path: string[]): Promise<string[]> {
  const { stdout } = await execa(interpreter, ["--library-path", path.join(":"), "--list", program]);
  return [...stdout.matchAll(/ => (\/\S+) /g)].map(([, library = ""]) => library);
}
