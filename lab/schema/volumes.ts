/** EBS volumes that are resources of their own, and their attachments. */
import type { Failure } from "../plugin/plugin.ts";
import { flag, oneOf, text, wholeNumber } from "./kinds.ts";
import { availabilityZone, id } from "./names.ts";
import { type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/volumes.ts";

export const volume: ResourceSchema = {
  type: "aws:ebs/volume:Volume",
  file,
  inputs: {
    availabilityZone: { is: availabilityZone, required: true, change: "replace" },
    /** Required here: the lab has no snapshots to take it from. */
    size: { is: wholeNumber(1, 16_384), required: true, change: "update" },
    type: { is: oneOf("gp3", "gp2", "io1", "io2", "standard"), change: "update", computed: true },
    iops: { is: wholeNumber(100, 256_000), change: "update", computed: true },
    throughput: { is: wholeNumber(125, 1000), change: "update", computed: true },
    encrypted: { is: flag, change: "replace", computed: true },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, createTime: stable },
  rules: ({ type, iops, throughput }): Failure[] => [
    ...(throughput !== undefined && type !== "gp3"
      ? [{ property: "throughput", reason: 'only a volume of type "gp3" has it' }]
      : []),
    ...(iops === undefined && (type === "io1" || type === "io2")
      ? [{ property: "iops", reason: `is required by a volume of type "${type}"` }]
      : []),
  ],
};

export const volumeAttachment: ResourceSchema = {
  type: "aws:ec2/volumeAttachment:VolumeAttachment",
  file,
  inputs: {
    deviceName: {
      is: text('a device name such as "/dev/sdf" (f to p)', /^(\/dev\/)?(sd[f-p]|xvd[f-p])$/),
      required: true,
      change: "replace",
    },
    instanceId: { is: id("i"), required: true, change: "replace" },
    volumeId: { is: id("vol"), required: true, change: "replace" },
    /** Takes it away even while the instance uses it. */
    forceDetach: { is: flag, change: "update" },
    ...regional,
  },
  outputs: {},
};
