/**
 * The monit machine: an auto scaling group of one (docs/decisions/010). Recovery runs on monit, replaces the five other machines,
 * and cannot replace the machine that it runs on. The group does that, and no person is needed. The user data of the instance
 * brings keys, settings and the location of the bundle; the machine fetches the program when it boots.
 */
import { setTimeout as delay } from "node:timers/promises";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Machine as MachineOutput } from "../recovery/topology.ts";
import type { Config } from "./config.ts";
import { metadataOptions } from "./connection.ts";
import { buildOf, createRecord } from "./machine.ts";
import { type CloudConfig, cloudConfigText, encodeUserData } from "./user-data.ts";

export type MonitGroupArgs = {
  config: Config;
  imageId: pulumi.Input<string>;
  /** It contains passwords, so the user data is secret. */
  userData: pulumi.Input<CloudConfig>;
  /** The same without the passwords and without what `up` brings to the running machine (program, environment). Its build is computed from it. */
  publicData: CloudConfig;
  /** One in each zone, so that monit survives the loss of a zone. */
  subnetIds: pulumi.Input<string>[];
  securityGroupId: pulumi.Input<string>;
  keyName: pulumi.Input<string>;
  zoneId: pulumi.Input<string>;
  instanceProfile: pulumi.Input<string>;
};

/** The instance that the group runs now. */
export type MonitInstance = {
  id: string;
  privateIp: string;
  publicIp: string;
  /** Its build; undefined if the program would make it from something else now. */
  build?: string;
};

/** How long a machine may boot before its status checks count, in seconds. An instance that is off counts at once. */
const graceSeconds = 60;
/** How long to wait for an instance while the group is replacing it, in milliseconds. */
const instanceDeadlineMs = 300_000;
const pollMs = 2_000;

export class MonitGroup extends pulumi.ComponentResource {
  readonly group: aws.autoscaling.Group;
  readonly record: aws.route53.Record;
  readonly instance: pulumi.Output<MonitInstance>;
  /** This machine in the stack's output `topology`. */
  readonly output: pulumi.Output<MachineOutput>;

  constructor(name: "monit", args: MonitGroupArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:MonitGroup", name, {}, options);
    const wanted = pulumi
      .output(args.imageId)
      .apply((imageId) => buildOf(imageId, { ...args, role: "monit" }));
    const template = this.createTemplate(name, args, wanted);
    this.group = this.createGroup(name, template, args);
    // Known only when the group exists, and with it its instance.
    this.instance = pulumi
      .all([this.group.id, wanted])
      .apply(([group, build]) => presentInstance(group, build));
    this.record = createRecord(name, args, this.instance.privateIp, this);
    this.output = pulumi
      .all([this.instance, this.group.urn, this.record.urn, wanted])
      .apply(([{ id, privateIp, build }, urn, recordUrn, wantedBuild]) => ({
        role: "monit" as const,
        instanceId: id,
        address: privateIp,
        urn,
        recordUrn,
        build,
        wantedBuild,
      }));
    this.registerOutputs({ machine: this.output });
  }

  private createTemplate(
    name: string,
    args: MonitGroupArgs,
    build: pulumi.Output<string>,
  ): aws.ec2.LaunchTemplate {
    const { config } = args;
    return new aws.ec2.LaunchTemplate(
      name,
      {
        imageId: args.imageId,
        instanceType: config.instanceTypes.monit,
        keyName: args.keyName,
        iamInstanceProfile: { name: args.instanceProfile },
        networkInterfaces: [
          {
            associatePublicIpAddress: "true",
            deleteOnTermination: "true",
            securityGroups: [args.securityGroupId],
          },
        ],
        userData: pulumi
          .secret(args.userData)
          .apply((userData) => encodeUserData(name, cloudConfigText(userData as CloudConfig), "gzip")),
        metadataOptions,
        blockDeviceMappings: [
          {
            // The root volume of Debian's images.
            deviceName: "/dev/xvda",
            ebs: {
              volumeType: "gp3",
              volumeSize: config.diskGiB.monit,
              encrypted: "true",
              deleteOnTermination: "true",
            },
          },
        ],
        tagSpecifications: [
          {
            resourceType: "instance",
            tags: {
              Name: `${name}.${config.domain}`,
              "barton:machine": name,
              "barton:stack": config.stack,
              "barton:build": build,
            },
          },
        ],
      },
      { parent: this },
    );
  }

  private createGroup(
    name: string,
    template: aws.ec2.LaunchTemplate,
    args: MonitGroupArgs,
  ): aws.autoscaling.Group {
    return new aws.autoscaling.Group(
      name,
      {
        minSize: 1,
        maxSize: 1,
        desiredCapacity: 1,
        vpcZoneIdentifiers: args.subnetIds,
        // A change of the template replaces nothing. The next instance is made from it.
        launchTemplate: { id: template.id, version: "$Latest" },
        healthCheckType: "EC2",
        healthCheckGracePeriod: graceSeconds,
      },
      { parent: this },
    );
  }
}

/** The one instance of the group; waits while the group is replacing it. */
async function presentInstance(group: string, wantedBuild: string): Promise<MonitInstance> {
  const filters = [{ name: "tag:aws:autoscaling:groupName", values: [group] }];
  const deadline = performance.now() + instanceDeadlineMs;
  for (;;) {
    const { ids, privateIps, publicIps } = await aws.ec2.getInstances({ filters });
    const [id, privateIp] = [ids[0], privateIps[0]];
    if (id && privateIp && ids.length === 1) {
      // The tags of an instance can be used in a filter, but not be read.
      const ofBuild = { name: "tag:barton:build", values: [wantedBuild] };
      const present = await aws.ec2.getInstances({ filters: [...filters, ofBuild] });
      const build = present.ids.includes(id) ? wantedBuild : undefined;
      return { id, privateIp, publicIp: publicIps[0] ?? "", build };
    }
    if (performance.now() > deadline) {
      throw new Error(
        `The auto scaling group ${group} has ${ids.length} running instances, and shall have one, since ${instanceDeadlineMs / 1000} s: ` +
          `see its activity (aws autoscaling describe-scaling-activities --auto-scaling-group-name ${group}), mend the cause, and run up again.`,
      );
    }
    await delay(pollMs);
  }
}
