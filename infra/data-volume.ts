/** The data volume of a redis machine. It outlives every instance that it is attached to (docs/decisions/009). */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { RedisMachine } from "../recovery/topology.ts";
import type { Config } from "./config.ts";

export type DataVolumeArgs = {
  config: Config;
  /** Index into `barton:availabilityZones`: where the machine is. */
  zone: 0 | 1;
  instanceId: pulumi.Input<string>;
};

/**
 * A redis machine's data volume and its attachment, `barton:infra:DataVolume`. The volume is made once. It is deleted neither
 * with its machine nor with the stack.
 *
 * The order of a replacement. The volume must never be attached to two machines:
 * 1. Recovery requests the old instance's power-off (TerminateInstances), which makes EC2 detach the volume once it is off.
 * 2. The new instance is launched at the same time (see machine.ts). Its boot waits for the volume.
 * 3. The old attachment is deleted, which waits until the volume is free: `deleteBeforeReplace`, because EC2 would refuse the
 *    second attachment.
 * 4. The volume is attached to the new instance, which starts its redis servers, all of them replicas.
 * 5. The old instance is forgotten.
 *
 * `forceDetach`: the old instance has failed, so nobody there would unmount the volume. (`stopInstanceBeforeDetaching` fails on
 * an instance that is terminated already.)
 */
export class DataVolume extends pulumi.ComponentResource {
  readonly volume: aws.ebs.Volume;
  readonly attachment: aws.ec2.VolumeAttachment;

  constructor(name: RedisMachine, args: DataVolumeArgs, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:DataVolume", name, {}, options);
    const { config } = args;
    this.volume = new aws.ebs.Volume(
      `${name}-data`,
      {
        availabilityZone: config.availabilityZones[args.zone],
        size: config.dataGiB,
        type: "gp3",
        encrypted: true,
        tags: { Name: `${name}-data.${config.domain}`, "barton:machine": name, "barton:stack": config.stack },
      },
      { parent: this, protect: config.protect, retainOnDelete: true },
    );
    this.attachment = new aws.ec2.VolumeAttachment(
      `${name}-data`,
      {
        // A Nitro instance shows it as an NVMe disk; the machine finds it by its kind (roles/redis/mount-data).
        deviceName: "/dev/sdf",
        volumeId: this.volume.id,
        instanceId: args.instanceId,
        forceDetach: true,
      },
      { parent: this, deleteBeforeReplace: true },
    );
    this.registerOutputs();
  }
}
