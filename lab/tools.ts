/**
 * Packs the tools of the monit machine: Node, Pulumi and the production npm packages, laid out as
 * `/opt/barton/tools`. In the lab the monit image fetches them as one archive (config `barton:toolsUrl`),
 * because a machine in the lab has no internet; on AWS the image downloads the official ones.
 *
 * Cached by content: the archive's name is the hash of what goes into it.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { labNamed } from "./lab.ts";

const root = join(import.meta.dirname, "..");

/** Where set-up keeps what every lab shares: the same folder for any lab. */
const cacheFolder = () => labNamed("local").cacheDir;

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Folders of the npm packages that the product needs at run time, relative to the repository. */
async function productionPackages(): Promise<string[]> {
  const lock = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  return (
    Object.entries(lock.packages)
      .filter(([path, entry]) => path !== "" && !entry.dev && !entry.devOptional)
      .map(([path]) => path)
      // A package's own node_modules comes with its folder; the Node packages are only their `bin/node`.
      .filter((path) => path.lastIndexOf("node_modules/") === 0 && !/\/node-linux-(x64|arm64)$/.test(path))
      .filter((path) => existsSync(join(root, path)))
  );
}

/**
 * The official command plugin if set-up got it, else a start script for the lab's stand-in, which travels
 * to the machine with the program.
 */
async function addCommandPlugin(bin: string): Promise<void> {
  const target = join(bin, "pulumi-resource-command");
  const plugins = join(process.env.PULUMI_HOME ?? join(homedir(), ".pulumi"), "plugins");
  const official = (await readdir(plugins).catch(() => [])).filter((name) =>
    /^resource-command-v[\d.]+$/.test(name),
  );
  const newest = official.sort().at(-1);
  if (newest !== undefined) {
    await cp(join(plugins, newest, "pulumi-resource-command"), target);
  } else {
    await writeFile(target, '#!/bin/sh\nexec node /opt/barton/program/lab/command/main.ts "$@"\n');
  }
  await chmod(target, 0o755);
}

/** What decides whether an archive that is already there is the right one. */
async function fingerprint(): Promise<string> {
  const bin = join(cacheFolder(), "bin");
  const parts = await Promise.all([
    sha256(join(root, "package-lock.json")),
    sha256(await realpath(join(bin, "pulumi"))),
    sha256(await realpath(join(bin, "pulumi-language-nodejs"))),
    sha256(process.execPath),
    sha256(import.meta.filename),
    readFile(join(bin, ".command-plugin"), "utf8").catch(() => ""),
  ]);
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}

/** Path of the archive, whether or not it has been packed yet. */
export async function toolsArchive(): Promise<string> {
  return join(cacheFolder(), "tools", `tools-${await fingerprint()}.tar.gz`);
}

/**
 * Packs the archive if it is not there yet; returns its path. Older archives stay, because another clone
 * or a running lab may use them.
 */
export async function packTools(): Promise<string> {
  const archive = await toolsArchive();
  if (existsSync(archive)) return archive;
  const folder = join(cacheFolder(), "tools");
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, "packing-"));
  try {
    const bin = join(work, "bin");
    await mkdir(bin);
    await cp(await realpath(process.execPath), join(bin, "node"));
    for (const name of ["pulumi", "pulumi-language-nodejs"]) {
      await cp(await realpath(join(cacheFolder(), "bin", name)), join(bin, name));
    }
    await addCommandPlugin(bin);
    const list = join(work, "packages");
    await writeFile(list, (await productionPackages()).join("\n"));
    await execa("tar", [
      ...["--create", "--use-compress-program=gzip -1", "--owner=0", "--group=0", "--numeric-owner"],
      ...["--file", join(work, "tools.tar.gz"), "--directory", work, "bin"],
      ...["--directory", root, "--files-from", list],
    ]);
    await rename(join(work, "tools.tar.gz"), archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return archive;
}

if (import.meta.main) {
  const archive = await packTools();
  console.log(`tools of the monit machine: ${basename(archive)}`);
}
