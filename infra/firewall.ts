/**
 * The allowed connections, in one table from which the security groups of all roles are made. A connection needs both ends of a
 * row (egress of `from`, ingress of `to`). Everything that is not in the table is closed.
 *
 * AWS lets no security group filter DHCP, the VPC's resolver, time and the metadata service, so they are not in the table.
 * Security groups do not cut connections that are established already, so a fence never relies on them (rule 2 in
 * docs/architecture.md).
 */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { defaultMetricsPort as metricsPort } from "../recovery/report/serve-metrics.ts";
import { type Config, fixedPorts } from "./config.ts";

/** The machines' roles, and the builders of their images. Each has a security group. */
export const roles = ["redis", "haproxy", "app", "monit", "builder"] as const;
export type Role = (typeof roles)[number];

/** Sources outside of the VPC: `admins` are `barton:adminCidrs`, `monitoring` are `barton:monitoringCidrs`. */
type Outside = "admins" | "monitoring";

/** One row of the table. `world` is any address, and is only ever a target. */
export type Rule = { from: Role | Outside; to: Role | "world"; ports: [number, number]; why: string };

/** The table, for a number of shards. */
export function trafficRules(config: Pick<Config, "shards" | "ports" | "rehearsal">): Rule[] {
  const range = (base: number): [number, number] => [base + 1, base + config.shards];
  const redisPorts = range(config.ports.redis);
  return [
    { from: "app", to: "haproxy", ports: range(config.ports.proxy), why: "client traffic" },
    { from: "app", to: "haproxy", ports: [fixedPorts.health, fixedPorts.health], why: "registered or not" },
    { from: "haproxy", to: "redis", ports: redisPorts, why: "client traffic and probes" },
    // A proxy that alone cannot reach a master sends its traffic to its twin (recovery/decide/rules/detour.ts).
    { from: "haproxy", to: "haproxy", ports: range(config.ports.proxy), why: "client traffic on a detour" },
    { from: "redis", to: "redis", ports: redisPorts, why: "replication" },
    { from: "monit", to: "redis", ports: redisPorts, why: "probes and recovery" },
    { from: "monit", to: "haproxy", ports: [fixedPorts.runtime, fixedPorts.runtime], why: "runtime API" },
    { from: "monit", to: "haproxy", ports: [fixedPorts.health, fixedPorts.health], why: "registered or not" },
    {
      from: "monit",
      to: "app",
      ports: [fixedPorts.runtime, fixedPorts.runtime],
      why: "how clients see the proxies",
    },
    { from: "monit", to: "haproxy", ports: [22, 22], why: "copies the configuration of the running proxy" },
    ...(config.rehearsal === "off" ? [] : rehearsalRules(range(config.ports.proxy))),
    // Packages and tools, only while an image is made: the builder is stopped afterwards.
    { from: "builder", to: "world", ports: [80, 80], why: "Debian packages" },
    { from: "builder", to: "world", ports: [443, 443], why: "Debian packages and tools" },
    // AWS has no fixed addresses for its APIs (EC2, Route 53, KMS, S3).
    { from: "monit", to: "world", ports: [443, 443], why: "AWS APIs" },
    { from: "monitoring", to: "monit", ports: [metricsPort, metricsPort], why: "Prometheus" },
    ...roles.map((to): Rule => ({ from: "admins", to, ports: [22, 22], why: "ssh of engineers" })),
  ];
}

function rehearsalRules(proxyPorts: [number, number]): Rule[] {
  return [
    { from: "monit", to: "redis", ports: [22, 22], why: "rehearsals break it" },
    { from: "monit", to: "haproxy", ports: proxyPorts, why: "rehearsals measure what clients feel" },
  ];
}

/** A security group per role, with the rules of {@link trafficRules}. */
export class Firewall extends pulumi.ComponentResource {
  readonly groups: Record<Role, aws.ec2.SecurityGroup>;

  constructor(
    name: string,
    args: { config: Config; vpcId: pulumi.Input<string> },
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("barton:infra:Firewall", name, {}, options);
    const { config, vpcId } = args;
    this.groups = Object.fromEntries(
      roles.map((role) => [role, this.createGroup(role, vpcId, config)]),
    ) as Record<Role, aws.ec2.SecurityGroup>;
    for (const rule of trafficRules(config)) {
      this.createEgress(rule);
      this.createIngress(rule, { admins: config.adminCidrs, monitoring: config.monitoringCidrs });
    }
    this.registerOutputs();
  }

  private createGroup(role: Role, vpcId: pulumi.Input<string>, config: Config): aws.ec2.SecurityGroup {
    return new aws.ec2.SecurityGroup(
      role,
      { vpcId, description: `barton: ${role}`, tags: { Name: `${role}.${config.domain}` } },
      { parent: this },
    );
  }

  private createEgress(rule: Rule): void {
    if (rule.from === "admins" || rule.from === "monitoring") return;
    const target =
      rule.to === "world"
        ? { cidrIpv4: "0.0.0.0/0" }
        : { referencedSecurityGroupId: this.groups[rule.to].id };
    new aws.vpc.SecurityGroupEgressRule(
      `${rule.from}-to-${rule.to}-${rule.ports[0]}`,
      { securityGroupId: this.groups[rule.from].id, ...tcp(rule), ...target },
      { parent: this },
    );
  }

  private createIngress(rule: Rule, cidrs: Record<Outside, readonly string[]>): void {
    if (rule.to === "world") return;
    const securityGroupId = this.groups[rule.to].id;
    if (rule.from !== "admins" && rule.from !== "monitoring") {
      new aws.vpc.SecurityGroupIngressRule(
        `${rule.to}-from-${rule.from}-${rule.ports[0]}`,
        { securityGroupId, ...tcp(rule), referencedSecurityGroupId: this.groups[rule.from].id },
        { parent: this },
      );
      return;
    }
    for (const cidrIpv4 of cidrs[rule.from]) {
      new aws.vpc.SecurityGroupIngressRule(
        `${rule.to}-from-${cidrIpv4}-${rule.ports[0]}`,
        { securityGroupId, ...tcp(rule), cidrIpv4 },
        { parent: this },
      );
    }
  }
}

function tcp(rule: Rule) {
  return { ipProtocol: "tcp", fromPort: rule.ports[0], toPort: rule.ports[1], description: rule.why };
}
