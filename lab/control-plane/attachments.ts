/** Attachments of EBS volumes: which instance has which volume, and how a machine gets and loses its volumes. */
import type { Cloud } from "./cloud.ts";
import { textOf } from "./plan.ts";
import type { Resource, Store } from "./store.ts";
import { plugVolume, unplugVolume } from "./volumes.ts";

export const attachmentType = "ec2/volumeAttachment";
export const ofVolume = (volumeId: string) => (each: Resource) => textOf(each, "volumeId") === volumeId;
export const ofInstance = (instanceId: string) => (each: Resource) =>
  textOf(each, "instanceId") === instanceId;

/**
 * Shows the machine its volume, if it is still to have it. Work on one volume happens in turns: the end of the machine that
 * had it and its next attachment may come at once.
 */
export function plugIn({ lab, store, turns }: Cloud, attachment: Resource): Promise<void> {
  const [instanceId, volumeId] = endsOf(attachment);
  return turns.take(volumeId, async () => {
    const own = store.list(attachmentType).filter(ofInstance(instanceId));
    // The first NVMe disk is the root's.
    const index = own.findIndex(({ id }) => id === attachment.id) + 1;
    if (index > 0) await plugVolume(lab, instanceId, volumeId, index);
  });
}

/** Takes the volume away from its machine, unless it is another one's by now. */
export function plugOut({ lab, store, turns }: Cloud, attachment: Resource): Promise<void> {
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
