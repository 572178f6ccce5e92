/** EBS volumes and their attachments. A volume is attached to one instance of its own zone, and outlives it. */
import { createHash } from "node:crypto";
import type { Cloud } from "../cloud.ts";
import { ApiError } from "../errors.ts";
import { arn, newId } from "../names.ts";
import { regionOfZone, textOf } from "../plan.ts";
import type { Inputs, Resource, Store } from "../store.ts";
import { growVolume, makeVolume, plugVolume, removeVolume, unplugVolume } from "../volumes.ts";
import { type Kind, referred, required } from "./kind.ts";

const attachmentType = "ec2/volumeAttachment";
const ofVolume = (volumeId: string) => (each: Resource) => textOf(each, "volumeId") === volumeId;
const ofInstance = (instanceId: string) => (each: Resource) => textOf(each, "instanceId") === instanceId;

function sizeOf(inputs: Inputs): number {
  if (typeof inputs.size === "number") return inputs.size;
  throw new ApiError("MissingParameter", "The request must contain the parameter size or snapshotId");
}

export const volume: Kind = {
  create(_context, inputs) {
    const zone = required(inputs, "availabilityZone");
    sizeOf(inputs);
    const id = newId("vol");
    return {
      id,
      attributes: {
        arn: arn("ec2", regionOfZone(zone), `volume/${id}`),
        createTime: new Date().toISOString(),
        type: "gp2",
        encrypted: false,
      },
    };
  },
  effect: ({ cloud }, { id, inputs }) => makeVolume(cloud.lab, id, sizeOf(inputs)),
  update(_context, resource, inputs) {
    const [before, now] = [sizeOf(resource.inputs), sizeOf(inputs)];
    if (now >= before) return;
    throw new ApiError(
      "InvalidParameterValue",
      `New size (${now}) cannot be smaller than existing size (${before})`,
    );
  },
  updated: ({ cloud }, { id, inputs }) => growVolume(cloud.lab, id, sizeOf(inputs)),
  whyKept({ store }, { id }) {
    const user = store.list(attachmentType).find(ofVolume(id));
    return (
      user &&
      new ApiError("VolumeInUse", `Volume ${id} is currently attached to ${textOf(user, "instanceId")}`)
    );
  },
  async remove({ cloud }, { id }) {
    removeVolume(cloud.lab, id);
  },
};

export const volumeAttachment: Kind = {
  create({ store }, inputs) {
    const { volumeId, instanceId, deviceName } = checkedAttachment(store, inputs);
    const hash = createHash("sha256")
      .update(`${deviceName}-${instanceId}-${volumeId}`)
      .digest()
      .readUInt32BE();
    return { id: `vai-${hash}`, attributes: {} };
  },
  effect: ({ cloud }, resource) => plugIn(cloud, resource),
  remove: ({ cloud }, resource) => plugOut(cloud, resource),
};

function checkedAttachment(store: Store, inputs: Inputs) {
  const volumeId = required(inputs, "volumeId");
  const instanceId = required(inputs, "instanceId");
  const deviceName = required(inputs, "deviceName");
  const wanted = referred(store, "ebs/volume", volumeId, "InvalidVolume.NotFound", "volume");
  const attachments = store.list(attachmentType);
  const user = attachments.find(ofVolume(volumeId));
  if (user) {
    throw new ApiError(
      "VolumeInUse",
      `${volumeId} is already attached to an instance: ${textOf(user, "instanceId")}`,
    );
  }
  const zone = zoneOfRunning(store, instanceId);
  if (zone !== textOf(wanted, "availabilityZone")) {
    throw new ApiError(
      "InvalidVolume.ZoneMismatch",
      `The volume '${volumeId}' is not in the same availability zone as instance '${instanceId}' (${zone})`,
    );
  }
  if (attachments.filter(ofInstance(instanceId)).some((each) => textOf(each, "deviceName") === deviceName)) {
    throw new ApiError(
      "InvalidParameterValue",
      `Invalid value '${deviceName}' for unixDevice. Attachment point ${deviceName} is already in use`,
    );
  }
  return { volumeId, instanceId, deviceName };
}

/** The zone of an instance to which something can be attached, or AWS's error. */
function zoneOfRunning(store: Store, instanceId: string): string {
  const machine = store.instances.get(instanceId);
  if (!machine) {
    throw new ApiError("InvalidInstanceID.NotFound", `The instance ID '${instanceId}' does not exist`);
  }
  if (machine.state !== "running" && machine.state !== "stopped") {
    throw new ApiError("IncorrectState", `Instance '${instanceId}' is not 'running': it is ${machine.state}`);
  }
  const subnet = store.get("ec2/subnet", machine.subnetId);
  return subnet ? textOf(subnet, "availabilityZone") : "";
}

/**
 * Shows the machine its volume, if it is still to have it. Work on one volume happens in turns: the end of the machine that
 * had it and its next attachment may come at once.
 */
function plugIn({ lab, store, turns }: Cloud, attachment: Resource): Promise<void> {
  const [instanceId, volumeId] = endsOf(attachment);
  return turns.take(volumeId, async () => {
    const own = store.list(attachmentType).filter(ofInstance(instanceId));
    // The first NVMe disk is the root's.
    const index = own.findIndex(({ id }) => id === attachment.id) + 1;
    if (index > 0) await plugVolume(lab, instanceId, volumeId, index);
  });
}

/** Takes the volume away from its machine, unless it is another one's by now. */
function plugOut({ lab, store, turns }: Cloud, attachment: Resource): Promise<void> {
  const [instanceId, volumeId] = endsOf(attachment);
  return turns.take(volumeId, async () => {
    if (store.get(attachmentType, attachment.id)) await unplugVolume(lab, instanceId, volumeId);
  });
}

const endsOf = (attachment: Resource) =>
  [textOf(attachment, "instanceId"), textOf(attachment, "volumeId")] as const;

/** A machine that has just come on gets the volumes that are attached to it. */
export async function plugVolumesOf(cloud: Cloud, instanceId: string): Promise<void> {
  for (const each of cloud.store.list(attachmentType).filter(ofInstance(instanceId)))
    await plugIn(cloud, each);
}

/** A machine is off: nothing of it may hold its volumes. They stay attached. */
export async function unplugVolumesOf(cloud: Cloud, instanceId: string): Promise<void> {
  for (const each of cloud.store.list(attachmentType).filter(ofInstance(instanceId)))
    await plugOut(cloud, each);
}

/** The ids of the volumes that are attached to an instance. */
export function volumesOf(store: Store, instanceId: string): string[] {
  return store
    .list(attachmentType)
    .filter(ofInstance(instanceId))
    .map((each) => textOf(each, "volumeId"));
}

/** A terminated instance lets go of its volumes; the caller saves. */
export function detachVolumesOf({ store }: Cloud, instanceId: string): void {
  for (const { type, id } of store.list(attachmentType).filter(ofInstance(instanceId)))
    store.remove(type, id);
}
