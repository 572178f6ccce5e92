/** Security groups and their rules. Inline rules are not emulated: the program uses one resource for each rule. */
import type { Failure } from "../plugin/plugin.ts";
import { unknown, type Value } from "../plugin/values.ts";
import { flag, oneOf, text, wholeNumber } from "./kinds.ts";
import { cidr, id } from "./names.ts";
import { exactlyOne, type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/security-groups.ts";
const description = text(
  "at most 255 letters, digits, spaces or ._-:/()#,@[]+=&;{}!$*",
  /^[\w .\-:/()#,@[\]+=&;{}!$*]{0,255}$/,
);

export const securityGroup: ResourceSchema = {
  type: "aws:ec2/securityGroup:SecurityGroup",
  file,
  inputs: {
    vpcId: { is: id("vpc"), required: true, change: "replace" },
    name: {
      is: text('a name of 1 to 255 characters that does not start with "sg-"', /^(?!sg-).{1,255}$/s),
      change: "replace",
      autoNameLengthMax: 255,
    },
    description: { is: description, change: "replace", default: "Managed by Pulumi" },
    revokeRulesOnDelete: { is: flag, change: "update", default: false },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, ownerId: stable },
};

const rule: Omit<ResourceSchema, "type"> = {
  file,
  inputs: {
    securityGroupId: { is: id("sg"), required: true, change: "replace" },
    ipProtocol: { is: oneOf("tcp", "udp", "icmp", "-1"), required: true, change: "update" },
    fromPort: { is: wholeNumber(-1, 65535), change: "update" },
    toPort: { is: wholeNumber(-1, 65535), change: "update" },
    cidrIpv4: { is: cidr(0, 32), change: "update" },
    referencedSecurityGroupId: { is: id("sg"), change: "update" },
    description: { is: description, change: "update" },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, securityGroupRuleId: stable },
  rules: (inputs) => [
    ...exactlyOne(inputs, "cidrIpv4", "referencedSecurityGroupId"),
    ...portProblems(inputs),
  ],
};

export const ingressRule: ResourceSchema = {
  ...rule,
  type: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
};

export const egressRule: ResourceSchema = {
  ...rule,
  type: "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
};

/** Ports as AWS counts them: none for all protocols, 0-65535 in order for tcp and udp, type and code for icmp. */
function portProblems({ ipProtocol, fromPort, toPort }: Record<string, Value>): Failure[] {
  if (ipProtocol === "-1") {
    if (fromPort === undefined && toPort === undefined) return [];
    return [
      { property: "fromPort", reason: 'ipProtocol "-1" means all ports: leave out fromPort and toPort' },
    ];
  }
  if (ipProtocol === unknown) return [];
  if (fromPort === undefined || toPort === undefined) {
    const property = fromPort === undefined ? "fromPort" : "toPort";
    return [{ property, reason: 'is required unless ipProtocol is "-1"' }];
  }
  if (typeof fromPort !== "number" || typeof toPort !== "number") return [];
  if (ipProtocol === "icmp") {
    const wrong = [fromPort, toPort].find((port) => port > 255);
    return wrong === undefined
      ? []
      : [{ property: "fromPort", reason: "an icmp type or code is at most 255" }];
  }
  if (fromPort < 0 || toPort < 0) return [{ property: "fromPort", reason: "a port is at least 0" }];
  if (fromPort <= toPort) return [];
  return [{ property: "toPort", reason: `is below fromPort: ${fromPort}-${toPort}` }];
}
