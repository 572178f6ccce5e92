/** The instance data that cloud-init reads from its NoCloud seed. Pure, except for writing the files. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type Seed = {
  instanceId: string;
  hostname: string;
  /** OpenSSH public keys for the default user. */
  publicKeys: string[];
  /** As given to the instance: cloud-config, a script, a MIME archive, each plain or gzipped. */
  userData: Buffer;
};

/** cloud-init's meta-data, as JSON, which is YAML too. */
export function metaData({ instanceId, hostname, publicKeys }: Seed): string {
  return `${JSON.stringify({ "instance-id": instanceId, "local-hostname": hostname, "public-keys": publicKeys }, null, 2)}\n`;
}

/** The bytes of an instance's user data, from whichever property has them. */
export function userDataOf(inputs: { userData?: unknown; userDataBase64?: unknown }): Buffer {
  if (typeof inputs.userDataBase64 === "string") return Buffer.from(inputs.userDataBase64, "base64");
  return Buffer.from(typeof inputs.userData === "string" ? inputs.userData : "");
}

/** Writes the seed's files; only root may read them, because user data may hold secrets. */
export function writeSeed(folder: string, seed: Seed): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, "meta-data"), metaData(seed), { mode: 0o600 });
  writeFileSync(join(folder, "user-data"), seed.userData, { mode: 0o600 });
  writeFileSync(join(folder, "vendor-data"), "", { mode: 0o600 });
}
