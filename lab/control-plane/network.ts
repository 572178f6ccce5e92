/**
 * The lab's network on the host: one namespace with a bridge per subnet and the metadata address, and one namespace per machine,
 * linked to the bridge of its subnet. The control plane runs inside the lab's namespace, so plain `ip` acts there. Everything is
 * idempotent.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { metadataAddress } from "../lab.ts";
import { gatewayOf, parseCidr, resolverOf } from "./addresses.ts";
import { interfaceName, macOf } from "./names.ts";
import { inNetns, run, tryRun } from "./system.ts";

/** A bridge that is never up: what is attached to it keeps its carrier and reaches nobody. */
const voidBridge = "void";

export type NetworkPlan = {
  /** A fault: questions for any resolver get lost. */
  resolversSilent: boolean;
  vpcs: { id: string; cidr: string }[];
  subnets: { id: string; cidr: string; vpcId: string }[];
};

/** Loopback, forwarding, metadata address: what the namespace of each lab has. */
export async function prepareNamespace(): Promise<void> {
  await run(["ip", "link", "set", "lo", "up"]);
  await tryRun(["ip", "address", "add", `${metadataAddress}/32`, "dev", "lo"]);
  if (!(await linkNames()).has(voidBridge)) await run(["ip", "link", "add", voidBridge, "type", "bridge"]);
  setSysctl("ipv4/ip_forward", "1");
  for (const each of ["all", "default"]) {
    setSysctl(`ipv4/conf/${each}/rp_filter`, "0");
    setSysctl(`ipv4/conf/${each}/send_redirects`, "0");
    setSysctl(`ipv6/conf/${each}/disable_ipv6`, "1");
  }
}

function setSysctl(name: string, value: string): void {
  const file = `/proc/sys/net/${name}`;
  try {
    if (readFileSync(file, "utf8").trim() !== value) writeFileSync(file, value);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // a kernel without IPv6
  }
}

/** Makes the bridges and routing of these VPCs and subnets, and removes all others. */
export async function shapeNetwork(plan: NetworkPlan): Promise<void> {
  const wanted = new Map<string, string>();
  for (const vpc of plan.vpcs) wanted.set(interfaceName("r", vpc.id), `${resolverOf(vpc.cidr)}/32`);
  for (const subnet of plan.subnets) {
    const prefix = 32 - Math.log2(parseCidr(subnet.cidr).size);
    wanted.set(interfaceName("b", subnet.id), `${gatewayOf(subnet.cidr)}/${prefix}`);
  }
  const present = await linkNames();
  for (const [name, address] of wanted) if (!present.has(name)) await makeBridge(name, address);
  for (const name of present) {
    if (/^[br][0-9a-f]{13}$/.test(name) && !wanted.has(name)) await tryRun(["ip", "link", "delete", name]);
  }
  await run(["nft", "-f", "-"], { input: routingRules(plan) });
}

/**
 * A bridge has a hardware address of its own. Without one it takes the lowest of its ports', and when that machine
 * leaves, the subnet's gateway changes its address under everybody: neighbours that remember the old one are cut off
 * from the other subnet for seconds, which looks like the loss of every machine in it.
 */
async function makeBridge(name: string, address: string): Promise<void> {
  const bridge = ["type", "bridge", "forward_delay", "0", "stp_state", "0"];
  await run(["ip", "link", "add", name, "address", macOf(name), ...bridge]);
  await run(["ip", "address", "add", address, "dev", name]);
  await run(["ip", "link", "set", name, "up"]);
}

/** Subnets of one VPC reach each other, and nobody else; packets to an address that nobody has disappear in silence. */
export function routingRules(plan: NetworkPlan): string {
  const lines = plan.vpcs.flatMap((vpc) => {
    const bridges = plan.subnets.filter((subnet) => subnet.vpcId === vpc.id);
    const names = bridges.map((subnet) => interfaceName("b", subnet.id)).join(", ");
    return names === "" ? [] : [`    iifname { ${names} } oifname { ${names} } accept\n`];
  });
  return `table ip barton
delete table ip barton
table ip barton {
  chain forward {
    type filter hook forward priority filter; policy drop;
${lines.join("")}  }
  chain input {
    type filter hook input priority filter; policy accept;
${plan.resolversSilent ? "    meta l4proto { tcp, udp } th dport 53 drop\n" : ""}  }
  chain output {
    type filter hook output priority filter; policy accept;
    icmp type destination-unreachable icmp code { net-unreachable, host-unreachable } drop
  }
}
`;
}

async function linkNames(): Promise<Set<string>> {
  const links = JSON.parse(await run(["ip", "-json", "link"])) as { ifname: string }[];
  return new Set(links.map((link) => link.ifname));
}

/** A machine's namespace and link, made again from nothing: nothing of an earlier boot (connections, rules, faults) stays. */
export async function plugIn(
  netns: string,
  instanceId: string,
  mac: string,
  subnetId: string,
): Promise<void> {
  await unplug(netns, instanceId);
  const link = interfaceName("v", instanceId);
  await run(["ip", "netns", "add", netns]);
  await run([
    "ip",
    "link",
    "add",
    link,
    "type",
    "veth",
    "peer",
    "name",
    "host0",
    "address",
    mac,
    "netns",
    netns,
  ]);
  await run(["ip", "link", "set", link, "master", interfaceName("b", subnetId), "up"]);
  await run(inNetns(netns, ["ip", "link", "set", "lo", "up"]));
}

/** Removes a machine's link and namespace; what runs in it loses its network at once, without a word. */
export async function unplug(netns: string, instanceId: string): Promise<void> {
  await tryRun(["ip", "link", "delete", interfaceName("v", instanceId)]);
  await tryRun(["ip", "netns", "delete", netns]);
}

/** A machine that is off or silent, whose address others still know. */
export type StandIn = { id: string; mac: string; privateIp: string; subnetId: string };

/**
 * On EC2 the address of a stopped or silent machine swallows packets without a word. In a bridge nobody would answer
 * for it, and after three seconds its neighbours would get "no route to host" instead. So each such machine has a
 * stand-in: an interface with its addresses, in a namespace of the lab that answers ARP and drops the rest.
 * Makes exactly these stand-ins.
 */
export async function shapeStandIns(netns: string, standIns: readonly StandIn[]): Promise<void> {
  const present = [...(await linkNames())].filter((name) => /^h[0-9a-f]{13}$/.test(name));
  const wanted = new Map(standIns.map((each) => [interfaceName("h", each.id), each]));
  for (const name of present) if (!wanted.has(name)) await tryRun(["ip", "link", "delete", name]);
  for (const [name, standIn] of wanted) if (!present.includes(name)) await makeStandIn(netns, name, standIn);
}

async function makeStandIn(
  netns: string,
  name: string,
  { id, mac, privateIp, subnetId }: StandIn,
): Promise<void> {
  const inner = interfaceName("v", id);
  await prepareVoid(netns);
  await run([
    "ip",
    "link",
    "add",
    name,
    "type",
    "veth",
    "peer",
    "name",
    inner,
    "address",
    mac,
    "netns",
    netns,
  ]);
  await run(inNetns(netns, ["ip", "address", "add", `${privateIp}/32`, "dev", inner]));
  await run(inNetns(netns, ["ip", "link", "set", inner, "up"]));
  await run(["ip", "link", "set", name, "master", interfaceName("b", subnetId), "up"]);
}

/** ARP is answered by the interface that has the address alone; every IP packet is dropped. */
async function prepareVoid(netns: string): Promise<void> {
  await tryRun(["ip", "netns", "add", netns]);
  await run(inNetns(netns, ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore"]));
  await run(inNetns(netns, ["nft", "-f", "-"]), {
    input: `table ip void
delete table ip void
table ip void {
  chain prerouting {
    type filter hook prerouting priority raw; policy drop;
  }
}
`,
  });
}

/** The machine keeps its carrier, and every packet from and to it disappears. */
export async function silenceLink(instanceId: string): Promise<void> {
  await run(["ip", "link", "set", interfaceName("v", instanceId), "master", voidBridge]);
}

export async function restoreLink(instanceId: string, subnetId: string): Promise<void> {
  await run(["ip", "link", "set", interfaceName("v", instanceId), "master", interfaceName("b", subnetId)]);
}

/** Gives rules to the nftables of a machine. */
export async function applyRules(netns: string, rules: string): Promise<void> {
  await run(inNetns(netns, ["nft", "-f", "-"]), { input: rules });
}
