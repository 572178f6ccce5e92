/** Where the proxies send a shard's traffic now. */
import type { Facts, ProxyServer } from "../../observe/facts.ts";
import { type ProxyMachine, type RedisMachine, redisMachines } from "../../topology.ts";

/** Undefined while the proxy holds the traffic, does not answer, or has both servers in use. */
export function trafficTarget(facts: Facts, proxy: ProxyMachine, shard: number): RedisMachine | undefined {
  return onlyOne(facts, proxy, shard, ({ ready }) => ready);
}

/** The server that carries the shard's sessions: also while it drains and gets no new ones. */
export function sessionTarget(facts: Facts, proxy: ProxyMachine, shard: number): RedisMachine | undefined {
  return onlyOne(facts, proxy, shard, ({ maintenance }) => !maintenance);
}

function onlyOne(
  facts: Facts,
  proxy: ProxyMachine,
  shard: number,
  is: (line: ProxyServer) => boolean,
): RedisMachine | undefined {
  const { look, view } = facts.proxies[proxy];
  const lines = look.state === "up" ? view?.shards[shard] : undefined;
  const found = redisMachines.filter((machine) => lines && is(lines[machine].traffic));
  return found.length === 1 ? found[0] : undefined;
}
