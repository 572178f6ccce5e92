/**
 * Security groups, partitions and losses as nftables rules, most of them for a machine's own network namespace. Pure: returns text.
 *
 * Security groups are as on AWS. They are stateful: replies always pass, and the removal of a rule cuts no tracked connection. They
 * drop silently. They do not filter DHCP, the resolver and the metadata service.
 */
import { metadataAddress } from "../lab.ts";

/** One rule of a security group, its other side resolved to addresses. */
export type FirewallRule = {
  protocol: string;
  /** Ports for tcp and udp; type and code for icmp, where -1 means all. */
  fromPort?: number;
  toPort?: number;
  /** CIDR blocks or addresses; none means that nobody matches. */
  peers: string[];
};

export type MachineFirewall = {
  ingress: FirewallRule[];
  egress: FirewallRule[];
  /** Amazon's resolver in this VPC. */
  resolver: string;
  gateway: string;
};

/** The whole table, to be given to `nft -f`: replaces the former one in one transaction. */
export function securityGroupRules({ ingress, egress, resolver, gateway }: MachineFirewall): string {
  const incoming = ingress.flatMap((rule) => ruleLines(rule, "saddr"));
  const outgoing = egress.flatMap((rule) => ruleLines(rule, "daddr"));
  return `table inet barton
delete table inet barton
table inet barton {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
    ip saddr ${gateway} udp sport 67 udp dport 68 accept
${indented(incoming)}  }
  chain output {
    type filter hook output priority filter; policy drop;
    oif lo accept
    ct state established,related accept
    udp sport 68 udp dport 67 accept
    ip daddr ${resolver} meta l4proto { tcp, udp } th dport 53 accept
    ip daddr ${metadataAddress} tcp dport 80 accept
${indented(outgoing)}  }
}
`;
}

/**
 * What faults take away from the packets that come in: `lossPercent` of all at random (0 to 100), and whatever comes
 * from the addresses `from`. Before connection tracking, so that established
 * connections fall silent too. Only on the receiving side: a drop on the sending side would be an error there, not
 * silence; what a machine sends is lost at the other end of its link ({@link lossRules}).
 */
export function faultRules(from: readonly string[], lossPercent = 0): string {
  const drops = [
    ...(from.length === 0 ? [] : [`    ip saddr { ${[...from].sort().join(", ")} } drop\n`]),
    ...(lossPercent === 0 ? [] : [`    numgen random mod 100 < ${lossPercent} drop\n`]),
  ].join("");
  return `table inet barton_faults
delete table inet barton_faults
table inet barton_faults {
  chain input {
    type filter hook prerouting priority raw; policy accept;
${drops}  }
}
`;
}

/** A link that loses packets: the name of its interface in the lab's namespace, and how many of a hundred. */
export type LossyLink = { link: string; percent: number };

/** Loses what machines send, where it comes out of their links; the whole table of the lab's own namespace. */
export function lossRules(links: readonly LossyLink[]): string {
  const chains = links.map(
    ({ link, percent }) => `  chain ${link} {
    type filter hook ingress device "${link}" priority 0; policy accept;
    meta protocol ip numgen random mod 100 < ${percent} drop
  }
`,
  );
  return `table netdev barton_faults
delete table netdev barton_faults
table netdev barton_faults {
${chains.join("")}}
`;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}\n`).join("");
}

function ruleLines(rule: FirewallRule, side: "saddr" | "daddr"): string[] {
  if (rule.peers.length === 0) return [];
  const everybody = rule.peers.includes("0.0.0.0/0");
  const peers = everybody ? "" : `ip ${side} { ${[...new Set(rule.peers)].sort().join(", ")} } `;
  return [`${peers}${matchOf(rule)}accept`];
}

function matchOf({ protocol, fromPort, toPort }: FirewallRule): string {
  if (protocol === "-1") return "meta nfproto ipv4 ";
  if (protocol === "icmp") {
    const type = fromPort === undefined || fromPort === -1 ? "" : `icmp type ${fromPort} `;
    const code = toPort === undefined || toPort === -1 ? "" : `icmp code ${toPort} `;
    return `meta nfproto ipv4 meta l4proto icmp ${type}${code}`;
  }
  if (fromPort === undefined || toPort === undefined) return `meta nfproto ipv4 meta l4proto ${protocol} `;
  return `meta nfproto ipv4 ${protocol} dport ${fromPort === toPort ? fromPort : `${fromPort}-${toPort}`} `;
}
