/**
 * A lab's Pulumi stack: its secrets and configuration, and the `up` that makes the six machines.
 *
 * The stack is called `local` in every lab. Each lab has its own backend, configuration and passphrase in its folder, so labs are
 * independent of each other and a removed lab leaves nothing.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type Lab, LabError, readLabConfig, runInsideNetwork, writeLabConfig } from "./lab.ts";
import { toolsArchive } from "./tools.ts";

const root = join(import.meta.dirname, "..");

/** Says what is being done, one short line at a time. */
export type Progress = (line: string) => void;

/** The stack's configuration file: named to the CLI by PULUMI_OPTION_CONFIG_FILE. */
function stackConfigFile(lab: Lab): string {
  return join(lab.dir, "Pulumi.local.yaml");
}

/** What pulumi needs in its environment to work on this lab's stack. */
export function stackEnvironment(lab: Lab): Record<string, string> {
  return {
    PULUMI_STACK: "local",
    PULUMI_BACKEND_URL: `file://${lab.stateDir}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: join(lab.dir, "passphrase"),
    PULUMI_OPTION_CONFIG_FILE: stackConfigFile(lab),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    BARTON_LAB_ENDPOINT: `unix:${lab.socket}`,
    // The program's bundle is kept there: it belongs to the lab and goes with it.
    XDG_CACHE_HOME: join(lab.dir, "cache"),
  };
}

async function sshKeyPair(path: string, comment: string): Promise<{ publicKey: string; privateKey: string }> {
  if (!existsSync(path))
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path]);
  return {
    publicKey: (await readFile(`${path}.pub`, "utf8")).trim(),
    privateKey: await readFile(path, "utf8"),
  };
}

/**
 * Makes the stack with its secrets and configuration, once; on a lab that has them it only names the tools
 * archive that fits this clone. Everything is prepared aside and put in place by one rename, so that an
 * interrupted run is simply done again.
 *
 * @param engine `barton:engine`, for a new stack only.
 */
export async function configureStack(lab: Lab, engine?: string): Promise<void> {
  const archive = await toolsArchive();
  if (!existsSync(archive)) {
    throw new LabError(
      `The tools of the monit machine are not packed (${archive}): run scripts/setup first.`,
    );
  }
  writeLabConfig(lab, { ...readLabConfig(lab), toolsArchive: archive });
  if (existsSync(stackConfigFile(lab))) return;
  await mkdir(lab.stateDir, { recursive: true, mode: 0o700 });
  const passphraseFile = join(lab.dir, "passphrase");
  if (!existsSync(passphraseFile)) {
    await writeFile(passphraseFile, `${randomBytes(24).toString("hex")}\n`, { mode: 0o600 });
  }
  const admin = await sshKeyPair(lab.sshKey, `${lab.name}: engineer`);
  const recovery = await sshKeyPair(join(lab.dir, "recovery_ssh_key"), `${lab.name}: monit`);
  const password = () => randomBytes(24).toString("hex");
  await writeConfig(lab, {
    plain: {
      sshPublicKey: admin.publicKey,
      recoverySshPublicKey: recovery.publicKey,
      backendUrl: `file://${lab.stateDir}`,
      ...(engine ? { engine } : {}),
    },
    secret: {
      sshPrivateKey: admin.privateKey,
      recoverySshPrivateKey: recovery.privateKey,
      clientPassword: password(),
      replicationPassword: password(),
      recoveryPassword: password(),
    },
  });
}

/**
 * `pulumi stack init` writes beside the Pulumi.yaml of its folder, whatever PULUMI_OPTION_CONFIG_FILE says,
 * so the configuration is made in a throw-away project. Secrets go through standard input: arguments can be
 * seen in the process list.
 */
async function writeConfig(
  lab: Lab,
  values: { plain: Record<string, string>; secret: Record<string, string> },
): Promise<void> {
  const folder = await mkdtemp(join(lab.dir, "configuring-"));
  const pulumi = async (args: string[], input = "") => {
    const { PULUMI_OPTION_CONFIG_FILE: _, ...env } = stackEnvironment(lab);
    await execa("pulumi", args, { cwd: folder, env, input });
  };
  try {
    await writeFile(join(folder, "Pulumi.yaml"), "name: barton\nruntime: nodejs\n");
    const file = join(folder, "Pulumi.local.yaml");
    await pulumi(["stack", "init", "local"]).catch(async (error: Error) => {
      // A run that was broken off may have made the stack already: its configuration is written again.
      if (!error.message.includes("already exists")) throw error;
    });
    const salt = await readFile(file, "utf8").catch(() => "");
    const plain = Object.entries(values.plain).map(
      ([key, value]) => `  barton:${key}: ${JSON.stringify(value)}\n`,
    );
    await writeFile(
      file,
      `${salt}${await readFile(join(root, "lab/config.yaml"), "utf8")}${plain.join("")}`,
      { mode: 0o600 },
    );
    for (const [key, value] of Object.entries(values.secret)) {
      await pulumi(["config", "set", "--secret", `barton:${key}`], value);
    }
    await rename(file, stackConfigFile(lab));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resources that take their time, and what they are called; the others are only counted. */
const telling: Record<string, string> = {
  Instance: "machine",
  // monit: a group of one.
  Group: "machine",
  AmiFromInstance: "image",
  Command: "command",
  CopyToRemote: "copy",
};

/** What a line of `pulumi up` tells a person: a machine or an image that is ready, or an error. */
export function tellingLine(line: string): string | undefined {
  if (/\berror:/i.test(line)) return line.trim();
  const match = /^\s*[+~-]+\s+\S*:(\w+) (\S+) (created|updated|replaced|deleted)\b ?(\(.*\))?/.exec(line);
  const kind = telling[match?.[1] ?? ""];
  if (!match || !kind) return undefined;
  return `${kind} ${match[2]} ${match[3]} ${match[4] ?? ""}`.trim();
}

/**
 * `pulumi up` of the lab's stack: makes what is missing, changes nothing on a complete stack.
 * Throws a {@link LabError} with the end of pulumi's output when it fails.
 */
export async function upStack(lab: Lab, progress: Progress): Promise<void> {
  const standIn =
    (await readFile(join(lab.cacheDir, "bin/.command-plugin"), "utf8").catch(() => "")).trim() !== "official";
  const path = standIn ? `${process.env.PATH}:${join(root, "lab/command")}` : process.env.PATH;
  const command = [
    "pulumi",
    "up",
    "--yes",
    "--skip-preview",
    "--non-interactive",
    "--suppress-outputs",
    "--color",
    "never",
  ];
  const running = runInsideNetwork(lab, command, {
    cwd: join(root, "lab"),
    env: { ...stackEnvironment(lab), PATH: path },
    stdin: "ignore",
    all: true,
    reject: false,
    buffer: false,
  });
  const tail: string[] = [];
  for await (const line of running.iterable({ from: "all" })) {
    tail.push(line);
    if (tail.length > 60) tail.shift();
    const told = tellingLine(line);
    if (told) progress(told);
  }
  const { exitCode } = await running;
  if (exitCode !== 0) {
    throw new LabError(
      `pulumi up failed (exit status ${exitCode ?? "unknown"}). The end of its output:\n${tail.join("\n")}\n` +
        `The lab stays as it is: mend the cause and run scripts/lab up --name ${lab.name} again, or remove it with scripts/lab down --name ${lab.name}.`,
    );
  }
}
