import { describe, expect, test } from "vitest";
import {
  type FirewallRule,
  faultRules,
  lossRules,
  securityGroupRules,
} from "../../../lab/control-plane/firewall.ts";

const rulesFor = (ingress: FirewallRule[], egress: FirewallRule[] = []) =>
  securityGroupRules({ ingress, egress, resolver: "10.0.0.2", gateway: "10.0.1.1" });

/** The lines of a chain that rules have added. */
function chain(text: string, name: string): string[] {
  return (text.split(`chain ${name} {`)[1]?.split("}\n")[0] ?? "").split("\n").map((line) => line.trim());
}

describe("security groups", () => {
  test.each<[FirewallRule, string]>([
    [
      { protocol: "tcp", fromPort: 22, toPort: 22, peers: ["10.0.0.0/8"] },
      "ip saddr { 10.0.0.0/8 } meta nfproto ipv4 tcp dport 22 accept",
    ],
    [
      { protocol: "tcp", fromPort: 9001, toPort: 9002, peers: ["10.0.1.5", "10.0.1.4"] },
      "ip saddr { 10.0.1.4, 10.0.1.5 } meta nfproto ipv4 tcp dport 9001-9002 accept",
    ],
    [
      { protocol: "udp", fromPort: 53, toPort: 53, peers: ["0.0.0.0/0"] },
      "meta nfproto ipv4 udp dport 53 accept",
    ],
    [{ protocol: "-1", peers: ["0.0.0.0/0"] }, "meta nfproto ipv4 accept"],
    [
      { protocol: "icmp", fromPort: -1, toPort: -1, peers: ["10.0.1.4"] },
      "ip saddr { 10.0.1.4 } meta nfproto ipv4 meta l4proto icmp accept",
    ],
    [
      { protocol: "icmp", fromPort: 8, toPort: 0, peers: ["10.0.1.4"] },
      "ip saddr { 10.0.1.4 } meta nfproto ipv4 meta l4proto icmp icmp type 8 icmp code 0 accept",
    ],
  ])("%j lets in", (rule, line) => {
    expect(chain(rulesFor([rule]), "input")).toContain(line);
  });

  test("without rules nothing is let in but replies; a rule for an empty group is no rule", () => {
    expect(rulesFor([])).toContain("hook input priority filter; policy drop;");
    expect(rulesFor([])).toContain("hook output priority filter; policy drop;");
    expect(chain(rulesFor([]), "input")).toContain("ct state established,related accept");
    expect(rulesFor([{ protocol: "tcp", fromPort: 22, toPort: 22, peers: [] }])).toBe(rulesFor([]));
  });

  test("egress rules are about the destination", () => {
    const text = rulesFor([], [{ protocol: "tcp", fromPort: 80, toPort: 80, peers: ["10.0.2.0/24"] }]);
    expect(chain(text, "output")).toContain("ip daddr { 10.0.2.0/24 } meta nfproto ipv4 tcp dport 80 accept");
    expect(chain(text, "input").join()).not.toContain("dport 80");
  });

  test("DHCP, the resolver and the metadata service need no rule, as on AWS", () => {
    const output = chain(rulesFor([]), "output");
    expect(output).toContain("udp sport 68 udp dport 67 accept");
    expect(output).toContain("ip daddr 10.0.0.2 meta l4proto { tcp, udp } th dport 53 accept");
    expect(output).toContain("ip daddr 169.254.169.254 tcp dport 80 accept");
  });

  test("the table is replaced in one transaction", () => {
    expect(rulesFor([]).startsWith("table inet barton\ndelete table inet barton\ntable inet barton {")).toBe(
      true,
    );
  });
});

describe("partitions", () => {
  test("drop what comes from the peers before connection tracking sees it", () => {
    const text = faultRules(["10.0.1.5", "10.0.1.4"]);
    expect(text).toContain("hook prerouting priority raw; policy accept;");
    expect(text).toContain("ip saddr { 10.0.1.4, 10.0.1.5 } drop");
  });

  test("without peers nothing is dropped", () => {
    expect(faultRules([])).not.toContain("drop");
  });
});

describe("losses", () => {
  test("what comes in is lost before connection tracking sees it", () => {
    expect(faultRules([], 10)).toContain("numgen random mod 100 < 10 drop");
    expect(faultRules([], 0)).not.toContain("numgen");
  });

  test("what goes out is lost at the other end of the link, and only there", () => {
    const text = lossRules([{ link: "v0123456789abc", percent: 25 }]);
    expect(text).toContain('hook ingress device "v0123456789abc"');
    expect(text).toContain("numgen random mod 100 < 25 drop");
    expect(lossRules([])).not.toContain("drop");
  });
});
