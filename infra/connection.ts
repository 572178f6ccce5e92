/** The ssh connections of this program: from the machine that runs `pulumi up`, as root, with the engineers' key. */
import type { types } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config.ts";

/** Attempts to reach sshd of a machine that was just launched. */
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

/** IMDSv2 only, with a hop limit of 1. */
export const metadataOptions = {
  httpEndpoint: "enabled",
  httpTokens: "required",
  httpPutResponseHopLimit: 1,
} as const;
