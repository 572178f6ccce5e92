/** Instances, the images made from them, and their states. */
import { baseAmi, baseImageDir } from "../../image/base.ts";
import { gatewayOf, nextAddress } from "../addresses.ts";
import { ApiError } from "../errors.ts";
import { accountId, arn, macOf, newId, privateDnsName } from "../names.ts";
import { exists, groupsOf, regionOfVpc, regionOfZone, tagsOf, textOf, textsOf } from "../plan.ts";
import type { Inputs, Instance, Json, Resource, Store } from "../store.ts";
import { type Context, type Kind, referred, required } from "./kind.ts";
import { groupOf } from "./security-groups.ts";

/** The layers that an AMI stands for, the topmost first. */
function layersOf({ cloud, store }: Context, ami: string): string[] {
  if (ami === baseAmi) return [baseImageDir(cloud.lab)];
  const image = store.images.get(ami);
  if (image) return image.layers;
  throw new ApiError("InvalidAMIID.NotFound", `The image id '[${ami}]' does not exist`);
}

function subnetOf(store: Store, id: string): Resource {
  return referred(store, "ec2/subnet", id, "InvalidSubnetID.NotFound", "subnet ID");
}

/** What the inputs refer to must exist, and in the instance's own VPC. */
function checkReferences(context: Context, inputs: Inputs): void {
  const { store } = context;
  const subnet = subnetOf(store, required(inputs, "subnetId"));
  const vpcId = textOf(subnet, "vpcId");
  for (const groupId of textsOf({ inputs, attributes: {} } as unknown as Resource, "vpcSecurityGroupIds")) {
    if (textOf(groupOf(store, groupId), "vpcId") !== vpcId) {
      throw new ApiError(
        "InvalidParameter",
        `Security group ${groupId} and subnet ${subnet.id} belong to different networks.`,
      );
    }
  }
  if (typeof inputs.keyName === "string" && !store.get("ec2/keyPair", inputs.keyName)) {
    throw new ApiError("InvalidKeyPair.NotFound", `The key pair '${inputs.keyName}' does not exist`);
  }
  const profile = inputs.iamInstanceProfile;
  if (typeof profile === "string" && profile !== "" && !store.get("iam/instanceProfile", profile)) {
    throw new ApiError(
      "InvalidParameterValue",
      `Value (${profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`,
    );
  }
  const zone = textOf(subnet, "availabilityZone");
  if (typeof inputs.availabilityZone === "string" && inputs.availabilityZone !== zone) {
    throw new ApiError(
      "InvalidParameterValue",
      `Value (${inputs.availabilityZone}) for parameter availabilityZone is invalid. The specified subnet is in ${zone}`,
    );
  }
}

/** An address for a new instance. Addresses of instances that ended lately are used last: others may remember them. */
function newAddress(store: Store, subnet: Resource): string {
  const cidr = textOf(subnet, "cidrBlock");
  const inSubnet = [...store.instances.values()].filter((each) => each.subnetId === subnet.id);
  const last = inSubnet.at(-1)?.privateIp;
  const remembered = new Set([gatewayOf(cidr), ...inSubnet.map((each) => each.privateIp)]);
  const held = new Set([gatewayOf(cidr), ...inSubnet.filter(exists).map((each) => each.privateIp)]);
  const address = nextAddress(cidr, remembered, last) ?? nextAddress(cidr, held, last);
  if (address) return address;
  throw new ApiError(
    "InsufficientFreeAddressesInSubnet",
    `The subnet ${subnet.id} (${cidr}) has no free address`,
  );
}

export const instance: Kind = {
  forgets: false,
  create(context, inputs) {
    const { store } = context;
    checkReferences(context, inputs);
    layersOf(context, required(inputs, "ami"));
    const subnet = subnetOf(store, required(inputs, "subnetId"));
    newAddress(store, subnet);
    const id = newId("i");
    const region = regionOfZone(textOf(subnet, "availabilityZone"));
    return {
      id,
      attributes: { arn: arn("ec2", region, `instance/${id}`), primaryNetworkInterfaceId: newId("eni") },
    };
  },
  async effect(context, { id, inputs }) {
    const { store, lifecycle } = context;
    const subnet = subnetOf(store, required(inputs, "subnetId"));
    store.instances.set(id, {
      id,
      state: "pending",
      launchTime: new Date().toISOString(),
      subnetId: subnet.id,
      mac: macOf(id),
      privateIp: newAddress(store, subnet),
      layers: layersOf(context, required(inputs, "ami")),
    });
    store.save();
    await lifecycle.launch(id);
  },
  describe({ store }, resource) {
    const machine = store.instances.get(resource.id);
    return machine ? instanceOutputs(store, resource, machine) : { instanceState: "terminated" };
  },
  update(context, resource, inputs) {
    const machine = context.store.instances.get(resource.id);
    if (!machine || !exists(machine)) {
      throw new ApiError(
        "IncorrectInstanceState",
        `The instance '${resource.id}' is not in a state in which it can be changed`,
      );
    }
    checkReferences(context, inputs);
  },
  async updated({ store, lifecycle }, resource, before) {
    // AWS takes these on a stopped instance only; its provider stops and starts it.
    const offline = ["instanceType", "userData", "userDataBase64"];
    const changed = offline.some((name) => resource.inputs[name] !== before[name]);
    if (!changed || store.instances.get(resource.id)?.state !== "running") return;
    await lifecycle.stop(resource.id);
    await lifecycle.start(resource.id);
  },
  async remove({ lifecycle, store }, { id }) {
    if (store.instances.has(id)) await lifecycle.terminate(id);
  },
};

function instanceOutputs(
  store: Store,
  resource: Resource,
  machine: Instance,
): Record<string, Json | undefined> {
  const subnet = store.get("ec2/subnet", machine.subnetId);
  const zone = subnet ? textOf(subnet, "availabilityZone") : textOf(resource, "availabilityZone");
  const here = exists(machine);
  return {
    instanceState: machine.state,
    availabilityZone: zone,
    privateIp: here ? machine.privateIp : "",
    privateDns: here ? privateDnsName(machine.privateIp, regionOfZone(zone)) : "",
    // The lab has no internet, and so no public addresses.
    publicIp: "",
    publicDns: "",
    vpcSecurityGroupIds: here ? groupsOf(store, machine) : textsOf(resource, "vpcSecurityGroupIds"),
  };
}

export const amiFromInstance: Kind = {
  create({ store }, inputs) {
    const name = required(inputs, "name");
    const sourceId = required(inputs, "sourceInstanceId");
    const source = store.instances.get(sourceId);
    if (!source)
      throw new ApiError("InvalidInstanceID.NotFound", `The instance ID '${sourceId}' does not exist`);
    if (source.state !== "running" && source.state !== "stopped") {
      throw new ApiError(
        "IncorrectState",
        `The instance ${sourceId} is ${source.state}; an image needs it running or stopped`,
      );
    }
    const other = store.list("ec2/amiFromInstance").find((each) => textOf(each, "name") === name);
    if (other)
      throw new ApiError("InvalidAMIName.Duplicate", `AMI name ${name} is already in use by AMI ${other.id}`);
    const id = newId("ami");
    const subnet = store.get("ec2/subnet", source.subnetId);
    return {
      id,
      attributes: {
        arn: `arn:aws:ec2:${subnet ? regionOfVpc(store, textOf(subnet, "vpcId")) : "eu-central-1"}::image/${id}`,
        ownerId: accountId,
        architecture: process.arch === "arm64" ? "arm64" : "x86_64",
        rootDeviceName: "/dev/xvda",
        rootSnapshotId: newId("snap"),
      },
    };
  },
  async effect({ lifecycle }, { id, inputs }) {
    await lifecycle.image(required(inputs, "sourceInstanceId"), id, inputs.snapshotWithoutReboot === true);
  },
  async remove({ store, lifecycle }, { id }) {
    store.images.delete(id);
    lifecycle.collectLayers();
  },
};

export const instanceState: Kind = {
  create({ store }, inputs) {
    const id = required(inputs, "instanceId");
    const machine = store.instances.get(id);
    if (!machine || !exists(machine)) {
      throw new ApiError("InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
    }
    return { id, attributes: {} };
  },
  effect: (context, resource) => bringTo(context, resource),
  updated: (context, resource) => bringTo(context, resource),
  describe({ store }, { id }) {
    return { state: store.instances.get(id)?.state ?? "terminated" };
  },
};

/** Whatever the instance is doing now, it ends in the wanted state. */
async function bringTo({ lifecycle }: Context, { id, inputs }: Resource): Promise<void> {
  if (inputs.state === "stopped") await lifecycle.stop(id, inputs.force === true);
  else await lifecycle.start(id);
}

/** The name by which people call the machine: its tag `barton:machine`, else `Name` without the domain. */
export function machineName(resource: Resource): string {
  const tags = tagsOf(resource);
  return tags["barton:machine"] ?? tags.Name?.split(".")[0] ?? resource.id;
}
