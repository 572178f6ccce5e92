import { expect, test } from "vitest";
import { dhcpHostsFile, hostsFile, resolverConfig } from "../../../lab/control-plane/dnsmasq-config.ts";

const config = {
  interface: "r1",
  resolver: "10.42.0.2",
  subnets: [
    { bridge: "b1", network: "10.42.1.0", netmask: "255.255.255.0" },
    { bridge: "b2", network: "10.42.2.0", netmask: "255.255.255.0" },
  ],
  domains: ["barton", "eu-central-1.compute.internal"],
  dhcpDomain: "eu-central-1.compute.internal",
  hostsFile: "/lab/hosts",
  dhcpHostsFile: "/lab/dhcp-hosts",
  pidFile: "/lab/pid",
  logFile: "/lab/log",
};

test("the resolver answers for the zone alone, with answers that are soon forgotten", () => {
  const lines = resolverConfig(config).split("\n");
  expect(lines).toContain("local=/barton/");
  expect(lines).toContain("local-ttl=1");
  expect(lines).toContain("no-resolv");
  expect(lines).toContain("no-hosts");
});

test("DHCP serves each subnet with fixed addresses, and names Amazon's resolver", () => {
  const lines = resolverConfig(config).split("\n");
  expect(lines).toContain("dhcp-range=10.42.1.0,static,255.255.255.0,1h");
  expect(lines).toContain("dhcp-range=10.42.2.0,static,255.255.255.0,1h");
  expect(lines).toContain("dhcp-option=option:dns-server,10.42.0.2");
});

test("it listens inside the lab alone", () => {
  const lines = resolverConfig(config).split("\n");
  expect(lines.filter((line) => line.startsWith("interface="))).toEqual([
    "interface=r1",
    "interface=b1",
    "interface=b2",
  ]);
  expect(lines).toContain("except-interface=lo");
});

test("hosts files differ only when their content does", () => {
  expect(hostsFile([{ name: "a.barton", addresses: ["10.0.0.2", "10.0.0.1"] }])).toBe(
    "10.0.0.1 a.barton\n10.0.0.2 a.barton\n",
  );
  expect(hostsFile([])).toBe("");
  const machines = [
    { mac: "02:b", privateIp: "10.0.0.2" },
    { mac: "02:a", privateIp: "10.0.0.1" },
  ];
  expect(dhcpHostsFile(machines)).toBe(dhcpHostsFile([...machines].reverse()));
  expect(dhcpHostsFile(machines)).toContain("02:a,10.0.0.1\n");
});
