/** User data that all images and all machines share. */
import { faultScript } from "../../../recovery/rehearsal/fault.ts";
import type { Config } from "../../config.ts";
import { roleFile } from "../../template.ts";
import type { CloudConfig, CloudFile } from "../../user-data.ts";

/**
 * User data of a builder: installs `packages`, writes `files`, runs `commands`, and marks the end. A command that fails
 * ends it without the mark, which finish-image.sh then reports.
 */
export function imageConfig(packages: string[], files: CloudFile[], commands: string[]): CloudConfig {
  return {
    disable_root: false,
    ssh_pwauth: false,
    ssh_genkeytypes: ["ed25519"],
    // The image's own sources: cloud-init must not replace them.
    apt: { preserve_sources_list: true, conf: 'APT::Install-Recommends "0";\n' },
    package_update: true,
    packages,
    write_files: [
      ...files,
      // Put in place by finish-image.sh: it is for the machines that boot from the image, not for the builder.
      file("/var/lib/barton/cloud-init.cfg", roleFile(import.meta.dirname, "cloud-init.cfg")),
    ],
    runcmd: ["set -eu", ...commands, "touch /var/lib/barton/baked"],
  };
}

/**
 * User data of a machine: its name and its configuration files. It installs nothing and needs no network, so that a machine
 * serves as soon as it has booted.
 */
export function machineConfig(
  name: string,
  config: Pick<Config, "domain">,
  files: CloudFile[],
  authorizedKeys: string[] = [],
): CloudConfig {
  const fqdn = `${name}.${config.domain}`;
  return {
    fqdn,
    hostname: fqdn,
    write_files: [...files, ...rootKeys(authorizedKeys)],
  };
}

/** sshd's second file of keys. */
const rootKeysFile = "/root/.ssh/authorized_keys2";

/**
 * Keys that open root, with what limits them (`from=`, `command=`). Not by cloud-init's `ssh_authorized_keys`, which drops
 * these limits from root's keys where root may log in.
 */
function rootKeys(keys: string[]): CloudFile[] {
  return keys.length > 0 ? [file(rootKeysFile, keys.map((key) => `${key}\n`).join(""), "0600")] : [];
}

/** The script that rehearsals break a machine with, for the images of the machines that can be broken by it. */
export function faultFile(): CloudFile {
  return file(faultScript, roleFile(import.meta.dirname, "fault"), "0755");
}

/** A file. By default it belongs to root and everybody may read it. */
export function file(path: string, content: string, permissions = "0644", owner = "root:root"): CloudFile {
  return { path, content, permissions, owner };
}
