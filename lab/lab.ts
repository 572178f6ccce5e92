/**
 * A lab by its name: the paths and names of everything that belongs to it, and how to run a command inside its network.
 *
 * This is the only place that knows paths and names. Nothing here changes the system, so it can be used for a lab that does not
 * exist (yet, or any more).
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { execa, type Options } from "execa";

/** An error whose message is meant for the person at the terminal: printed without a stack. */
export class LabError extends Error {
  override name = "LabError";
}

/** Everything that can be said about a lab without looking at it. All paths are absolute. */
export type Lab = {
  name: string;
  /** The one folder that holds every piece of the lab's state. */
  dir: string;
  /** Shared by all labs: base images, tool archives, binaries. */
  cacheDir: string;
  /** HTTP over a unix socket, for root on the host only. */
  socket: string;
  pidFile: string;
  /** What the control plane writes to. */
  logFile: string;
  /** All resources and instances, written atomically by the control plane alone. */
  resourcesFile: string;
  /** Settings of this lab that are not Pulumi's: see {@link LabConfig}. */
  configFile: string;
  instancesDir: string;
  imagesDir: string;
  /** Pulumi's state; also seen, at this same path, by machines with an instance profile. */
  stateDir: string;
  /** Private key of `admin` on the lab's machines (the public one has `.pub` behind it). */
  sshKey: string;
  /** Name of the network namespace that is the lab's cloud: bridges, routers, metadata service. */
  netns: string;
  netnsPath: string;
  /** Folder of this lab's cgroups, relative to the root of any cgroup hierarchy. */
  cgroup: string;
};

/** Settings in `lab.json`. */
export type LabConfig = {
  /** Absolute path of the tar.gz that machines get from `GET /tools.tar.gz`. */
  toolsArchive?: string;
};

/** The metadata address, as in any EC2 subnet. */
export const metadataAddress = "169.254.169.254";

const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$/;
/** A unix socket's path must fit into `sockaddr_un`, with its final zero byte. */
const socketPathMax = 107;

/** Why `name` cannot be the name of a lab, or nothing. It becomes part of folder, namespace and cgroup names. */
export function whyNotALabName(name: string): string | undefined {
  if (namePattern.test(name)) return undefined;
  return (
    `${JSON.stringify(name)} cannot be the name of a lab: use 1 to 24 lower-case letters, digits and hyphens, ` +
    "with a letter or digit at both ends, for example `local` or `test-2`."
  );
}

/**
 * The lab called `name`; without a name the one in `BARTON_LAB`, else `local`. It need not exist.
 * `BARTON_LAB_HOME` (default /var/lib/barton) and `BARTON_CACHE` (default /var/cache/barton) say where.
 * Throws a {@link LabError} when the name or one of these paths cannot be used.
 */
export function labNamed(name?: string, env: NodeJS.ProcessEnv = process.env): Lab {
  const labName = name ?? (env.BARTON_LAB || "local");
  const problem = whyNotALabName(labName);
  if (problem) throw new LabError(problem);
  const home = absolutePath("BARTON_LAB_HOME", env.BARTON_LAB_HOME || "/var/lib/barton");
  const dir = join(home, "labs", labName);
  const socket = join(dir, "control.sock");
  if (Buffer.byteLength(socket) > socketPathMax) {
    throw new LabError(
      `The control plane's socket would be ${socket}, which is longer than the ${socketPathMax} bytes of a socket's path: ` +
        "choose a shorter BARTON_LAB_HOME.",
    );
  }
  const netns = `barton-${labName}`;
  return {
    name: labName,
    dir,
    cacheDir: absolutePath("BARTON_CACHE", env.BARTON_CACHE || "/var/cache/barton"),
    socket,
    pidFile: join(dir, "control.pid"),
    logFile: join(dir, "control.log"),
    resourcesFile: join(dir, "resources.json"),
    configFile: join(dir, "lab.json"),
    instancesDir: join(dir, "instances"),
    imagesDir: join(dir, "images"),
    stateDir: join(dir, "state"),
    sshKey: join(dir, "ssh_key"),
    netns,
    netnsPath: `/run/netns/${netns}`,
    cgroup: `barton/${labName}`,
  };
}

function absolutePath(variable: string, value: string): string {
  if (!isAbsolute(value)) {
    throw new LabError(`${variable} must be an absolute path, and is ${JSON.stringify(value)}.`);
  }
  // They separate the options of a mount and the words of many a command.
  if (/[\s,:\\]/.test(value)) {
    throw new LabError(
      `${variable} (${JSON.stringify(value)}) may not contain spaces, commas, colons or backslashes.`,
    );
  }
  return value;
}

/** The network namespace of one machine of the lab. A lab's name has no dot, so these never meet another lab's. */
export function machineNetns(lab: Lab, instanceId: string): string {
  return `${lab.netns}.${instanceId}`;
}

/** `command` with its arguments, prefixed so that it runs inside the lab's network (as root). */
export function insideNetwork(lab: Lab, command: readonly string[]): [string, ...string[]] {
  return ["nsenter", `--net=${lab.netnsPath}`, ...command];
}

/**
 * Runs `command` inside the lab's network, where machines can be reached by address and where the control plane
 * answers on 169.254.169.254; the source address there is the gateway of the machine's subnet. Options are execa's.
 */
export function runInsideNetwork<T extends Options>(lab: Lab, command: readonly string[], options?: T) {
  const [file, ...args] = insideNetwork(lab, command);
  return execa(file, args, options);
}

/** The lab's settings; empty when it has none (yet). */
export function readLabConfig(lab: Lab): LabConfig {
  try {
    return JSON.parse(readFileSync(lab.configFile, "utf8")) as LabConfig;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new LabError(`${lab.configFile} cannot be read as JSON: ${(error as Error).message}`);
  }
}

/** Replaces the lab's settings, atomically. The lab's folder must exist. */
export function writeLabConfig(lab: Lab, config: LabConfig): void {
  const temporary = `${lab.configFile}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(config, null, 2)}\n`);
  renameSync(temporary, lab.configFile);
}
