/** One of the five machines that recovery replaces: an instance and its DNS record. */
import { createHash } from "node:crypto";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { MachineName, Machine as MachineOutput } from "../recovery/topology.ts";
import type { Config } from "./config.ts";
import { metadataOptions } from "./connection.ts";
import type { Role } from "./firewall.ts";
import { type CloudConfig, cloudConfigText, encodeUserData } from "./user-data.ts";

export type MachineRole = Exclude<Role, "builder">;
/** Without monit, which an auto scaling group launches (monit-group.ts). */
type ReplaceableRole = Exclude<MachineRole, "monit">;

export type MachineArgs = {
  config: Config;
  role: ReplaceableRole;
  imageId: pulumi.Input<string>;
  /** Its configuration, with passwords in it: the user data stays secret. */
  userData: pulumi.Input<CloudConfig>;
  /** The same without the passwords: the machine's build is computed from it. */
  publicData: CloudConfig;
  subnetId: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
  keyName: pulumi.Input<string>;
  zoneId: pulumi.Input<string>;
};

/** TTL of a record in seconds. The new address of a replaced machine must be visible at once. */
const recordTtl = 1;

/**
 * Properties that a running machine keeps when the program changes (docs/decisions/012). Otherwise a new image or configuration
 * would replace (or, on AWS, stop and start) both machines of a pair in one `up`, before either has the data of the other. The
 * change arrives with the machine's next replacement: a machine that recovery or a person has tainted gets all present values of
 * the program, because the engine applies `ignoreChanges` to comparisons, not to what a replacement is made from. So
 * `pulumi state taint URN` and `pulumi up`, one machine after the other, roll a change out.
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
 * A replacement creates before it deletes (Pulumi's default, and here on purpose; docs/decisions/008). To terminate an instance
 * takes about as long as to launch one, so deleting first would double the time without redundancy. This order is safe: no client
 * reaches a server before recovery has fenced its predecessor and registered it, and recovery has requested the predecessor's
 * power-off before the launch. The record is updated in place, between launch and deletion.
 */
export class Machine extends pulumi.ComponentResource {
  readonly instance: aws.ec2.Instance;
  readonly record: aws.route53.Record;
  /** This machine in the stack's output `topology`. */
  readonly output: pulumi.Output<MachineOutput>;
  /** Number of shards that this machine was made for. The program's present number may differ. */
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
        // An instance that powers itself off is not terminated: it may come back, and recovery replaces it if it does not.
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

/** The DNS record of a machine, a child of `parent`. */
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
 * A hash of what a machine is made from: image, configuration, type and disk. The machine has it in a tag, so `barton roll` knows
 * which running machines are outdated. Passwords are not part of it: otherwise people who may read tags could try to guess them.
 */
export function buildOf(
  imageId: string,
  { config, role, publicData }: { config: Config; role: MachineRole; publicData: CloudConfig },
): string {
  const made = [imageId, publicData, config.instanceTypes[role], config.diskGiB[role]];
  return createHash("sha256").update(JSON.stringify(made)).digest("hex").slice(0, 16);
}
