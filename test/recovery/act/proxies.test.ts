/** A new proxy's configuration, reloads, and the times that a proxy which leaves gives to its clients. */
import { expect, test } from "vitest";
import { copyConfiguration, drainProxy, reloadProxy } from "../../../recovery/act/proxies.ts";
import type { Topology } from "../../../recovery/topology.ts";
import { topologyOf } from "../world-of-facts.ts";
import { FakeWorld } from "./fake-world.ts";

const copying = { proxy: "haproxy2", from: "haproxy1" } as const;
const configured = { event: "configured", proxy: "haproxy2" };
const failed = { event: "configuration failed", proxy: "haproxy2" };
const cat = (proxy: string) => `0 ${proxy}'s shell: cat /etc/haproxy/haproxy.cfg`;

function benchOfBuild(build: string | undefined, wantedBuild: string | undefined): FakeWorld {
  const bench = new FakeWorld();
  const topology = topologyOf(1);
  Object.assign(topology.machines.haproxy1, { build, wantedBuild });
  bench.built = async () => topology;
  return bench;
}

test("a new proxy with the running one's configuration is left as it is", async () => {
  const bench = new FakeWorld();
  await copyConfiguration(bench.world, copying);
  expect(bench.told).toEqual([cat("haproxy1"), cat("haproxy2")]);
  expect(bench.remembered).toEqual([configured]);
});

test("another configuration is checked by haproxy, put in place whole, and loaded", async () => {
  const bench = new FakeWorld();
  bench.files.haproxy1 = "another file\n";
  bench.processes = ["100", "101"];
  await copyConfiguration(bench.world, copying);
  expect(bench.told).toEqual([
    cat("haproxy1"),
    cat("haproxy2"),
    "0 haproxy2's shell: set -e; cat > /etc/haproxy/haproxy.cfg.part; haproxy -c -q -f /etc/haproxy/haproxy.cfg.part; " +
      "mv /etc/haproxy/haproxy.cfg.part /etc/haproxy/haproxy.cfg; systemctl reload-or-restart haproxy <<< another file\n",
    "20 haproxy2: reconnect",
    "20 board: look again at [], 1000 ms",
  ]);
  expect(bench.remembered).toEqual([configured]);
});

test("an empty configuration is not copied; the attempt is remembered", async () => {
  const bench = new FakeWorld();
  bench.files.haproxy1 = " \n";
  await expect(copyConfiguration(bench.world, copying)).rejects.toThrow(
    "haproxy1's /etc/haproxy/haproxy.cfg is empty",
  );
  expect(bench.remembered).toEqual([failed]);
});

test("the running proxy is of an older build: the new one keeps what it was launched with", async () => {
  const bench = benchOfBuild("old", "new");
  bench.files.haproxy1 = "an old file\n";
  await copyConfiguration(bench.world, copying);
  expect(bench.told).toEqual([]);
  expect(bench.remembered).toEqual([configured]);
  expect(bench.logged).toEqual([
    ["haproxy1 is of an older build: haproxy2 keeps the configuration that it was launched with"],
  ]);
});

test.each<[string, FakeWorld]>([
  ["of the present build", benchOfBuild("new", "new")],
  ["of no known build", benchOfBuild("old", undefined)],
  [
    "not in what the engine built",
    Object.assign(new FakeWorld(), { built: async () => ({ machines: {} }) as Topology }),
  ],
])("the running proxy is %s: its configuration counts", async (_, bench) => {
  await copyConfiguration(bench.world, copying);
  expect(bench.told).toEqual([cat("haproxy1"), cat("haproxy2")]);
});

test("a state that cannot be read leaves the new proxy not without work", async () => {
  const bench = new FakeWorld();
  bench.built = () => Promise.reject(new Error("the backend is away"));
  await copyConfiguration(bench.world, copying);
  expect(bench.told).toEqual([cat("haproxy1"), cat("haproxy2")]);
  expect(bench.logged).toEqual([["whether haproxy1 is of an older build is unknown: the backend is away"]]);
});

test("a reload has ended when another process answers, on a new connection", async () => {
  const bench = new FakeWorld();
  bench.processes = ["100", "100", "", "101"];
  await reloadProxy(bench.world, { proxy: "haproxy1" });
  expect(bench.told).toEqual([
    "0 haproxy1's shell: systemctl reload-or-restart haproxy",
    "20 haproxy1: reconnect",
    "40 haproxy1: reconnect",
    "60 haproxy1: reconnect",
    "60 board: look again at [], 1000 ms",
  ]);
});

test("a process that stays for five seconds has not been reloaded", async () => {
  const bench = new FakeWorld();
  await expect(reloadProxy(bench.world, { proxy: "haproxy1" })).rejects.toThrow(
    "haproxy1's haproxy did not reload within 5000 ms",
  );
  expect(bench.nowMs).toBe(5_020);
});

test("a proxy that leaves gives its clients two of app's checks, and a second for the last requests", async () => {
  const bench = new FakeWorld();
  await drainProxy(bench.world, { proxy: "haproxy1" });
  expect(bench.nowMs).toBe(2 * 200 + 1_000);
});
