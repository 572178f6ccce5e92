/**
 * Launch templates and auto scaling groups. A group keeps the desired number of healthy instances. It launches ordinary instances from
 * the newest version of its template. Its health checks are in ../autoscaling.ts.
 */
import { ApiError } from "../errors.ts";
import { arn, newId } from "../names.ts";
import { exists, tagsOf, textOf, textsOf } from "../plan.ts";
import type { Inputs, Instance, Json, Resource, Store } from "../store.ts";
import { instance } from "./instances.ts";
import { type Context, createResource, type Kind, referred, required } from "./kind.ts";

/** By this tag AWS marks what a group has launched. */
export const groupTag = "aws:autoscaling:groupName";

export const launchTemplate: Kind = {
  create({ store }, inputs) {
    const name = required(inputs, "name");
    if (store.list("ec2/launchTemplate").some((other) => textOf(other, "name") === name)) {
      throw new ApiError(
        "InvalidLaunchTemplateName.AlreadyExistsException",
        `Launch template name already in use: ${name}`,
      );
    }
    const id = newId("lt");
    return {
      id,
      attributes: {
        arn: arn("ec2", regionOf(inputs), `launch-template/${id}`),
        defaultVersion: 1,
        latestVersion: 1,
      },
    };
  },
  async updated({ store }, resource) {
    resource.attributes.latestVersion = Number(resource.attributes.latestVersion) + 1;
    store.save();
  },
};

export const group: Kind = {
  create(context, inputs) {
    const { store } = context;
    const name = required(inputs, "name");
    if (store.get("autoscaling/group", name)) {
      throw new ApiError("AlreadyExists", `AutoScalingGroup by this name already exists: ${name}`, 409);
    }
    // What cannot be launched is told now, as AWS does.
    instance.create(context, memberInputs(store, name, inputs));
    const resource = `autoScalingGroup:${newId("g").slice(2)}:autoScalingGroupName/${name}`;
    return { id: name, attributes: { arn: arn("autoscaling", regionOf(inputs), resource) } };
  },
  // As Pulumi's provider, which waits for the capacity.
  effect: settleGroup,
  update(context, { id }, inputs) {
    instance.create(context, memberInputs(context.store, id, inputs));
  },
  updated: settleGroup,
  describe: (_context, { inputs }) => ({ desiredCapacity: desiredOf(inputs) }),
  async remove(context, resource) {
    const { id } = resource;
    resource.inputs = { ...resource.inputs, minSize: 0, desiredCapacity: 0 };
    await Promise.all(membersOf(context.store, id).map((member) => context.lifecycle.terminate(member.id)));
  },
};

const regionOf = (inputs: Inputs) => (typeof inputs.region === "string" ? inputs.region : "eu-central-1");
const desiredOf = ({ desiredCapacity, minSize }: Inputs) => Number(desiredCapacity ?? minSize ?? 0);

/** Instances of the group that are not terminated, the oldest first. */
export function membersOf(store: Store, group: string): Instance[] {
  return [...store.instances.values()].filter((each) => {
    const resource = store.get("ec2/instance", each.id);
    return exists(each) && resource !== undefined && tagsOf(resource)[groupTag] === group;
  });
}

/** Launches what is missing and ends what is too much; what is on its way out does not count any more. */
export function settleGroup(context: Context, { id }: Resource): Promise<void> {
  return context.cloud.turns.take(`group ${id}`, async () => {
    const { store, lifecycle } = context;
    const inputs = store.get("autoscaling/group", id)?.inputs;
    if (inputs === undefined) return;
    const serving = membersOf(store, id).filter(({ state }) => state !== "shutting-down");
    for (const surplus of serving.slice(desiredOf(inputs))) await lifecycle.terminate(surplus.id);
    for (let count = serving.length; count < desiredOf(inputs); count++) {
      if (store.faults.some((fault) => fault.kind === "api" && fault.mode === "full")) {
        throw new ApiError("InsufficientInstanceCapacity", "the fault `api full` is in effect", 503);
      }
      await createResource(context, instance, "ec2/instance", memberInputs(store, id, inputs));
    }
  });
}

/** The inputs of a new member: the template, in the terms of an instance, and the group's subnet. */
function memberInputs(store: Store, groupName: string, inputs: Inputs): Inputs {
  const { id } = (inputs.launchTemplate ?? {}) as { id?: string };
  const what = "launch template ID";
  const template = referred(store, "ec2/launchTemplate", id ?? "", "InvalidLaunchTemplateId.NotFound", what);
  const given = template.inputs;
  const [subnetId] = textsOf({ inputs, attributes: {} } as unknown as Resource, "vpcZoneIdentifiers");
  const [networkInterface] = listOf(given.networkInterfaces);
  const [disk] = listOf(given.blockDeviceMappings);
  const { volumeSize } = (disk?.ebs ?? {}) as { volumeSize?: number };
  const profile = (given.iamInstanceProfile ?? {}) as { name?: string };
  const tags = listOf(given.tagSpecifications).find(({ resourceType }) => resourceType === "instance")?.tags;
  return {
    ami: given.imageId,
    instanceType: given.instanceType,
    keyName: given.keyName,
    iamInstanceProfile: profile.name,
    userDataBase64: given.userData,
    metadataOptions: given.metadataOptions,
    instanceInitiatedShutdownBehavior: given.instanceInitiatedShutdownBehavior,
    vpcSecurityGroupIds: networkInterface?.securityGroups ?? given.vpcSecurityGroupIds,
    subnetId,
    ...(volumeSize === undefined ? {} : { rootBlockDevice: { volumeSize } }),
    tagsAll: { ...((tags ?? {}) as Record<string, string>), [groupTag]: groupName },
  };
}

function listOf(value: Json | undefined): Record<string, Json>[] {
  return Array.isArray(value) ? (value as Record<string, Json>[]) : [];
}
