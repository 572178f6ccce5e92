/** The configuration of dnsmasq, the DHCP server and resolver of a VPC. Pure: returns text. */

export type SubnetDhcp = { bridge: string; network: string; netmask: string };

export type ResolverConfig = {
  /** Interface that has the resolver's address (VPC base plus two). */
  interface: string;
  resolver: string;
  subnets: SubnetDhcp[];
  /** Private zones, and the VPC's own domain: nobody else is asked about names in them. */
  domains: string[];
  /** The domain that DHCP tells: `eu-central-1.compute.internal`. */
  dhcpDomain: string;
  /** Files that are read again on SIGHUP. */
  hostsFile: string;
  dhcpHostsFile: string;
  pidFile: string;
  logFile: string;
};

/** Seconds that answers may be kept: the shortest that Route 53 records of the program have. */
const ttlSeconds = 1;

/** The configuration file. A change of it needs a restart; the hosts files do not. */
export function resolverConfig(config: ResolverConfig): string {
  const lines = [
    "# Written by the lab's control plane.",
    "no-resolv",
    "no-hosts",
    "no-poll",
    "bind-dynamic",
    "except-interface=lo",
    `interface=${config.interface}`,
    ...config.subnets.map((subnet) => `interface=${subnet.bridge}`),
    `local-ttl=${ttlSeconds}`,
    `addn-hosts=${config.hostsFile}`,
    ...[...config.domains].sort().map((domain) => `local=/${domain}/`),
    "bogus-priv",
    // DHCP: fixed addresses by MAC, and nothing that would make a machine wait for its address.
    ...config.subnets.map((subnet) => `dhcp-range=${subnet.network},static,${subnet.netmask},1h`),
    `dhcp-hostsfile=${config.dhcpHostsFile}`,
    `dhcp-option=option:dns-server,${config.resolver}`,
    `dhcp-option=option:domain-name,${config.dhcpDomain}`,
    "dhcp-authoritative",
    "dhcp-ignore-names",
    "no-ping",
    "leasefile-ro",
    `pid-file=${config.pidFile}`,
    `log-facility=${config.logFile}`,
    "user=root",
    "group=root",
  ];
  return `${lines.join("\n")}\n`;
}

/** A name and the addresses it has. */
export type HostRecord = { name: string; addresses: string[] };

/** Sorted, so that a file differs only when its content does. */
export function hostsFile(records: readonly HostRecord[]): string {
  const lines = records.flatMap(({ name, addresses }) =>
    [...addresses].sort().map((address) => `${address} ${name}`),
  );
  return lines.map((line) => `${line}\n`).join("");
}

export function dhcpHostsFile(machines: readonly { mac: string; privateIp: string }[]): string {
  return machines
    .map(({ mac, privateIp }) => `${mac},${privateIp}\n`)
    .sort()
    .join("");
}
