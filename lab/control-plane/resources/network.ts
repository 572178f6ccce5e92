/** VPC, subnets, gateway and routes. Routes and gateways have no effect on one host: they are recorded and checked. */
import { createHash } from "node:crypto";
import { contains, overlaps } from "../addresses.ts";
import { ApiError, inUse } from "../errors.ts";
import { accountId, arn, newId } from "../names.ts";
import { exists, regionOfVpc, regionOfZone, textOf, vpcsOfZone } from "../plan.ts";
import type { Store } from "../store.ts";
import { type Kind, referred, required } from "./kind.ts";

/** AWS's default quota. */
const vpcsMax = 5;

function vpcOf(store: Store, id: string) {
  return referred(store, "ec2/vpc", id, "InvalidVpcID.NotFound", "vpc ID");
}

function routeTableOf(store: Store, id: string) {
  return referred(store, "ec2/routeTable", id, "InvalidRouteTableID.NotFound", "routeTable ID");
}

const owned = (type: string, id: string, region = "eu-central-1") => ({
  arn: arn("ec2", region, `${type}/${id}`),
  ownerId: accountId,
});

export const vpc: Kind = {
  create({ store }, inputs) {
    const cidrBlock = required(inputs, "cidrBlock");
    const others = store.list("ec2/vpc");
    if (others.length >= vpcsMax) {
      throw new ApiError("VpcLimitExceeded", `The maximum number of VPCs has been reached: ${vpcsMax}`);
    }
    const other = others.find((each) => overlaps(textOf(each, "cidrBlock"), cidrBlock));
    if (other) {
      throw new ApiError(
        "InvalidVpc.Range",
        `The CIDR '${cidrBlock}' overlaps with ${other.id} (${textOf(other, "cidrBlock")}): the VPCs of one lab share a router`,
      );
    }
    const id = newId("vpc");
    const attributes = {
      ...owned("vpc", id),
      defaultSecurityGroupId: newId("sg"),
      mainRouteTableId: newId("rtb"),
      defaultNetworkAclId: newId("acl"),
      dhcpOptionsId: newId("dopt"),
      enableDnsHostnames: false,
    };
    return { id, attributes: { ...attributes, defaultRouteTableId: attributes.mainRouteTableId } };
  },
  async effect({ store }, resource) {
    store.put({
      type: "ec2/securityGroup",
      id: textOf(resource, "defaultSecurityGroupId"),
      inputs: { vpcId: resource.id, name: "default", description: "default VPC security group" },
      attributes: owned("security-group", textOf(resource, "defaultSecurityGroupId")),
    });
    store.put({
      type: "ec2/routeTable",
      id: textOf(resource, "mainRouteTableId"),
      inputs: { vpcId: resource.id },
      attributes: owned("route-table", textOf(resource, "mainRouteTableId")),
    });
  },
  whyKept({ store }, { id, attributes }) {
    const own = [attributes.defaultSecurityGroupId, attributes.mainRouteTableId];
    for (const type of ["ec2/subnet", "ec2/internetGateway", "ec2/securityGroup", "ec2/routeTable"]) {
      const left = store.list(type).find((each) => textOf(each, "vpcId") === id && !own.includes(each.id));
      if (left) return inUse(`The vpc '${id}'`, left.id);
    }
    const zone = store.list("route53/zone").find((each) => vpcsOfZone(each).includes(id));
    return zone && inUse(`The vpc '${id}'`, `hosted zone ${zone.id}`);
  },
  async remove({ store }, { attributes }) {
    store.remove("ec2/securityGroup", String(attributes.defaultSecurityGroupId));
    store.remove("ec2/routeTable", String(attributes.mainRouteTableId));
  },
};

export const subnet: Kind = {
  create({ store }, inputs) {
    const cidrBlock = required(inputs, "cidrBlock");
    const owner = vpcOf(store, required(inputs, "vpcId"));
    if (!contains(textOf(owner, "cidrBlock"), cidrBlock)) {
      throw new ApiError(
        "InvalidSubnet.Range",
        `The CIDR '${cidrBlock}' is invalid: it is not within ${textOf(owner, "cidrBlock")} of ${owner.id}`,
      );
    }
    const other = store.list("ec2/subnet").find((each) => overlaps(textOf(each, "cidrBlock"), cidrBlock));
    if (other) {
      throw new ApiError(
        "InvalidSubnet.Conflict",
        `The CIDR '${cidrBlock}' conflicts with another subnet, ${other.id}`,
      );
    }
    const id = newId("subnet");
    const given = inputs.availabilityZone;
    const availabilityZone = typeof given === "string" ? given : `${regionOfVpc(store, owner.id)}a`;
    const zoneNumber = availabilityZone.charCodeAt(availabilityZone.length - 1) - "a".charCodeAt(0) + 1;
    return {
      id,
      attributes: {
        ...owned("subnet", id, regionOfZone(availabilityZone)),
        availabilityZone,
        availabilityZoneId: `${zoneIdPrefix(regionOfZone(availabilityZone))}-az${zoneNumber}`,
      },
    };
  },
  whyKept({ store }, { id }) {
    const user = [...store.instances.values()].find((each) => exists(each) && each.subnetId === id);
    return user && inUse(`The subnet '${id}'`, `instance ${user.id}`);
  },
  async remove({ store }, { id }) {
    for (const each of store.list("ec2/routeTableAssociation")) {
      if (textOf(each, "subnetId") === id) store.remove(each.type, each.id);
    }
  },
};

/** `eu-central-1` → `euc1`, as in the ids of availability zones. */
function zoneIdPrefix(region: string): string {
  const [area = "", direction = "", number = ""] = region.split("-");
  const letters: Record<string, string> = {
    northeast: "ne",
    northwest: "nw",
    southeast: "se",
    southwest: "sw",
  };
  return `${area}${letters[direction] ?? direction[0] ?? ""}${number}`;
}

export const internetGateway: Kind = {
  create({ store }, inputs) {
    attachable(store, inputs.vpcId);
    const id = newId("igw");
    return { id, attributes: owned("internet-gateway", id) };
  },
  update({ store }, resource, inputs) {
    if (inputs.vpcId !== resource.inputs.vpcId) attachable(store, inputs.vpcId);
  },
  async remove({ store }, { id }) {
    // Routes through it stay, as on AWS: black holes.
    for (const each of store.list("ec2/route")) {
      if (textOf(each, "gatewayId") === id)
        store.put({ ...each, attributes: { ...each.attributes, state: "blackhole" } });
    }
  },
};

function attachable(store: Store, vpcId: unknown): void {
  if (typeof vpcId !== "string") return;
  vpcOf(store, vpcId);
  const other = store.list("ec2/internetGateway").find((each) => textOf(each, "vpcId") === vpcId);
  if (other) {
    throw new ApiError(
      "Resource.AlreadyAssociated",
      `Network ${vpcId} already has an internet gateway attached: ${other.id}`,
    );
  }
}

export const routeTable: Kind = {
  create({ store }, inputs) {
    vpcOf(store, required(inputs, "vpcId"));
    const id = newId("rtb");
    return { id, attributes: owned("route-table", id) };
  },
  whyKept({ store }, { id }) {
    const user = store.list("ec2/routeTableAssociation").find((each) => textOf(each, "routeTableId") === id);
    return user && inUse(`The routeTable '${id}'`, `it is associated with ${textOf(user, "subnetId")}`);
  },
  async remove({ store }, { id }) {
    for (const each of store.list("ec2/route")) {
      if (textOf(each, "routeTableId") === id) store.remove(each.type, each.id);
    }
  },
};

export const route: Kind = {
  create({ store }, inputs) {
    const table = routeTableOf(store, required(inputs, "routeTableId"));
    const destination = required(inputs, "destinationCidrBlock");
    gatewayFor(store, required(inputs, "gatewayId"), textOf(table, "vpcId"));
    const other = store
      .list("ec2/route")
      .find(
        (each) =>
          textOf(each, "routeTableId") === table.id && textOf(each, "destinationCidrBlock") === destination,
      );
    if (other) {
      throw new ApiError(
        "RouteAlreadyExists",
        `The route identified by ${destination} already exists in ${table.id}`,
      );
    }
    const suffix = createHash("sha256").update(destination).digest().readUInt32BE();
    return { id: `r-${table.id}${suffix}`, attributes: { origin: "CreateRoute", state: "active" } };
  },
  update({ store }, resource, inputs) {
    const table = routeTableOf(store, textOf(resource, "routeTableId"));
    gatewayFor(store, required(inputs, "gatewayId"), textOf(table, "vpcId"));
    resource.attributes.state = "active";
  },
};

function gatewayFor(store: Store, id: string, vpcId: string): void {
  const gateway = referred(store, "ec2/internetGateway", id, "InvalidGatewayID.NotFound", "gateway ID");
  if (textOf(gateway, "vpcId") !== vpcId) {
    throw new ApiError(
      "InvalidParameterValue",
      `route table and network gateway ${id} belong to different networks`,
    );
  }
}

export const routeTableAssociation: Kind = {
  create({ store }, inputs) {
    const target = referred(
      store,
      "ec2/subnet",
      required(inputs, "subnetId"),
      "InvalidSubnetID.NotFound",
      "subnet ID",
    );
    sameVpc(store, required(inputs, "routeTableId"), textOf(target, "vpcId"));
    const other = store
      .list("ec2/routeTableAssociation")
      .find((each) => textOf(each, "subnetId") === target.id);
    if (other) {
      throw new ApiError(
        "Resource.AlreadyAssociated",
        `the specified association for route table ${textOf(other, "routeTableId")} conflicts with an existing association of ${target.id}`,
      );
    }
    return { id: newId("rtbassoc"), attributes: {} };
  },
  update({ store }, resource, inputs) {
    const target = store.get("ec2/subnet", textOf(resource, "subnetId"));
    sameVpc(store, required(inputs, "routeTableId"), target ? textOf(target, "vpcId") : "");
  },
};

function sameVpc(store: Store, routeTableId: string, vpcId: string): void {
  if (textOf(routeTableOf(store, routeTableId), "vpcId") === vpcId) return;
  throw new ApiError(
    "InvalidParameterValue",
    `Route table ${routeTableId} and the subnet belong to different networks`,
  );
}
