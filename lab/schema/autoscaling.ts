/** Launch templates, and auto scaling groups that launch from them. */
import type { Failure } from "../plugin/plugin.ts";
import type { Value } from "../plugin/values.ts";
import { instanceType, metadataOptions, userDataBase64 } from "./instance.ts";
import { flag, object, oneOf, setOf, tags, text, wholeNumber } from "./kinds.ts";
import { iamName, id } from "./names.ts";
import { type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/autoscaling.ts";

/** AWS's provider keeps these flags as text. */
const textFlag = oneOf("true", "false");

const networkInterface = object({
  associatePublicIpAddress: { is: textFlag, change: "update", computed: true },
  deleteOnTermination: { is: textFlag, change: "update", computed: true },
  securityGroups: { is: setOf(id("sg")), change: "update" },
});

const blockDeviceMapping = object({
  deviceName: { is: text('a device such as "/dev/xvda"', /^\/dev\/[a-z0-9]+$/), change: "update" },
  ebs: {
    is: object({
      volumeSize: { is: wholeNumber(1, 16_384), change: "update", computed: true },
      volumeType: { is: oneOf("gp3", "gp2", "io1", "io2", "standard"), change: "update", computed: true },
      encrypted: { is: textFlag, change: "update", computed: true },
      deleteOnTermination: { is: textFlag, change: "update", computed: true },
    }),
    change: "update",
  },
});

const tagSpecification = object({
  resourceType: { is: oneOf("instance", "volume"), change: "update" },
  tags: { is: tags, change: "update" },
});

/** A change of any of these makes a new version of the template. */
const content = [
  "imageId",
  "instanceType",
  "keyName",
  "iamInstanceProfile",
  "userData",
  "vpcSecurityGroupIds",
  "networkInterfaces",
  "metadataOptions",
  "blockDeviceMappings",
  "tagSpecifications",
  "instanceInitiatedShutdownBehavior",
  "description",
];

export const launchTemplate: ResourceSchema = {
  type: "aws:ec2/launchTemplate:LaunchTemplate",
  file,
  inputs: {
    name: {
      is: text("a name of 3 to 128 letters, digits or ().-/_", /^[\w().\-/]{3,128}$/),
      change: "replace",
      autoNameLengthMax: 125,
    },
    description: { is: text("text of at most 255 characters", /^.{0,255}$/s), change: "update" },
    imageId: { is: id("ami"), change: "update" },
    instanceType: { is: instanceType, change: "update" },
    keyName: { is: text("the name of a key pair", /^[ -~]{1,255}$/), change: "update" },
    iamInstanceProfile: { is: object({ name: { is: iamName(128), change: "update" } }), change: "update" },
    userData: { is: userDataBase64, change: "update" },
    vpcSecurityGroupIds: { is: setOf(id("sg")), change: "update" },
    networkInterfaces: { is: setOf(networkInterface), change: "update" },
    metadataOptions: { is: metadataOptions, change: "update", computed: true },
    blockDeviceMappings: { is: setOf(blockDeviceMapping), change: "update" },
    tagSpecifications: { is: setOf(tagSpecification), change: "update" },
    instanceInitiatedShutdownBehavior: { is: oneOf("stop", "terminate"), change: "update" },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, defaultVersion: stable, latestVersion: content },
  rules: templateProblems,
};

function templateProblems({ networkInterfaces, vpcSecurityGroupIds }: Record<string, Value>): Failure[] {
  if (!Array.isArray(networkInterfaces) || networkInterfaces.length === 0) return [];
  const failures: Failure[] = [];
  if (networkInterfaces.length > 1) {
    failures.push({ property: "networkInterfaces", reason: "the lab's machines have one network interface" });
  }
  if (vpcSecurityGroupIds !== undefined) {
    const reason = "network interfaces are given: the security groups belong into them (securityGroups)";
    failures.push({ property: "vpcSecurityGroupIds", reason });
  }
  return failures;
}

/** As many instances as desired, launched from the newest version of a template. */
export const group: ResourceSchema = {
  type: "aws:autoscaling/group:Group",
  file,
  inputs: {
    name: {
      is: text("a name of 1 to 255 characters without a colon", /^[^:]{1,255}$/),
      change: "replace",
      autoNameLengthMax: 255,
    },
    minSize: { is: wholeNumber(0, 100), required: true, change: "update" },
    maxSize: { is: wholeNumber(0, 100), required: true, change: "update" },
    desiredCapacity: { is: wholeNumber(0, 100), change: "update", computed: true },
    /** Required here: the lab has no default VPC. */
    vpcZoneIdentifiers: { is: setOf(id("subnet"), 1), required: true, change: "update" },
    launchTemplate: {
      is: object({
        id: { is: id("lt"), required: true, change: "update" },
        // The lab keeps the newest version alone.
        version: { is: oneOf("$Latest"), required: true, change: "update" },
      }),
      required: true,
      change: "update",
    },
    healthCheckType: { is: oneOf("EC2"), change: "update", default: "EC2" },
    healthCheckGracePeriod: { is: wholeNumber(0, 7200), change: "update", default: 300 },
    forceDelete: { is: flag, change: "update", default: false },
    ...regional,
  },
  outputs: { arn: stable },
  rules: groupProblems,
};

function groupProblems(inputs: Record<string, Value>): Failure[] {
  const { minSize, maxSize, desiredCapacity = minSize } = inputs;
  const sizes = [minSize, desiredCapacity, maxSize];
  if (!sizes.every((size) => typeof size === "number")) return [];
  const [min, desired, max] = sizes as [number, number, number];
  if (min <= desired && desired <= max) return [];
  const reason = `expected minSize ≤ desiredCapacity ≤ maxSize, got ${min}, ${desired}, ${max}`;
  return [{ property: "desiredCapacity", reason }];
}
