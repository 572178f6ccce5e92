/**
 * The program bakes its images itself. A builder boots from the pinned Debian image with its own user data. A command waits for
 * cloud-init and cleans the machine. An AMI is made of it, and the builder is stopped.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as aws from "@pulumi/aws";
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config.ts";
import { connectionTo, metadataOptions } from "./connection.ts";
import { type CloudConfig, cloudConfigText, encodeUserData } from "./user-data.ts";

export type BakedImageArgs = {
  config: Config;
  /** Contents of the image. Only a change of it, or of `barton:baseAmi`, makes a new image. */
  contents: CloudConfig;
  /**
   * Standard input of the image's finishing command, for what does not fit into user data. A change of it alone makes no new
   * image, so `contents` should have a hash of it.
   */
  stdin?: string;
  subnetId: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
  keyName: pulumi.Input<string>;
};

/** An AMI that the program made. The builder stays, stopped: it costs only its disk, and shows where the AMI is from. */
export class BakedImage extends pulumi.ComponentResource {
  readonly imageId: pulumi.Output<string>;

  constructor(name: string, args: BakedImageArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:BakedImage", name, {}, options);
    const builder = this.createBuilder(name, args);
    const finished = this.finish(name, builder, args);
    const image = this.createImage(name, builder, finished, args.config);
    this.stop(name, builder, image);
    this.imageId = image.id;
    this.registerOutputs({ imageId: this.imageId });
  }

  private createBuilder(name: string, args: BakedImageArgs): aws.ec2.Instance {
    const { config } = args;
    return new aws.ec2.Instance(
      `${name}-builder`,
      {
        ami: config.baseAmi,
        instanceType: config.instanceTypes.builder,
        subnetId: args.subnetId,
        vpcSecurityGroupIds: [args.securityGroupId],
        keyName: args.keyName,
        associatePublicIpAddress: true,
        // Not compressed: another version of zlib must not look like a change of the image.
        userDataBase64: encodeUserData(`${name}-builder`, cloudConfigText(args.contents), "plain"),
        metadataOptions,
        rootBlockDevice: { volumeType: "gp3", encrypted: true, deleteOnTermination: true },
        tags: {
          Name: `${name}-builder.${config.domain}`,
          "barton:builder": name,
          "barton:stack": config.stack,
        },
      },
      {
        parent: this,
        // On AWS a change of user data would only restart the builder with it, on top of the old contents.
        replaceOnChanges: ["userDataBase64"],
        // A stopped instance has no public address. A refresh would take that for a change that replaces it.
        ignoreChanges: ["keyName", "instanceType", "associatePublicIpAddress"],
      },
    );
  }

  private finish(name: string, builder: aws.ec2.Instance, args: BakedImageArgs): remote.Command {
    return new remote.Command(
      `${name}-finish`,
      {
        connection: connectionTo(builder, args.config),
        create: readFileSync(join(import.meta.dirname, "roles/common/finish-image.sh"), "utf8"),
        stdin: args.stdin,
        triggers: [builder.id],
      },
      // A builder is finished once. Afterwards it is stopped, so an update of the command could not reach it.
      { parent: this, ignoreChanges: ["connection", "create", "stdin"] },
    );
  }

  private createImage(
    name: string,
    builder: aws.ec2.Instance,
    finished: remote.Command,
    config: Config,
  ): aws.ec2.AmiFromInstance {
    return new aws.ec2.AmiFromInstance(
      `${name}-image`,
      {
        sourceInstanceId: builder.id,
        description: `barton: ${name}, from ${config.baseAmi}`,
        tags: { Name: `${name}.${config.domain}`, "barton:stack": config.stack },
      },
      { parent: this, dependsOn: finished, ignoreChanges: ["description"] },
    );
  }

  private stop(name: string, builder: aws.ec2.Instance, image: aws.ec2.AmiFromInstance): void {
    new aws.ec2transitgateway.InstanceState(
      `${name}-builder-stopped`,
      { instanceId: builder.id, state: "stopped" },
      { parent: this, dependsOn: image },
    );
  }
}
