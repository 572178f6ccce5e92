/** IPv4 networks, as VPCs and subnets use them. */
import { formatIpv4, parseIpv4 } from "../schema/names.ts";

/** First address and number of addresses of a network. */
export type Network = { first: number; size: number };

/** Reads e.g. `10.42.1.0/24`; throws on anything else, because the provider's check comes before. */
export function parseCidr(cidr: string): Network {
  const [address = "", prefix = ""] = cidr.split("/");
  const first = parseIpv4(address);
  if (first === undefined || !/^\d{1,2}$/.test(prefix) || Number(prefix) > 32) {
    throw new Error(`not an IPv4 network: ${JSON.stringify(cidr)}; expected something like 10.42.0.0/16`);
  }
  return { first, size: 2 ** (32 - Number(prefix)) };
}

export function overlaps(a: string, b: string): boolean {
  const one = parseCidr(a);
  const other = parseCidr(b);
  return one.first < other.first + other.size && other.first < one.first + one.size;
}

export function contains(outer: string, inner: string): boolean {
  const out = parseCidr(outer);
  const inn = parseCidr(inner);
  return out.first <= inn.first && inn.first + inn.size <= out.first + out.size;
}

/** The address at `offset` in the network, e.g. `10.42.0.2` for offset 2 of `10.42.0.0/16`. */
export function addressAt(cidr: string, offset: number): string {
  return formatIpv4(parseCidr(cidr).first + offset);
}

/** Amazon's resolver: the VPC's base plus two. */
export function resolverOf(vpcCidr: string): string {
  return addressAt(vpcCidr, 2);
}

/** The router of a subnet: its base plus one. */
export function gatewayOf(subnetCidr: string): string {
  return addressAt(subnetCidr, 1);
}

export function netmaskOf(cidr: string): string {
  return formatIpv4(2 ** 32 - parseCidr(cidr).size);
}

/** AWS keeps the first four addresses of a subnet and the last for itself. */
const reservedFirst = 4;

/**
 * The next free address of a subnet, going round: after `last`, so that an address that has just become free is
 * used again as late as possible. Undefined when none is free.
 */
export function nextAddress(
  subnetCidr: string,
  taken: ReadonlySet<string>,
  last?: string,
): string | undefined {
  const { first, size } = parseCidr(subnetCidr);
  const usable = size - reservedFirst - 1;
  const lastOffset = last === undefined ? -1 : (parseIpv4(last) ?? 0) - first - reservedFirst;
  for (let step = 1; step <= usable; step++) {
    const offset = (((lastOffset + step) % usable) + usable) % usable;
    const address = formatIpv4(first + reservedFirst + offset);
    if (!taken.has(address)) return address;
  }
  return undefined;
}
