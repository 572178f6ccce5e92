/** The VPC: two subnets in two availability zones, and the route to the internet. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { subnetOf } from "./cidr.ts";
import type { Config } from "./config.ts";

/**
 * One VPC with a subnet in each of two zones. One machine of each pair is in each, so that the loss of a zone leaves
 * a redis, a proxy, and either the client or the monitor.
 */
export class Network extends pulumi.ComponentResource {
  readonly vpc: aws.ec2.Vpc;
  readonly subnets: readonly [aws.ec2.Subnet, aws.ec2.Subnet];
  /** A machine with a public address depends on these, so that it can reach the internet from its first second to its last. */
  readonly wayOut: pulumi.Resource[];

  constructor(name: string, config: Config, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:Network", name, {}, options);
    this.vpc = this.createVpc(name, config);
    this.subnets = [this.createSubnet("a", 0, config), this.createSubnet("b", 1, config)];
    this.wayOut = this.createWayOut(name, config);
    this.registerOutputs();
  }

  private createVpc(name: string, config: Config): aws.ec2.Vpc {
    return new aws.ec2.Vpc(
      name,
      {
        cidrBlock: config.vpcCidr,
        // Both are what a private zone needs.
        enableDnsSupport: true,
        enableDnsHostnames: true,
        tags: { Name: config.domain },
      },
      { parent: this },
    );
  }

  private createSubnet(letter: "a" | "b", zone: 0 | 1, config: Config): aws.ec2.Subnet {
    return new aws.ec2.Subnet(
      letter,
      {
        vpcId: this.vpc.id,
        cidrBlock: subnetOf(config.vpcCidr, zone + 1),
        availabilityZone: config.availabilityZones[zone],
        tags: { Name: `${letter}.${config.domain}` },
      },
      { parent: this },
    );
  }

  /** Only monit (AWS APIs) and the builders (packages) have public addresses; the others stay inside. */
  private createWayOut(name: string, config: Config): pulumi.Resource[] {
    const tags = { Name: config.domain };
    const vpcId = this.vpc.id;
    const gateway = new aws.ec2.InternetGateway(name, { vpcId, tags }, { parent: this });
    const table = new aws.ec2.RouteTable(name, { vpcId, tags }, { parent: this });
    const route = new aws.ec2.Route(
      name,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
      { parent: this },
    );
    const associations = this.subnets.map(
      (subnet, i) =>
        new aws.ec2.RouteTableAssociation(
          i === 0 ? "a" : "b",
          { routeTableId: table.id, subnetId: subnet.id },
          { parent: this },
        ),
    );
    return [route, ...associations];
  }
}

/** The private zone: the machines' names, resolved inside the VPC only. */
export function createZone(config: Config, network: Network): aws.route53.Zone {
  return new aws.route53.Zone(
    "zone",
    {
      name: config.domain,
      comment: `barton: the machines of stack ${config.stack}`,
      vpcs: [{ vpcId: network.vpc.id }],
    },
    // The machines know each other by these names. Protection is off by default, so that a lab can be removed.
    { protect: config.protect },
  );
}
