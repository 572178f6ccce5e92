/** EBS volumes and their attachments. A volume is attached to one instance of its own zone, and outlives it. */
import { createHash } from "node:crypto";
import { attachmentType, ofInstance, ofVolume, plugIn, plugOut } from "../attachments.ts";
import { ApiError } from "../errors.ts";
import { arn, newId } from "../names.ts";
import { regionOfZone, textOf } from "../plan.ts";
import type { Inputs, Store } from "../store.ts";
import { growVolume, makeVolume, removeVolume } from "../volumes.ts";
import { type Kind, referred, required } from "./kind.ts";

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
