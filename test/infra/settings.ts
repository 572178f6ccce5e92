/** Configuration for tests: what `Pulumi.barton.yaml` says, and test values for what it leaves to the engineer. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");

/** The YAML reader of Pulumi's own SDK, wherever npm has put it. */
const yaml = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi/package.json"))(
  "js-yaml",
) as {
  load(text: string): unknown;
};

const privateKey = (name: string) =>
  `-----BEGIN OPENSSH PRIVATE KEY-----\n${Buffer.from(name.repeat(90)).toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`;

/** Looks like a key, and is nobody's. */
const publicKey = (comment: string) => {
  const field = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  const blob = Buffer.concat([field(Buffer.from("ssh-ed25519")), field(Buffer.alloc(32, comment))]);
  return `ssh-ed25519 ${blob.toString("base64")} ${comment}`;
};

/** Secret in the stack's configuration. */
export const secrets: Record<string, string> = {
  "barton:sshPrivateKey": privateKey("ssh"),
  "barton:recoverySshPrivateKey": privateKey("rec"),
  "barton:clientPassword": "client-password-for-tests",
  "barton:replicationPassword": "replication-password-for-tests",
  "barton:recoveryPassword": "recovery-password-for-tests",
};

/** Required, and not in the file. */
export const engineersOwn: Record<string, string> = {
  "barton:backendUrl": "s3://test-bucket/barton?region=eu-central-1",
  "barton:adminCidrs": '["203.0.113.7/32"]',
  "barton:baseAmi": "ami-0584590e5f0e97daa",
  "barton:sshPublicKey": publicKey("engineer@example"),
  "barton:recoverySshPublicKey": publicKey("monit"),
};

/** A stack file's configuration as Pulumi hands it to the program. */
export function stackFile(path: string): Record<string, string> {
  const { config } = yaml.load(readFileSync(join(root, path), "utf8")) as { config: Record<string, unknown> };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

/** The production stack, complete. */
export function production(): Record<string, string> {
  return { ...stackFile("Pulumi.barton.yaml"), ...engineersOwn, ...secrets };
}
