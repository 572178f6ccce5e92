/** Why a replica has no full copy yet, in words: what the server and its master report, not a guess. */
import { serverId } from "../../observe/facts.ts";
import { counterpartOf } from "../../topology.ts";
import type { Known, ServerView } from "./view.ts";

/** A full copy without one more byte for so long does not end by itself. */
const idleSecondsMax = 30;
/** A link that was lost a moment ago comes back by itself. */
const patienceMs = 5_000;
/** So many full copies that began while the link was never up do not end by themselves. */
const endlessCopies = 3;

/** What the replica is doing on its way to a full copy. */
export function progressOf(known: Known, shard: number, server: ServerView): string {
  const stuck = whyCopyIsStuck(known, shard, server);
  if (stuck) return stuck;
  const { machine, info, lags } = server;
  if (info?.loading) return `${machine} is loading its data from disk${loadingText(server)}`;
  if (info?.follows?.linkUp && !info.follows.syncing && lags) return `${machine} lags behind`;
  return `${machine} is receiving its copy${copyText(server)}`;
}

/** Why the replica gets no full copy, for a reason that does not end by itself; undefined if there is no such sign. */
export function whyCopyIsStuck(known: Known, shard: number, server: ServerView): string | undefined {
  const { machine, info } = server;
  if (!info?.follows || info.follows.linkUp || info.loading) return undefined;
  const master = counterpartOf(machine);
  const idle = info.follows.copy?.idleSeconds ?? 0;
  if (idle >= idleSecondsMax) return `${machine}'s full copy has received nothing for ${idle} s`;
  const now = known.facts.servers[serverId(master, shard)]?.info?.counters;
  const link = known.memory.seen[serverId(machine, shard)]?.link;
  if (!now || !link?.master || link.up) return undefined;
  if (known.facts.nowMs - link.sinceMs < patienceMs) return undefined;
  // Refused logins tell nothing: the proxies' probes, which have no password, are counted with them.
  const grown = (counter: keyof typeof now) => now[counter] - (link.master?.[counter] ?? 0);
  if (grown("refusedConnections") > 0)
    return `${machine} has no link, and ${master} has refused ${grown("refusedConnections")} connections since: max number of clients reached`;
  if (grown("fullCopies") >= endlessCopies)
    return `${machine} has begun ${grown("fullCopies")} full copies, and none has ended`;
  return undefined;
}

/** Progress of reading from disk, as the server estimates it; empty if it does not. */
export function loadingText({ info }: ServerView): string {
  const { loadingProgress: progress } = info ?? {};
  return progress ? ` (${progress.percent} %, about ${progress.secondsLeft} s left)` : "";
}

function copyText({ info }: ServerView): string {
  const copy = info?.follows?.syncing ? info.follows.copy : undefined;
  if (!copy) return "";
  const left = copy.bytesLeft === undefined ? "" : `, ${mebibytes(copy.bytesLeft)} left`;
  return ` (${mebibytes(copy.bytesReceived)} received${left})`;
}

const mebibytes = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MB`;
