/** VPC, subnets, gateway and routes. */
import { flag, oneOf, type Property } from "./kinds.ts";
import { availabilityZone, cidr, id } from "./names.ts";
import { type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/network.ts";
const vpcId = { is: id("vpc"), required: true, change: "replace" } as const satisfies Property;

export const vpc: ResourceSchema = {
  type: "aws:ec2/vpc:Vpc",
  file,
  inputs: {
    cidrBlock: { is: cidr(16, 28), required: true, change: "replace" },
    enableDnsSupport: { is: flag, change: "update", default: true },
    enableDnsHostnames: { is: flag, change: "update", computed: true },
    instanceTenancy: { is: oneOf("default"), change: "update", default: "default" },
    ...tagged,
    ...regional,
  },
  outputs: {
    arn: stable,
    ownerId: stable,
    mainRouteTableId: stable,
    defaultRouteTableId: stable,
    defaultSecurityGroupId: stable,
    defaultNetworkAclId: stable,
    dhcpOptionsId: stable,
  },
};

export const subnet: ResourceSchema = {
  type: "aws:ec2/subnet:Subnet",
  file,
  inputs: {
    vpcId,
    cidrBlock: { is: cidr(16, 28), required: true, change: "replace" },
    availabilityZone: { is: availabilityZone, change: "replace", computed: true },
    mapPublicIpOnLaunch: { is: flag, change: "update", default: false },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, ownerId: stable, availabilityZoneId: stable },
};

export const internetGateway: ResourceSchema = {
  type: "aws:ec2/internetGateway:InternetGateway",
  file,
  inputs: { vpcId: { is: id("vpc"), change: "update" }, ...tagged, ...regional },
  outputs: { arn: stable, ownerId: stable },
};

export const routeTable: ResourceSchema = {
  type: "aws:ec2/routeTable:RouteTable",
  file,
  inputs: { vpcId, ...tagged, ...regional },
  outputs: { arn: stable, ownerId: stable },
};

export const route: ResourceSchema = {
  type: "aws:ec2/route:Route",
  file,
  inputs: {
    routeTableId: { is: id("rtb"), required: true, change: "replace" },
    destinationCidrBlock: { is: cidr(0, 32), required: true, change: "replace" },
    gatewayId: { is: id("igw"), required: true, change: "update" },
    ...regional,
  },
  outputs: { origin: stable, state: stable },
};

export const routeTableAssociation: ResourceSchema = {
  type: "aws:ec2/routeTableAssociation:RouteTableAssociation",
  file,
  inputs: {
    subnetId: { is: id("subnet"), required: true, change: "replace" },
    routeTableId: { is: id("rtb"), required: true, change: "update" },
    ...regional,
  },
  outputs: {},
};
