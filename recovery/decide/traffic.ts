/** Where the proxies send a shard's traffic now. */
import type { Facts } from "../observe/facts.ts";
import { type ProxyMachine, type RedisMachine, redisMachines } from "../topology.ts";

/** Undefined while the proxy holds the traffic, does not answer, or has both servers in use. */
export function trafficTarget(facts: Facts, proxy: ProxyMachine, shard: number): RedisMachine | undefined {
  const { look, view } = facts.proxies[proxy];
  const lines = look.state === "up" ? view?.shards[shard] : undefined;
  const ready = redisMachines.filter((machine) => lines?.[machine].traffic.ready);
  return ready.length === 1 ? ready[0] : undefined;
}
