/**
 * Computes bridges, resolvers and firewalls of the host from the resources. Pure: it reads only the store. After any change of a
 * resource everything is computed again, and the differences are applied.
 */
import { gatewayOf, resolverOf } from "./addresses.ts";
import type { HostRecord } from "./dnsmasq-config.ts";
import { type FirewallRule, faultRules, type LossyLink, securityGroupRules } from "./firewall.ts";
import { interfaceName, privateDnsName, privateDomain } from "./names.ts";
import type { NetworkPlan, StandIn } from "./network.ts";
import type { ResolverPlan } from "./resolver.ts";
import type { Instance, Resource, Store } from "./store.ts";

/** A property of a resource that is text; empty when it is absent. */
export function textOf(resource: Resource, name: string): string {
  const value = resource.inputs[name] ?? resource.attributes[name];
  return typeof value === "string" ? value : "";
}

/** A property that is a list of texts. */
export function textsOf(resource: Resource, name: string): string[] {
  const value = resource.inputs[name] ?? resource.attributes[name];
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** What a resource carries: its own tags and the provider's default ones. */
export function tagsOf(resource: Resource): Record<string, string> {
  const tags = resource.inputs.tagsAll ?? resource.inputs.tags ?? {};
  return tags as Record<string, string>;
}

/** Whether an instance still holds its address, groups and subnet. */
export function exists(instance: Instance): boolean {
  return instance.state !== "terminated";
}

/** Whether there is a machine on the host, with a namespace and a link. */
export function isOn(instance: Instance): boolean {
  return (
    instance.state === "pending" ||
    instance.state === "running" ||
    instance.state === "stopping" ||
    instance.state === "shutting-down"
  );
}

export function networkPlan(store: Store): NetworkPlan {
  return {
    resolversSilent: store.faults.some((fault) => fault.kind === "dns"),
    vpcs: store.list("ec2/vpc").map((vpc) => ({ id: vpc.id, cidr: textOf(vpc, "cidrBlock") })),
    subnets: store.list("ec2/subnet").map((subnet) => ({
      id: subnet.id,
      cidr: textOf(subnet, "cidrBlock"),
      vpcId: textOf(subnet, "vpcId"),
    })),
  };
}

/** Machines that are off or silent while their address is still theirs. */
export function standInPlan(store: Store): StandIn[] {
  const silent = new Set(
    store.faults.flatMap((fault) => (fault.kind === "vanish" ? [fault.instanceId] : [])),
  );
  return [...store.instances.values()]
    .filter(
      (instance) => instance.state === "stopped" || (instance.state === "running" && silent.has(instance.id)),
    )
    .map(({ id, mac, privateIp, subnetId }) => ({ id, mac, privateIp, subnetId }));
}

/** One resolver per VPC that has a subnet. */
export function resolverPlans(store: Store): ResolverPlan[] {
  const { vpcs, subnets } = networkPlan(store);
  return vpcs
    .map((vpc) => ({ vpc, own: subnets.filter((subnet) => subnet.vpcId === vpc.id) }))
    .filter(({ own }) => own.length > 0)
    .map(({ vpc, own }) => {
      const region = regionOfVpc(store, vpc.id);
      const machines = [...store.instances.values()].filter(
        (instance) => exists(instance) && own.some((subnet) => subnet.id === instance.subnetId),
      );
      const zones = store.list("route53/zone").filter((zone) => vpcsOfZone(zone).includes(vpc.id));
      return {
        vpc,
        subnets: own,
        domains: [privateDomain(region), ...zones.map((zone) => dnsName(textOf(zone, "name")))],
        dhcpDomain: privateDomain(region),
        records: [
          ...machines.map(({ privateIp }) => ({
            name: privateDnsName(privateIp, region),
            addresses: [privateIp],
          })),
          ...zones.flatMap((zone) => recordsOf(store, zone)),
        ],
        machines,
      };
    });
}

/** The VPCs that a private zone answers in. */
export function vpcsOfZone(zone: Resource): string[] {
  const vpcs = Array.isArray(zone.inputs.vpcs) ? (zone.inputs.vpcs as { vpcId?: string }[]) : [];
  return vpcs.flatMap(({ vpcId }) => vpcId ?? []);
}

function recordsOf(store: Store, zone: Resource): HostRecord[] {
  return store
    .list("route53/record")
    .filter((record) => textOf(record, "zoneId") === zone.id)
    .map((record) => ({ name: textOf(record, "fqdn"), addresses: textsOf(record, "records") }));
}

/** Without the final dot, in lower case: as names are compared. */
export function dnsName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** A VPC's region, which its subnets' zones tell. */
export function regionOfVpc(store: Store, vpcId: string): string {
  const subnet = store.list("ec2/subnet").find((each) => textOf(each, "vpcId") === vpcId);
  return subnet ? regionOfZone(textOf(subnet, "availabilityZone")) : "eu-central-1";
}

export function regionOfZone(availabilityZone: string): string {
  return availabilityZone.slice(0, -1);
}

/** Security groups of an instance; the VPC's default group when it names none. */
export function groupsOf(store: Store, instance: Instance): string[] {
  const resource = store.get("ec2/instance", instance.id);
  const named = resource ? textsOf(resource, "vpcSecurityGroupIds") : [];
  if (named.length > 0) return named;
  const vpc = store.get("ec2/vpc", vpcOf(store, instance));
  return vpc ? [textOf(vpc, "defaultSecurityGroupId")] : [];
}

export function vpcOf(store: Store, instance: Instance): string {
  const subnet = store.get("ec2/subnet", instance.subnetId);
  return subnet ? textOf(subnet, "vpcId") : "";
}

/** The rules of a machine, as text for nft: security groups, then faults of its network. */
export function firewallOf(store: Store, instance: Instance): string {
  const subnet = store.get("ec2/subnet", instance.subnetId);
  const vpc = store.get("ec2/vpc", vpcOf(store, instance));
  if (subnet === undefined || vpc === undefined) throw new Error(`${instance.id} has no subnet any more`);
  const groups = new Set(groupsOf(store, instance));
  const rulesOf = (type: string) =>
    store
      .list(type)
      .filter((rule) => groups.has(textOf(rule, "securityGroupId")))
      .map((rule) => firewallRule(store, rule))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return (
    securityGroupRules({
      ingress: [...rulesOf("vpc/securityGroupIngressRule"), ...defaultRules(store, vpc, groups, "ingress")],
      egress: [...rulesOf("vpc/securityGroupEgressRule"), ...defaultRules(store, vpc, groups, "egress")],
      resolver: resolverOf(textOf(vpc, "cidrBlock")),
      gateway: gatewayOf(textOf(subnet, "cidrBlock")),
    }) + faultRules(silencedPeers(store, instance), lossPercent(store, instance.id))
  );
}

function firewallRule(store: Store, rule: Resource): FirewallRule {
  const referenced = textOf(rule, "referencedSecurityGroupId");
  const port = (name: string) => {
    const value = rule.inputs[name];
    return typeof value === "number" ? { [name]: value } : {};
  };
  return {
    protocol: textOf(rule, "ipProtocol"),
    ...port("fromPort"),
    ...port("toPort"),
    peers: referenced === "" ? [textOf(rule, "cidrIpv4")].filter(Boolean) : membersOf(store, referenced),
  };
}

/** A VPC's default group lets its members reach each other and everybody. */
function defaultRules(
  store: Store,
  vpc: Resource,
  groups: Set<string>,
  way: "ingress" | "egress",
): FirewallRule[] {
  const group = textOf(vpc, "defaultSecurityGroupId");
  if (!groups.has(group)) return [];
  return [{ protocol: "-1", peers: way === "egress" ? ["0.0.0.0/0"] : membersOf(store, group) }];
}

/** Addresses of the instances in a security group. */
function membersOf(store: Store, groupId: string): string[] {
  return [...store.instances.values()]
    .filter((instance) => exists(instance) && groupsOf(store, instance).includes(groupId))
    .map((instance) => instance.privateIp);
}

/** How many of a hundred packets a machine's link loses. */
function lossPercent(store: Store, instanceId: string): number {
  const losses = store.faults.flatMap((fault) =>
    fault.kind === "lossy" && fault.instanceId === instanceId ? [fault.percent] : [],
  );
  return Math.max(0, ...losses);
}

/** The links that lose packets. */
export function lossyLinks(store: Store): LossyLink[] {
  return [...store.instances.values()]
    .filter(isOn)
    .map(({ id }) => ({ link: interfaceName("v", id), percent: lossPercent(store, id) }))
    .filter(({ percent }) => percent > 0);
}

/** Addresses whose packets a partition keeps from this machine. */
function silencedPeers(store: Store, { id }: Instance): string[] {
  const peers = store.faults.flatMap((fault) => {
    if (fault.kind !== "partition") return [];
    if (fault.peerId === id) return [fault.instanceId];
    return fault.instanceId === id && !fault.oneWay ? [fault.peerId] : [];
  });
  return [...new Set(peers)].flatMap((peer) => store.instances.get(peer)?.privateIp ?? []);
}
