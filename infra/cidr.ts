/** Arithmetic on IPv4 blocks. */

export type Cidr = {
  /** The network's address as a number. */
  base: number;
  prefix: number;
  /** Whether the written address was the network's own. */
  aligned: boolean;
};

/** The block that `text` ("10.42.0.0/16") means, or nothing if it is not one. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (!match) return undefined;
  const [a, b, c, d, prefix] = match.slice(1).map(Number) as [number, number, number, number, number];
  if (Math.max(a, b, c, d) > 255 || prefix > 32) return undefined;
  const address = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
  const size = 2 ** (32 - prefix);
  const base = Math.floor(address / size) * size;
  return { base, prefix, aligned: base === address };
}

/** The `offset`-th address of a block. Throws if `text` is no block. */
export function addressIn(text: string, offset: number): string {
  const block = parseCidr(text);
  if (!block) throw new Error(`${text} is not a CIDR block like 10.42.0.0/16.`);
  const address = block.base + offset;
  return [24, 16, 8, 0].map((bits) => Math.floor(address / 2 ** bits) % 256).join(".");
}

/** The `index`-th /24 of a block, as text: subnets of 10.42.0.0/16 are 10.42.1.0/24, 10.42.2.0/24, … */
export function subnetOf(text: string, index: number): string {
  return `${addressIn(text, index * 256)}/24`;
}
