/** User data for cloud-init: a plain object, written as `#cloud-config`. */
import { gzipSync } from "node:zlib";

/** A file that cloud-init writes early in the boot, before any service starts. */
export type CloudFile = {
  path: string;
  content: string;
  /** Octal, for example "0644". */
  permissions: string;
  /** `user:group`; both must exist in the image. */
  owner?: string;
};

/** The subset of cloud-config that we use; see cloud-init's module reference for each key. */
export type CloudConfig = {
  hostname?: string;
  fqdn?: string;
  prefer_fqdn_over_hostname?: boolean;
  preserve_hostname?: boolean;
  manage_etc_hosts?: boolean;
  disable_root?: boolean;
  ssh_pwauth?: boolean;
  ssh_genkeytypes?: string[];
  package_update?: boolean;
  packages?: string[];
  apt?: { preserve_sources_list: boolean; conf: string };
  write_files?: CloudFile[];
  runcmd?: string[];
};

/** Limit of AWS (before base64, after compression). */
export const userDataBytesMax = 16384;

/** The text that cloud-init reads. JSON is valid YAML, and needs no library and no quoting rules of our own. */
export function cloudConfigText(config: CloudConfig): string {
  return `#cloud-config\n${JSON.stringify(config, null, 1)}\n`;
}

/**
 * User data as EC2's `userDataBase64`. `machine` is for the message of the error that is thrown when the
 * result is larger than {@link userDataBytesMax}.
 */
export function encodeUserData(machine: string, text: string, compression: "gzip" | "plain"): string {
  const bytes = compression === "gzip" ? gzipSync(text, { level: 9 }) : Buffer.from(text);
  if (bytes.length > userDataBytesMax) {
    throw new Error(
      `The user data of ${machine} has ${bytes.length} bytes (${compression}), but AWS takes ${userDataBytesMax} at most. ` +
        "It grows with barton:shards; larger files belong into the machine's image or into the program's bundle.",
    );
  }
  return bytes.toString("base64");
}
