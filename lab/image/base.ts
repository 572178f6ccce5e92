/**
 * The lab's Debian 13 AMI. mmdebstrap makes it once from `recipe/`, and all labs share it. Its name has the hash of the recipe, so a
 * changed recipe makes a new image beside the old one and never changes the image of a running lab.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { execa } from "execa";
import { type Lab, LabError } from "../lab.ts";

/** The id under which every lab offers its base image, as Debian's AMI has one in each region. */
export const baseAmi = "ami-00000000000000013";

const recipe = join(import.meta.dirname, "recipe");
/** The release that machines run, whichever Debian the host runs. */
const suite = "trixie";
/** To be raised when {@link mmdebstrap} below changes what the image contains. */
const builderVersion = 1;

/** All files below `folder`, sorted, so that the hash does not depend on the file system's order. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort();
}

/** 16 hexadecimal digits over everything that decides what the image contains. */
export function recipeHash(): string {
  const hash = createHash("sha256").update(`${suite} ${process.arch} ${builderVersion}`);
  for (const file of filesBelow(recipe)) {
    hash.update(relative(recipe, file)).update("\0").update(readFileSync(file)).update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

/** Where the base image of the present recipe is, or will be: a root file system, never written to. */
export function baseImageDir(lab: Pick<Lab, "cacheDir">): string {
  return join(lab.cacheDir, "images", `base-${recipeHash()}`);
}

/**
 * Makes the base image unless it is there; gives its folder. Needs root, mmdebstrap, and a working apt on the
 * host: packages come from wherever the host's apt gets its own Debian. A build that is broken off leaves only a
 * temporary folder, which the next build removes. Two builds at once: the second waits for the first.
 */
export async function ensureBaseImage(
  lab: Pick<Lab, "cacheDir">,
  progress: (line: string) => void = () => {},
): Promise<string> {
  const target = baseImageDir(lab);
  if (existsSync(target)) return target;
  const images = join(lab.cacheDir, "images");
  await mkdir(images, { recursive: true });
  progress("building the base image (Debian 13 with cloud-init; once, about a minute)");
  // The lock is held by flock's own process, and so ends with it however this one ends.
  await execa(
    "flock",
    [
      join(images, ".build-lock"),
      process.execPath,
      join(import.meta.dirname, "main.ts"),
      "--build-locked",
      lab.cacheDir,
    ],
    { stdin: "ignore" },
  ).catch((error: Error & { stderr?: string }) => {
    throw new LabError(`The base image could not be built. ${error.stderr?.trim() || error.message}`);
  });
  return target;
}

/** The build itself; {@link ensureBaseImage} holds the lock around it. */
export async function buildLocked(cacheDir: string): Promise<void> {
  const target = baseImageDir({ cacheDir });
  if (existsSync(target)) return; // whoever held the lock before has built it
  const images = join(cacheDir, "images");
  for (const name of readdirSync(images)) {
    if (name.startsWith("building-")) await removeTree(join(images, name));
  }
  const work = await mkdtemp(join(images, "building-"));
  try {
    await writeFile(join(work, "sources.list"), await debianSources());
    await writeFile(join(work, "apt.conf"), await hostAptConfiguration());
    await mmdebstrap(work);
    await rename(join(work, "root"), target);
  } finally {
    await removeTree(work);
  }
}

async function mmdebstrap(work: string): Promise<void> {
  const excluded = ["doc", "man", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const args = [
    ...["--mode=root", "--variant=minbase", "--quiet", "--skip=cleanup/apt/lists"],
    `--include=${readFileSync(join(recipe, "packages.installed"), "utf8").trim().split(/\s+/).join(",")}`,
    `--aptopt=${join(work, "apt.conf")}`,
    ...["--aptopt=APT::Install-Recommends false", "--dpkgopt=force-unsafe-io", ...excluded],
    `--customize-hook=${join(recipe, "customize.sh")} "$1"`,
    ...[suite, join(work, "root"), join(work, "sources.list")],
  ];
  // TMPDIR: what mmdebstrap puts there must be on the same file system, and goes with the folder.
  const { exitCode, all } = await execa("mmdebstrap", args, {
    all: true,
    reject: false,
    stdin: "ignore",
    env: { TMPDIR: work, LC_ALL: "C.UTF-8" },
  });
  if (exitCode === 0) return;
  const tail = (all ?? "").split("\n").slice(-25).join("\n");
  throw new LabError(
    `mmdebstrap failed (exit status ${exitCode ?? "none: is it installed?"}). The end of its output:\n${tail}`,
  );
}

/** One-line sources for the suite, from wherever the host's own apt gets its Debian. */
async function debianSources(): Promise<string> {
  const { stdout } = await execa("apt-get", [
    "indextargets",
    "--format",
    "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)|$(CREATED_BY)",
  ]).catch(() => ({ stdout: "" }));
  const lines = sourcesFor(suite, stdout);
  if (lines.some((line) => line.split(" ")[2] === suite)) return `${lines.join("\n")}\n`;
  throw new LabError(
    "The host's apt knows no Debian: add it to /etc/apt/sources.list and run apt-get update, then try again.",
  );
}

/**
 * Sources of a release at the places from which the host gets its own.
 *
 * @param targets Debian's package lists that the host's apt has: ORIGIN|CODENAME|COMPONENT|URI|KIND in each line. A host of another release
 * has that release's name in place of `release`: `bookworm`, `bookworm-security`.
 */
export function sourcesFor(release: string, targets: string): string[] {
  const lines = targets
    .split("\n")
    .map((line) => line.split("|"))
    .filter(
      ([origin, codename, component, , kind]) =>
        origin === "Debian" &&
        /^[a-z]+(-updates|-security)?$/.test(codename ?? "") &&
        component === "main" &&
        kind === "Packages",
    )
    .map(([, codename = "", component, uri]) => {
      return `deb ${uri} ${codename.replace(/^[a-z]+/, release)} ${component}`;
    });
  return [...new Set(lines)];
}

/** How the host's apt gets at its sources (proxies, certificates…), for mmdebstrap's. Removed from the image. */
async function hostAptConfiguration(): Promise<string> {
  const { stdout } = await execa("apt-config", ["dump", "Acquire"]);
  return `${stdout
    .split("\n")
    .filter((line) => !/^Acquire(::IndexTargets.*)? |::Languages/.test(line))
    .join("\n")}\n`;
}

/** Removes a build's folder; mmdebstrap may have been killed with file systems mounted below it. */
async function removeTree(path: string): Promise<void> {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((mountPoint) => mountPoint.startsWith(`${path}/`));
  for (const mountPoint of mounts.reverse()) await execa("umount", ["--lazy", mountPoint], { reject: false });
  await rm(path, { recursive: true, force: true });
}
