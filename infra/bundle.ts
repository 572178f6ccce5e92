/**
 * The bundle: the files that `up` brings to the monit machine, so that recovery there runs the program of the last `up`. An
 * older copy would silently undo an engineer's change on a machine that recovery replaces. So the hash of the program is a stack
 * output, and recovery compares it with the hash of its own copy before it replaces a machine (docs/decisions/016).
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join, relative } from "node:path";
import { type TarFile, tar } from "./tar.ts";

export type BundleOptions = {
  /** The repository, or `/opt/barton/program` on monit. */
  root: string;
  /** Folder of Pulumi.yaml, relative to root; "." for the root itself. */
  projectFolder: string;
  stack: string;
  /** The stack's configuration, when it is not `Pulumi.<stack>.yaml` beside Pulumi.yaml; in the bundle it is there. */
  configFile?: string;
};

/** Folders of the program, whole. */
const folders = ["infra", "recovery"];
/** Single files: what node needs, and what user data is made from. */
const singles = [
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "scripts/redis-test",
  "scripts/failover",
];
/** A larger bundle is an error: a file got into a folder where it does not belong. */
const bundleBytesMax = 16 * 2 ** 20;

/**
 * The files of the bundle, sorted by path. Reads only, and the same on every machine: the working copy and the unpacked
 * bundle give the same list. Throws when a file is missing, or when there is something that cannot travel.
 */
export function bundleFiles(options: BundleOptions): TarFile[] {
  const { root, stack, configFile } = options;
  const projectFolder = folderInside(root, options.projectFolder);
  const wholeFolders = projectFolder === "." ? folders : [...folders, projectFolder];
  const configPath = inProject(projectFolder, `Pulumi.${stack}.yaml`);
  const paths = new Set([
    ...singles,
    inProject(projectFolder, "Pulumi.yaml"),
    ...wholeFolders.flatMap((folder) => filesBelow(root, folder)),
  ]);
  const files = [...paths]
    // Only this stack's configuration travels.
    .filter((path) => !/(^|\/)Pulumi\.[^/]+\.yaml$/.test(path))
    .map((path) => readBundleFile(join(root, path), path));
  files.push({ ...readBundleFile(configFile ?? join(root, configPath), configPath), executable: false });
  const bytes = files.reduce((sum, file) => sum + file.content.length, 0);
  if (bytes > bundleBytesMax) {
    const largest = files.sort((a, b) => b.content.length - a.content.length)[0];
    throw new Error(
      `The program's bundle has ${bytes} bytes, more than ${bundleBytesMax}. The largest file is ${largest?.path}: move it out of the program's folders.`,
    );
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** SHA-256 (hex) over the bundle's paths, modes and contents. */
export function programHash(options: BundleOptions): string {
  return hashOf(bundleFiles(options));
}

function hashOf(files: readonly TarFile[]): string {
  const hash = createHash("sha256");
  for (const { path, executable, content } of files) {
    const contentHash = createHash("sha256").update(content).digest("hex");
    hash.update(`${executable ? "x" : "-"} ${contentHash} ${path}\n`);
  }
  return hash.digest("hex");
}

/**
 * Writes the bundle as a tar archive into a folder of the user's own, named by its hash (so that a second `up` finds it
 * there), and returns both. The archive stays, because the engine reads it after the program has ended; what is older
 * than a day is removed.
 */
export function writeBundle(options: BundleOptions): { archive: string; hash: string } {
  const files = bundleFiles(options);
  const hash = hashOf(files);
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "barton");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const archive = join(folder, `program-${hash}.tar`);
  const temporary = `${archive}.${process.pid}`;
  writeFileSync(temporary, tar(files), { mode: 0o600 });
  renameSync(temporary, archive);
  removeOlderThan(folder, Date.now() - 24 * 3600 * 1000);
  return { archive, hash };
}

function removeOlderThan(folder: string, timeMs: number): void {
  for (const name of readdirSync(folder).filter((file) => /^program-[0-9a-f]{64}\.tar/.test(file))) {
    const { mtimeMs } = statSync(join(folder, name), { throwIfNoEntry: false }) ?? {};
    if (mtimeMs !== undefined && mtimeMs < timeMs) rmSync(join(folder, name), { force: true });
  }
}

/**
 * `folder` relative to `root`. On monit `/opt/barton/program` is a symbolic link, so the two may be named on different sides
 * of that link.
 */
function folderInside(root: string, folder: string): string {
  const inside = relative(realpathSync(root), realpathSync(join(root, folder))) || ".";
  if (inside.startsWith("..")) throw new Error(`The project folder ${folder} is not inside ${root}.`);
  return inside;
}

function inProject(projectFolder: string, name: string): string {
  return projectFolder === "." ? name : `${projectFolder}/${name}`;
}

/** True for files that editors and tools leave behind. */
function isJunk(name: string): boolean {
  return name.startsWith(".") || name === "node_modules" || /(~|\.log|\.tmp|\.sw[a-p])$/.test(name);
}

function filesBelow(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => !isJunk(entry.name))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesBelow(root, path);
      if (entry.isFile()) return [path];
      throw new Error(
        `${join(root, path)} is neither a file nor a folder, so it cannot travel to the monit machine: remove it.`,
      );
    });
}

function readBundleFile(source: string, path: string): TarFile {
  if (!existsSync(source)) {
    throw new Error(`The program's bundle needs ${path}, but there is no ${source}.`);
  }
  return { path, content: readFileSync(source), executable: (lstatSync(source).mode & 0o100) !== 0 };
}
