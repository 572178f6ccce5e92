/** Brings the program to the monit machine, which runs recovery from it. */
import type * as aws from "@pulumi/aws";
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config.ts";
import { connectionTo } from "./connection.ts";

export type MonitProgramArgs = {
  config: Config;
  instance: aws.ec2.Instance;
  /** See bundle.ts. */
  bundle: { archive: string; hash: string };
};

/**
 * The bundle on monit, and the monitor started with it. Both again for a new machine or a changed bundle. Let it depend on all
 * machines: the monitor begins its work with what it finds.
 */
export class MonitProgram extends pulumi.ComponentResource {
  constructor(name: string, args: MonitProgramArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:MonitProgram", name, {}, options);
    const connection = connectionTo(args.instance, args.config);
    const triggers = [args.instance.id, args.bundle.hash];
    const archive = new remote.CopyToRemote(
      `${name}-archive`,
      {
        connection,
        source: new pulumi.asset.FileAsset(args.bundle.archive),
        remotePath: "/opt/barton/program.tar",
        triggers,
      },
      { parent: this },
    );
    new remote.Command(
      `${name}-install`,
      {
        connection,
        // The script comes with the bundle, so it always fits.
        create: `set -eu; tar -xOf /opt/barton/program.tar infra/roles/monit/install-program >/run/install-program; sh /run/install-program ${args.bundle.hash}`,
        triggers,
      },
      { parent: this, dependsOn: archive },
    );
    this.registerOutputs();
  }
}
