/** Brings a changed program, and the environment of its service, to the running monit machine. A new monit has both when it boots. */
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
  /** monitor.env. It may contain secrets, so it is secret. */
  environment: pulumi.Input<string>;
};

/**
 * When `up` ends, monit has the bundle and the environment and runs the monitor with them. The command runs again if one of them
 * has changed. It does not run again for another instance, so a preview stays empty after the group has replaced monit.
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
        // On standard input, never as an argument. A change of it alone also runs the command again.
        stdin: pulumi.secret(environment),
        triggers: [program.hash],
      },
      // Ignored in comparisons only: when the bundle has changed, the present address is used.
      { parent: this, ignoreChanges: ["connection"], additionalSecretOutputs: ["stdin"] },
    );
    this.registerOutputs();
  }
}
