/** Security groups and their rules; firewall.ts makes nftables rules of them. */
import { ApiError, inUse } from "../errors.ts";
import { accountId, arn, newId } from "../names.ts";
import { exists, groupsOf, regionOfVpc, textOf } from "../plan.ts";
import type { Inputs, Resource, Store } from "../store.ts";
import { type Kind, referred, required } from "./kind.ts";

const ruleTypes = ["vpc/securityGroupIngressRule", "vpc/securityGroupEgressRule"];

/** A group by its id, or AWS's error. */
export function groupOf(store: Store, id: string): Resource {
  return referred(store, "ec2/securityGroup", id, "InvalidGroup.NotFound", "security group");
}

export const securityGroup: Kind = {
  create({ store }, inputs) {
    const vpcId = required(inputs, "vpcId");
    referred(store, "ec2/vpc", vpcId, "InvalidVpcID.NotFound", "vpc ID");
    const id = newId("sg");
    const name = typeof inputs.name === "string" ? inputs.name : `terraform-${id.slice(3)}`;
    const other = store
      .list("ec2/securityGroup")
      .find((each) => textOf(each, "vpcId") === vpcId && textOf(each, "name") === name);
    if (other) {
      throw new ApiError(
        "InvalidGroup.Duplicate",
        `The security group '${name}' already exists for VPC '${vpcId}'`,
      );
    }
    const groupArn = arn("ec2", regionOfVpc(store, vpcId), `security-group/${id}`);
    return { id, attributes: { name, arn: groupArn, ownerId: accountId } };
  },
  whyKept({ store }, { id }) {
    const user = [...store.instances.values()].find(
      (each) => exists(each) && groupsOf(store, each).includes(id),
    );
    if (user) return inUse(`resource ${id}`, `instance ${user.id}`);
    const rule = rules(store).find(
      (each) => textOf(each, "referencedSecurityGroupId") === id && textOf(each, "securityGroupId") !== id,
    );
    return (
      rule && inUse(`resource ${id}`, `rule ${rule.id} of ${textOf(rule, "securityGroupId")} refers to it`)
    );
  },
  async remove({ store }, { id }) {
    for (const each of rules(store))
      if (textOf(each, "securityGroupId") === id) store.remove(each.type, each.id);
  },
};

function rules(store: Store): Resource[] {
  return ruleTypes.flatMap((type) => store.list(type));
}

/** What makes two rules of one group the same. */
const identity = [
  "securityGroupId",
  "ipProtocol",
  "fromPort",
  "toPort",
  "cidrIpv4",
  "referencedSecurityGroupId",
];

function rule(type: string): Kind {
  const check = (store: Store, inputs: Inputs, self?: string) => {
    const group = groupOf(store, required(inputs, "securityGroupId"));
    if (typeof inputs.referencedSecurityGroupId === "string")
      groupOf(store, inputs.referencedSecurityGroupId);
    const same = store
      .list(type)
      .find((each) => each.id !== self && identity.every((name) => each.inputs[name] === inputs[name]));
    if (same) {
      throw new ApiError(
        "InvalidPermission.Duplicate",
        `the specified rule already exists in ${group.id}: ${same.id}`,
      );
    }
    return group;
  };
  return {
    create({ store }, inputs) {
      const group = check(store, inputs);
      const id = newId("sgr");
      const region = regionOfVpc(store, textOf(group, "vpcId"));
      return {
        id,
        attributes: { securityGroupRuleId: id, arn: arn("ec2", region, `security-group-rule/${id}`) },
      };
    },
    update({ store }, resource, inputs) {
      check(store, inputs, resource.id);
    },
  };
}

export const ingressRule = rule("vpc/securityGroupIngressRule");
export const egressRule = rule("vpc/securityGroupEgressRule");
