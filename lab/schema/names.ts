/** Kinds for the ids, addresses and names that AWS uses. */
import { type Kind, scalar, text } from "./kinds.ts";

/** The account that everything in a lab belongs to: AWS's own example. */
export const accountId = "123456789012";

/** e.g. `subnet-` and 8 or 17 hexadecimal digits. */
export function id(prefix: string): Kind {
  return text(
    `an id such as "${prefix}-0a1b2c3d4e5f67890"`,
    new RegExp(`^${prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`),
  );
}

/** The four bytes of an IPv4 address as one number, or undefined; leading zeros are refused as AWS does. */
export function parseIpv4(address: string): number | undefined {
  const bytes = address.split(".");
  if (bytes.length !== 4 || !bytes.every((byte) => /^(0|[1-9]\d{0,2})$/.test(byte) && Number(byte) <= 255)) {
    return undefined;
  }
  return bytes.reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** An IPv4 network, e.g. `10.42.0.0/16`, whose host bits are zero, with a prefix between the two limits. */
export function cidr(prefixMin: number, prefixMax: number): Kind {
  const expected = `an IPv4 CIDR block such as "10.42.0.0/16" (prefix /${prefixMin} to /${prefixMax})`;
  return scalar(expected, (value) => {
    if (typeof value !== "string") return false;
    const [address = "", prefixText = ""] = value.split("/");
    const bits = parseIpv4(address);
    const prefix = /^\d{1,2}$/.test(prefixText) ? Number(prefixText) : -1;
    if (bits === undefined || prefix < prefixMin || prefix > prefixMax) return false;
    const size = 2 ** (32 - prefix);
    const network = Math.floor(bits / size) * size;
    if (network === bits) return true;
    return `"${value}" is not a network; did you mean "${formatIpv4(network)}/${prefix}"?`;
  });
}

export const ipv4: Kind = scalar(
  'an IPv4 address such as "10.42.1.17"',
  (value) => typeof value === "string" && parseIpv4(value) !== undefined,
);

const regionPattern = /^[a-z]{2}(-[a-z]+)+-\d$/;

export function isRegion(value: unknown): value is string {
  return typeof value === "string" && regionPattern.test(value);
}

/** The lab is one region: a resource may repeat it, not leave it. */
export const region: Kind = scalar("the provider's region", (value, context) =>
  value === context.region
    ? true
    : `the lab has one region, ${context.region} (aws:region), and cannot place anything in ${context.show(value)}`,
);

/** The zones that the lab has in each region. */
export function zonesOf(regionName: string): string[] {
  return ["a", "b", "c"].map((letter) => `${regionName}${letter}`);
}

export const availabilityZone: Kind = scalar("an availability zone of the region", (value, context) => {
  const zones = zonesOf(context.region);
  if (zones.includes(value as string)) return true;
  return `${context.show(value)} is not an availability zone of ${context.region}; it has: ${zones.join(", ")}`;
});

/** A name in the character set of IAM. */
export function iamName(lengthMax: number): Kind {
  return text(
    `a name of 1 to ${lengthMax} letters, digits or +=,.@_-`,
    new RegExp(`^[\\w+=,.@-]{1,${lengthMax}}$`),
  );
}

/** The rules for the name of a bucket that matter here: AWS refuses the others too. */
export const bucketName: Kind = text(
  "a bucket name of 3 to 63 lower-case letters, digits and hyphens",
  /^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/,
);

const label = "(?!-)[A-Za-z0-9_-]{1,63}(?<!-)";

/** A DNS name; upper case and a trailing dot make no difference to Route 53. */
export const dnsName: Kind = {
  ...text(
    'a DNS name such as "redis1.barton"',
    new RegExp(`^(?=.{1,254}$)(\\*\\.)?${label}(\\.${label})*\\.?$`),
  ),
  same: (a, b) => dnsKey(a as string) === dnsKey(b as string),
};

export function dnsKey(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
