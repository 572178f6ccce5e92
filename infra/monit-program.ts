/** Brings a changed program to the monit machine that runs: a new one fetches it by itself when it boots. */
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config.ts";
import { connectionTo } from "./connection.ts";
import type { MonitInstance } from "./monit-group.ts";
import type { ProgramLocation } from "./program-store.ts";

export type MonitProgramArgs = {
  config: Config;
  instance: pulumi.Output<MonitInstance>;
  program: pulumi.Output<ProgramLocation>;
};

/**
 * The bundle on monit, and the monitor running it, when `up` ends. It is done again for a changed bundle, and not for another
 * instance, so that a preview stays empty when the group has replaced monit.
 */
export class MonitProgram extends pulumi.ComponentResource {
  constructor(name: string, args: MonitProgramArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:MonitProgram", name, {}, options);
    const { instance, program, config } = args;
    new remote.Command(
      name,
      {
        connection: connectionTo({ privateIp: instance.privateIp, publicIp: instance.publicIp }, config),
        // A machine that boots at this moment fetches it anyway: both take turns, and the second has nothing to do.
        create: program.apply(
          ({ bucket, key, sha256, hash }) =>
            `/usr/local/lib/barton/fetch-program '${bucket}' '${key}' ${sha256} ${hash} && systemctl start barton-monitor.service`,
        ),
        triggers: [program.hash],
      },
      // A comparison only: when the bundle has changed, the present address counts.
      { parent: this, ignoreChanges: ["connection"] },
    );
    this.registerOutputs();
  }
}
