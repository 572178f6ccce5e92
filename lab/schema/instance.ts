/** EC2 instances, the images made from them, and their states. */
import type { Failure } from "../plugin/plugin.ts";
import type { Value } from "../plugin/values.ts";
import {
  type ChangeEffect,
  flag,
  type Kind,
  object,
  oneOf,
  scalar,
  setOf,
  tags,
  text,
  wholeNumber,
} from "./kinds.ts";
import { availabilityZone, iamName, id } from "./names.ts";
import { type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/instance.ts";

/** AWS counts user data after base64 is undone: 16 KB. */
const userDataBytesMax = 16 * 1024;

const userData: Kind = scalar(
  "text",
  (value) => typeof value === "string" && sizeVerdict(Buffer.byteLength(value)),
);

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const userDataBase64: Kind = scalar("text in base64", (value) => {
  if (typeof value !== "string" || !base64.test(value)) return false;
  return sizeVerdict(Buffer.from(value, "base64").length);
});

function sizeVerdict(bytes: number): boolean | string {
  if (bytes <= userDataBytesMax) return true;
  return `user data has ${bytes} bytes; AWS allows ${userDataBytesMax} (before base64; gzip is allowed)`;
}

/** In AWS new user data is written to a stopped instance; with the switch the instance is replaced instead. */
const userDataChange = (inputs: Record<string, Value>): ChangeEffect =>
  inputs.userDataReplaceOnChange === true ? "replace" : "update";

export const metadataOptions = object({
  httpEndpoint: { is: oneOf("enabled", "disabled"), change: "update", computed: true },
  httpTokens: { is: oneOf("required", "optional"), change: "update", computed: true },
  httpPutResponseHopLimit: { is: wholeNumber(1, 64), change: "update", computed: true },
  instanceMetadataTags: { is: oneOf("enabled", "disabled"), change: "update", computed: true },
});

const rootBlockDevice = object({
  volumeSize: { is: wholeNumber(1, 16_384), change: "update", computed: true },
  volumeType: { is: oneOf("gp3", "gp2", "io1", "io2", "standard"), change: "update", computed: true },
  iops: { is: wholeNumber(100, 256_000), change: "update", computed: true },
  throughput: { is: wholeNumber(125, 1000), change: "update", computed: true },
  deleteOnTermination: { is: flag, change: "update", computed: true },
  encrypted: { is: flag, change: "replace", computed: true },
  tags: { is: tags, change: "update" },
});

export const instanceType = text('an instance type such as "t3.micro"', /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/);

export const instance: ResourceSchema = {
  type: "aws:ec2/instance:Instance",
  file,
  inputs: {
    ami: { is: id("ami"), required: true, change: "replace" },
    instanceType: {
      is: instanceType,
      required: true,
      change: "update",
    },
    /** Required here: the lab has no default VPC. */
    subnetId: { is: id("subnet"), required: true, change: "replace" },
    availabilityZone: { is: availabilityZone, change: "replace", computed: true },
    vpcSecurityGroupIds: { is: setOf(id("sg")), change: "update", computed: true },
    associatePublicIpAddress: { is: flag, change: "replace", computed: true },
    keyName: { is: text("the name of a key pair", /^[ -~]{1,255}$/), change: "replace", computed: true },
    iamInstanceProfile: { is: iamName(128), change: "update" },
    userData: { is: userData, change: userDataChange },
    userDataBase64: { is: userDataBase64, change: userDataChange },
    userDataReplaceOnChange: { is: flag, change: "update", default: false },
    instanceInitiatedShutdownBehavior: { is: oneOf("stop", "terminate"), change: "update", computed: true },
    metadataOptions: { is: metadataOptions, change: "update", computed: true },
    rootBlockDevice: { is: rootBlockDevice, change: "update", computed: true },
    ...tagged,
    ...regional,
  },
  outputs: {
    arn: stable,
    instanceState: stable,
    privateIp: stable,
    privateDns: stable,
    primaryNetworkInterfaceId: stable,
    // A new type or new user data means a stop and a start, and with it another public address.
    publicIp: ["instanceType", "userData", "userDataBase64"],
    publicDns: ["instanceType", "userData", "userDataBase64"],
  },
  rules: ({ userData, userDataBase64 }): Failure[] =>
    userData !== undefined && userDataBase64 !== undefined
      ? [{ property: "userData", reason: "only one of userData, userDataBase64 may be given" }]
      : [],
  isGone: ({ instanceState }) => instanceState === "terminated" || instanceState === "shutting-down",
};

export const amiFromInstance: ResourceSchema = {
  type: "aws:ec2/amiFromInstance:AmiFromInstance",
  file,
  inputs: {
    name: {
      is: text("a name of 3 to 128 letters, digits, spaces or ()[]./-'@_", /^[\w ()[\]./\-'@]{3,128}$/),
      change: "replace",
      autoNameLengthMax: 128,
    },
    sourceInstanceId: { is: id("i"), required: true, change: "replace" },
    snapshotWithoutReboot: { is: flag, change: "replace", default: false },
    description: { is: text("text of at most 255 characters", /^.{0,255}$/s), change: "update" },
    ...tagged,
    ...regional,
  },
  outputs: {
    arn: stable,
    ownerId: stable,
    architecture: stable,
    rootDeviceName: stable,
    rootSnapshotId: stable,
  },
};

/** Keeps an instance running or stopped. Deleting it leaves the instance as it is, as on AWS. */
export const instanceState: ResourceSchema = {
  type: "aws:ec2transitgateway/instanceState:InstanceState",
  file,
  inputs: {
    instanceId: { is: id("i"), required: true, change: "replace" },
    state: { is: oneOf("running", "stopped"), required: true, change: "update" },
    force: { is: flag, change: "update", default: false },
    ...regional,
  },
  outputs: {},
};
