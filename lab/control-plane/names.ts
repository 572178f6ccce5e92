/** Ids and names in the form of AWS, and the names of the corresponding things on the host. */
import { createHash, randomBytes } from "node:crypto";
import { accountId } from "../schema/names.ts";

export { accountId };

/** e.g. `i-` and 17 hexadecimal digits. */
export function newId(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString("hex").slice(0, 17)}`;
}

/** A hosted zone's id. */
export function newZoneId(): string {
  return `Z${randomBytes(10).toString("hex").toUpperCase()}`;
}

/** IAM's unique ids, e.g. `AROA…` for a role. */
export function newIamId(prefix: string): string {
  return `${prefix}${randomBytes(9).toString("hex").toUpperCase().slice(0, 17)}`;
}

export function arn(service: string, region: string, resource: string): string {
  return `arn:aws:${service}:${region}:${accountId}:${resource}`;
}

/** `ip-10-42-1-17.eu-central-1.compute.internal`, as EC2 names instances; us-east-1 is older than the rule. */
export function privateDnsName(address: string, region: string): string {
  return `${privateHostname(address)}.${privateDomain(region)}`;
}

export function privateHostname(address: string): string {
  return `ip-${address.replaceAll(".", "-")}`;
}

export function privateDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`;
}

/**
 * An interface of the lab's own network namespace: `b` (bridge of a subnet), `v` (a machine's link), `h` (the link of
 * a machine's stand-in), `r` (a VPC's resolver). At most 15 characters; nothing outside the lab's namespace can meet it.
 */
export function interfaceName(kind: "b" | "v" | "h" | "r", id: string): string {
  return `${kind}${id.replace(/^.*-/, "").slice(-13)}`;
}

/** A locally administered, unicast MAC address that belongs to the id (of an instance, of a bridge). */
export function macOf(id: string): string {
  const bytes = createHash("sha256").update(id).digest().subarray(0, 5);
  return ["02", ...[...bytes].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}
