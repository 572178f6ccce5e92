/** Brings a changed program, and the environment of its service, to the monit machine that runs: a new one has both when it boots. */
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config.ts";
import { connectionTo } from "./connection.ts";
import type { MonitInstance } from "./monit-group.ts";
import type { ProgramLocation } from "./program-store.ts";
import { bringProgram } from "./roles/monit/role.ts";

export type MonitProgramArgs = {
  config: Config;
  instance: pulumi.Output<MonitInstance>;
  program: pulumi.Output<ProgramLocation>;
  /** monitor.env, perhaps with secrets in it: it stays secret. */
  environment: pulumi.Input<string>;
};

/**
 * The bundle and the environment on monit, and the monitor running with them, when `up` ends. It is done again when one of them
 * has changed, and not for another instance, so that a preview stays empty when the group has replaced monit.
 */
export class MonitProgram extends pulumi.ComponentResource {
  constructor(name: string, args: MonitProgramArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:MonitProgram", name, {}, options);
    const { instance, program, config, environment } = args;
    new remote.Command(
      name,
      {
        connection: connectionTo({ privateIp: instance.privateIp, publicIp: instance.publicIp }, config),
        create: program.apply(bringProgram),
        // Never an argument; and a change of it alone runs the command again, too.
        stdin: pulumi.secret(environment),
        triggers: [program.hash],
      },
      // A comparison only: when the bundle has changed, the present address counts.
      { parent: this, ignoreChanges: ["connection"], additionalSecretOutputs: ["stdin"] },
    );
    this.registerOutputs();
  }
}
