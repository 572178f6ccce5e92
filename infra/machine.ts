/** One of the five machines that recovery replaces: an instance and the record of its name. */
import { createHash } from "node:crypto";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { MachineName, Machine as MachineOutput } from "../recovery/topology.ts";
import type { Config } from "./config.ts";
import { metadataOptions } from "./connection.ts";
import type { Role } from "./firewall.ts";
import { type CloudConfig, cloudConfigText, encodeUserData } from "./user-data.ts";

export type MachineRole = Exclude<Role, "builder">;
/** monit is a group's: see monit-group.ts. */
type ReplaceableRole = Exclude<MachineRole, "monit">;

export type MachineArgs = {
  config: Config;
  role: ReplaceableRole;
  imageId: pulumi.Input<string>;
  /** Its configuration, with passwords in it: the user data stays secret. */
  userData: pulumi.Input<CloudConfig>;
  /** The same without the passwords: what the machine's build is told by. */
  publicData: CloudConfig;
  subnetId: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
  keyName: pulumi.Input<string>;
  zoneId: pulumi.Input<string>;
};

/** Seconds; a replaced machine's new address must reach everybody at once. */
const recordTtl = 1;

/**
 * What a machine that runs keeps when the program changes. A new image or configuration would otherwise replace (or, on AWS,
 * stop and start) both machines of a pair in one `up`, before either has the data of the other. It arrives with the
 * machine's next replacement: a machine that is tainted, by recovery or a person, gets all of the program's present values
 * (the engine applies `ignoreChanges` to comparisons, not to what a replacement is made from). So
 * `pulumi state taint URN` and `pulumi up`, one machine after the other, rolls a change out.
 */
const keptWhileRunning = [
  "ami",
  "userDataBase64",
  "instanceType",
  "keyName",
  "associatePublicIpAddress",
  "rootBlockDevice",
  'tags["barton:build"]',
  'tags["barton:shards"]',
];

/**
 * A machine of the five, `barton:infra:Machine`. It has no rights in AWS and no public address.
 *
 * Replacement creates before it deletes (Pulumi's default, and here on purpose): terminating an instance takes about as long
 * as launching one, so deleting first would double the time without redundancy. It is safe in this order because nobody
 * reaches a server before recovery has fenced its predecessor and registered it, and recovery has requested the
 * predecessor's power-off before the launch. The record is updated in place, between launch and deletion.
 */
export class Machine extends pulumi.ComponentResource {
  readonly instance: aws.ec2.Instance;
  readonly record: aws.route53.Record;
  /** This machine in the stack's output `topology`. */
  readonly output: pulumi.Output<MachineOutput>;
  /** How many shards this machine was made for; the program's present number may be another one. */
  readonly shards: pulumi.Output<number>;

  constructor(name: MachineName, args: MachineArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:Machine", name, {}, options);
    const wanted = pulumi.output(args.imageId).apply((imageId) => buildOf(imageId, args));
    this.instance = this.createInstance(name, args, wanted);
    this.record = createRecord(name, args, this.instance.privateIp, this);
    const { id, privateIp, urn, tags } = this.instance;
    this.output = pulumi
      .all([id, privateIp, urn, this.record.urn, tags, wanted])
      .apply(([instanceId, address, urn, recordUrn, tags, wantedBuild]) => ({
        role: args.role,
        instanceId,
        address,
        urn,
        recordUrn,
        build: tags?.["barton:build"],
        wantedBuild,
      }));
    this.shards = tags.apply((own) => Number(own?.["barton:shards"] ?? args.config.shards));
    this.registerOutputs({ machine: this.output });
  }

  private createInstance(
    name: MachineName,
    args: MachineArgs,
    build: pulumi.Output<string>,
  ): aws.ec2.Instance {
    const { config, role } = args;
    return new aws.ec2.Instance(
      name,
      {
        ami: args.imageId,
        instanceType: config.instanceTypes[role],
        subnetId: args.subnetId,
        vpcSecurityGroupIds: [args.securityGroupId],
        keyName: args.keyName,
        associatePublicIpAddress: false,
        userDataBase64: pulumi
          .secret(args.userData)
          .apply((userData) => encodeUserData(name, cloudConfigText(userData as CloudConfig), "gzip")),
        metadataOptions,
        // A machine that powers itself off keeps its disk: after a total loss it may hold the only copy.
        instanceInitiatedShutdownBehavior: "stop",
        rootBlockDevice: {
          volumeType: "gp3",
          volumeSize: config.diskGiB[role],
          encrypted: true,
          deleteOnTermination: true,
        },
        tags: {
          Name: `${name}.${config.domain}`,
          "barton:machine": name,
          "barton:stack": config.stack,
          "barton:build": build,
          "barton:shards": String(config.shards),
        },
      },
      { parent: this, ignoreChanges: keptWhileRunning },
    );
  }
}

/** The record of a machine's name, a part of `parent`. */
export function createRecord(
  name: MachineName,
  { config, zoneId }: { config: Config; zoneId: pulumi.Input<string> },
  address: pulumi.Input<string>,
  parent: pulumi.Resource,
): aws.route53.Record {
  return new aws.route53.Record(
    name,
    { zoneId, name: `${name}.${config.domain}`, type: "A", ttl: recordTtl, records: [address] },
    { parent },
  );
}

/**
 * Names what a machine is made from: its image, its configuration, its type and its disk. The machine carries it in a tag, so
 * that a running machine that the program would make otherwise by now is known (`barton roll`). Passwords are not in it:
 * whoever may read tags could otherwise guess at them.
 */
export function buildOf(
  imageId: string,
  { config, role, publicData }: { config: Config; role: MachineRole; publicData: CloudConfig },
): string {
  const made = [imageId, publicData, config.instanceTypes[role], config.diskGiB[role]];
  return createHash("sha256").update(JSON.stringify(made)).digest("hex").slice(0, 16);
}
