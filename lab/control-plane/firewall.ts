/**
 * Security groups and partitions as nftables rules for a machine's own network namespace. Pure: text out.
 *
 * Security groups as on AWS: stateful (replies to what was let through always pass, and a rule that is taken away
 * cuts no tracked connection), silent drops, and no say about DHCP, the resolver and the metadata service.
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
 * Drops whatever comes from these addresses, before connection tracking, so that established connections fall
 * silent too. Only on the receiving side: a drop on the sending side would be an error there, not silence.
 */
export function partitionRules(from: readonly string[]): string {
  const drops = from.length === 0 ? "" : `    ip saddr { ${[...from].sort().join(", ")} } drop\n`;
  return `table inet barton_faults
delete table inet barton_faults
table inet barton_faults {
  chain input {
    type filter hook prerouting priority raw; policy accept;
${drops}  }
}
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
