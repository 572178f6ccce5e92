/** Route 53: private zones and address records. */
import { flag, object, oneOf, setOf, text, wholeNumber } from "./kinds.ts";
import { dnsName, id, ipv4, region } from "./names.ts";
import { type ResourceSchema, stable, tagged } from "./schema.ts";

const file = "lab/schema/dns.ts";

export const zone: ResourceSchema = {
  type: "aws:route53/zone:Zone",
  file,
  inputs: {
    name: { is: dnsName, required: true, change: "replace" },
    comment: {
      is: text("text of at most 256 characters", /^.{0,256}$/s),
      change: "update",
      default: "Managed by Pulumi",
    },
    /** Required here: the lab has no public DNS, and a zone without a VPC would be public. */
    vpcs: {
      is: setOf(
        object({
          vpcId: { is: id("vpc"), required: true, change: "update" },
          vpcRegion: { is: region, change: "update" },
        }),
        1,
      ),
      required: true,
      change: "update",
    },
    forceDestroy: { is: flag, change: "update", default: false },
    ...tagged,
  },
  outputs: { arn: stable, zoneId: stable, nameServers: stable, primaryNameServer: stable },
};

export const record: ResourceSchema = {
  type: "aws:route53/record:Record",
  file,
  inputs: {
    zoneId: {
      is: text('a zone id such as "Z0123456789ABCDEFGHIJ"', /^Z[A-Z0-9]+$/),
      required: true,
      change: "replace",
    },
    name: { is: dnsName, required: true, change: "replace" },
    type: { is: oneOf("A"), required: true, change: "replace" },
    ttl: { is: wholeNumber(0, 2_147_483_647), required: true, change: "update" },
    records: { is: setOf(ipv4, 1), required: true, change: "update" },
    allowOverwrite: { is: flag, change: "update" },
  },
  outputs: { fqdn: stable },
};
