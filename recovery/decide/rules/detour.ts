/**
 * A proxy that alone cannot reach a master (docs/decisions/013). The network between the two is cut, and no server has failed: a
 * second vantage point would see a failed server, too (view/verdict.ts). Clients of this proxy would wait as long as the cut lasts,
 * although its twin could serve them. So the proxy sends the traffic to its twin, which sends it on. Waiting clients see no error, and
 * app need not move.
 *
 * The server line of the master gets the address of the twin. So a fence of that server (rule 2) closes the detour, too. A line never
 * leads to a twin that makes a detour itself.
 */
import { type Facts, type Look, type ProxyServer, serverId } from "../../observe/facts.ts";
import { counterpartOf, type ProxyMachine, type RedisMachine } from "../../topology.ts";
import { failingMs } from "../memory/flapping.ts";
import { isCondemned } from "../memory/memory.ts";
import { soleMaster } from "../view/mastership.ts";
import { trafficTarget } from "../view/traffic.ts";
import type { ShardView } from "../view/view.ts";
import { takesCommands } from "./fence.ts";

export interface Place {
  address: string;
  port: number;
}

/** The place to which the proxy should send the shard's traffic instead of its master; undefined if it reaches the master itself. */
export function detourOf(proxy: ProxyMachine, view: ShardView): Place | undefined {
  const master = soleMaster(view)?.machine;
  if (!master) return undefined;
  const isOnDetour = leadsTo(proxy, view, master) === "the twin";
  if (!isCutOff(proxy, view, master, isOnDetour)) return undefined;
  return placeOf(counterpartOf(proxy), view, master, isOnDetour);
}

/** True if the line leads to the proxy's twin, in use or not. */
export function isAtTwin(facts: Facts, proxy: ProxyMachine, line: ProxyServer): boolean {
  return line.address === facts.machines[counterpartOf(proxy)].address;
}

/** The redis machines that the proxy makes a detour to. */
export function detoursOf(proxy: ProxyMachine, shards: ShardView[]): RedisMachine[] {
  const masters = shards.flatMap((view) => (detourOf(proxy, view) ? (soleMaster(view)?.machine ?? []) : []));
  return [...new Set(masters)];
}

/**
 * True from `proxyPatienceMs` after the first failed probe, because the other vantage points may see a failed server a moment later.
 * It stays true until the proxy's probe counts the server as up again. One failed probe of the twin does not end it: when the detour
 * began again, its sessions would be cut.
 */
function isCutOff(proxy: ProxyMachine, view: ShardView, master: RedisMachine, isOnDetour: boolean): boolean {
  const { facts, limits } = view.known;
  const looks = facts.servers[serverId(master, view.shard.index)]?.looks;
  if (looks?.monit.state !== "up") return false;
  const look: Look = looks[proxy];
  const { state } = look;
  const twin = looks[counterpartOf(proxy)].state;
  if (isOnDetour) return state !== "up" && twin !== "down";
  return twin === "up" && state === "down" && failingMs(look, facts.nowMs) >= limits.proxyPatienceMs;
}

/** The entrance of the twin, if the twin serves the shard. A twin whose failover was ordered stays as long as it is needed here. */
function placeOf(
  twin: ProxyMachine,
  view: ShardView,
  master: RedisMachine,
  isOnDetour: boolean,
): Place | undefined {
  const { facts, memory } = view.known;
  const { address } = facts.machines[twin];
  if (!address || isCondemned(facts, memory, twin)) return undefined;
  const isThere = isOnDetour ? facts.proxies[twin].look.state !== "down" : takesCommands(facts, twin);
  if (!isThere) return undefined;
  if (facts.proxies[twin].view?.frontends[`shard${view.shard.index}`] !== "open") return undefined;
  const isOnlyTarget = isOnDetour || trafficTarget(facts, twin, view.shard.index) === master;
  if (!isOnlyTarget || leadsTo(twin, view, master) !== "the master") return undefined;
  return { address, port: view.shard.proxyPort };
}

/** Where the proxy's line for the master leads, while it may be used. */
function leadsTo(
  proxy: ProxyMachine,
  { known: { facts }, shard }: ShardView,
  master: RedisMachine,
): "the master" | "the twin" | undefined {
  const line = facts.proxies[proxy].view?.shards[shard.index]?.[master].traffic;
  if (!line?.ready) return undefined;
  if (line.address === facts.machines[master].address && line.port === shard.redisPort) return "the master";
  return isAtTwin(facts, proxy, line) ? "the twin" : undefined;
}
