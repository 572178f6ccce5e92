/** How this program reaches machines by ssh: from where `pulumi up` runs, as root, with the engineers' key. */
import type { types } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config.ts";

/** Attempts to reach sshd of a machine that has just been launched, before it counts as unreachable. */
const dialErrorLimit = 60;

/** A connection to `instance`; the address is the one that `barton:connect` chooses. */
export function connectionTo(
  instance: { publicIp: pulumi.Input<string>; privateIp: pulumi.Input<string> },
  config: Config,
): pulumi.Input<types.input.remote.ConnectionArgs> {
  return {
    host: config.connect === "public" ? instance.publicIp : instance.privateIp,
    user: "root",
    privateKey: config.secrets.sshPrivateKey,
    dialErrorLimit,
    perDialTimeout: 5,
  };
}

/** IMDSv2 only, and not through a further hop. */
export const metadataOptions = {
  httpEndpoint: "enabled",
  httpTokens: "required",
  httpPutResponseHopLimit: 1,
} as const;
