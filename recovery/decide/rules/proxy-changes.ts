/**
 * The desired server lines of a proxy, and the changes that are needed.
 *
 * Rule 4 lives here: a traffic line becomes ready only for the one server that is master. A server that is out, or whose machine is
 * condemned, is in no line of any proxy until it is registered again. The line leads to the server itself, or to a detour (detour.ts).
 */
import type { FrontendState, ProxyServer } from "../../observe/facts.ts";
import { type ProxyMachine, redisMachines } from "../../topology.ts";
import type { ServerChange } from "../steps.ts";
import { soleMaster } from "../view/mastership.ts";
import type { Known, ServerView, ShardView } from "../view/view.ts";
import { detourOf, isAtTwin } from "./detour.ts";

/** What the proxies shall do with the traffic of a shard: send it to the master, hold it, or go on as they do. */
export type Traffic = "to master" | "hold" | "as it is";

/** One shard with what its situation says about traffic. */
export interface ShardIntent {
  view: ShardView;
  traffic: Traffic;
  /** A plan for this shard is under way: its traffic lines are left alone. */
  busy: boolean;
}

/** The changes that this proxy needs, those that take servers out first; empty when all is right. */
export function changesFor(proxy: ProxyMachine, intents: ShardIntent[]): ServerChange[] {
  const changes = intents.flatMap((intent) =>
    redisMachines.flatMap((machine) => [
      ...changeOf(proxy, intent, "probe", intent.view.servers[machine]),
      ...changeOf(proxy, intent, "traffic", intent.view.servers[machine]),
    ]),
  );
  return changes.sort((a, b) => Number(a.ready ?? false) - Number(b.ready ?? false));
}

function changeOf(
  proxy: ProxyMachine,
  { view, traffic, busy }: ShardIntent,
  line: ServerChange["line"],
  server: ServerView,
): ServerChange[] {
  const { facts } = view.known;
  const { index, redisPort } = view.shard;
  const present = facts.proxies[proxy].view?.shards[index]?.[server.machine][line];
  const { address } = facts.machines[server.machine];
  if (!present || !address || (busy && line === "traffic")) return [];
  const wanted = line === "probe" ? wantedProbe(view, server) : wantedTraffic(view, traffic, server);
  const detour = line === "traffic" && soleMaster(view) === server ? detourOf(proxy, view) : undefined;
  const place = detour ?? { address, port: redisPort };
  const isThere = present.address === place.address && present.port === place.port;
  const change: ServerChange = { shard: index, line, machine: server.machine };
  if (wanted === true && !isThere) {
    // A session with an unreachable server is stuck until the kernel ends it after seconds.
    return [{ ...change, address: place, ready: true, ...(detour && { cut: true }) }];
  }
  // A detour stays while nothing is to be changed for the server.
  const isOnDetour = line === "traffic" && isAtTwin(facts, proxy, present);
  // A line with a former address is not used.
  const ready = isThere || isOnDetour ? wanted : false;
  return ready === undefined || isSo(present, ready) ? [] : [{ ...change, ready }];
}

/** True if the line is as wanted. A line that somebody has set to drain is neither in use nor out. */
const isSo = (present: ProxyServer, ready: boolean) => (ready ? present.ready : present.maintenance);

/** The address of `hold`, as in haproxy.cfg: a closed port on which no server listens. */
export const holdAddress = { address: "127.0.0.1", port: 1 };

/** Settings that recovery never changes, so that only a person can have changed them. A restart of haproxy restores them. */
export interface Defects {
  /** Names of frontends that do not listen now. */
  paused: string[];
  /** Names of frontends that this process will never open again. */
  shut: string[];
  /** Shards whose traffic would get an error instead of waiting while there is no master. */
  holds: number[];
}

/** Everything of the proxy that is not as in haproxy.cfg; empty lists if nothing is. */
export function defectsOf({ facts }: Known, proxy: ProxyMachine): Defects {
  const { frontends = {}, holds = {} } = facts.proxies[proxy].view ?? {};
  const which = (state: FrontendState) => Object.keys(frontends).filter((name) => frontends[name] === state);
  const isWrong = ({ ready, address, port }: ProxyServer) =>
    !ready || address !== holdAddress.address || port !== holdAddress.port;
  const wrong = Object.entries(holds).filter(([, hold]) => isWrong(hold));
  return { paused: which("paused"), shut: which("shut"), holds: wrong.map(([shard]) => Number(shard)) };
}

/** A probe line is ready while the server is in use; undefined leaves it as it is. */
function wantedProbe(view: ShardView, server: ServerView): boolean | undefined {
  if (server.out || server.condemned) return false;
  return server.answers && (soleMaster(view) === server || server.synced) ? true : undefined;
}

function wantedTraffic(view: ShardView, traffic: Traffic, server: ServerView): boolean | undefined {
  if (server.out || traffic === "hold") return false;
  const isMaster = soleMaster(view) === server;
  // The master of a condemned machine that still works serves until its successor is promoted.
  if (server.condemned && !isMaster) return false;
  return traffic === "to master" ? isMaster : undefined;
}
