/**
 * Never two writable masters of one shard that clients can reach. Two kinds of evidence, neither from recovery:
 *
 * 1. **Who acknowledged.** Every client asks the server behind its connection for its address (`CLIENT INFO`). When a
 *    server acknowledges a write, then another one does, then the first again, each begun after the former was answered
 *    and all within a second, then both took writes at once: no failover there and back is that fast.
 * 2. **What stood open.** The run looks at the proxies' tables, app's choice of proxy and the servers' roles through
 *    their own sockets, several times a second. A state is taken to hold from the answer to a look until the next one is
 *    asked for, if both agree; two masters are seen when a whole stretch of time has two ways from app to two servers
 *    that both are masters.
 */

import { proxyMachines, redisMachines } from "../../../recovery/topology.ts";
import { isWrite, type Operation } from "../history.ts";
import type { Observation } from "../record.ts";
import { type Checker, grouped } from "./verdict.ts";

/** Two switches of the master within this time are none, in milliseconds: detection alone takes longer. */
export const switchesMsMin = 1000;
/**
 * Two ways that overlap for less are none, in milliseconds: a role comes through a pipe, some milliseconds after it was
 * asked for, so the end of what held is known only so well.
 */
const overlapMsMin = 25;
/** Looks that are farther apart than this say nothing of the time between them, in milliseconds. */
const lookMsMax = 2000;

/** Writes that show two servers taking writes at once: `[first, other, first again]`. */
export function overlaps(operations: readonly Operation[]): [Operation, Operation, Operation][] {
  const writes = operations
    .filter((each) => isWrite(each) && each.outcome === "ok" && each.server !== undefined)
    .sort((a, b) => a.invokedAt - b.invokedAt);
  const found: [Operation, Operation, Operation][] = [];
  let from = 0;
  for (const [i, last] of writes.entries()) {
    while ((writes[from]?.invokedAt ?? 0) < last.invokedAt - switchesMsMin) from += 1;
    const recent = writes.slice(from, i);
    if (recent.every(({ server }) => server === last.server)) continue;
    const triple = tripleBefore(last, recent);
    if (triple !== undefined) found.push(triple);
  }
  return found;
}

function tripleBefore(
  last: Operation,
  recent: readonly Operation[],
): [Operation, Operation, Operation] | undefined {
  const others = recent.filter(
    ({ server, completedAt }) => server !== last.server && completedAt < last.invokedAt,
  );
  const earliest = recent
    .filter(({ server }) => server === last.server)
    .reduce<Operation | undefined>(
      (a, b) => (a === undefined || b.completedAt < a.completedAt ? b : a),
      undefined,
    );
  if (earliest === undefined) return undefined;
  const other = others.find(({ invokedAt }) => invokedAt > earliest.completedAt);
  return other === undefined ? undefined : [earliest, other, last];
}

/** A stretch of time in which something held. */
interface Span {
  from: number;
  to: number;
  what: string;
}

/** The stretches between two looks at one thing that agree. `looks` are in order. */
function spansOf(looks: readonly { at: number; askedAt?: number; values: readonly string[] }[]): Span[] {
  return looks.slice(1).flatMap((look, i) => {
    const former = looks[i];
    if (former === undefined || look.at - former.at > lookMsMax) return [];
    return look.values
      .filter((value) => former.values.includes(value))
      .map((what) => ({ from: former.at, to: look.askedAt ?? look.at, what }));
  });
}

/** Where two lists of spans, each in order, hold together. */
function both(a: readonly Span[], b: readonly Span[]): Span[] {
  const found: Span[] = [];
  let start = 0;
  for (const one of a) {
    while (start < b.length && (b[start]?.to ?? 0) <= one.from) start += 1;
    for (let i = start; i < b.length; i++) {
      const other = b[i];
      if (other === undefined || other.from >= one.to) break;
      const from = Math.max(one.from, other.from);
      const to = Math.min(one.to, other.to);
      if (to > from) found.push({ from, to, what: `${one.what} → ${other.what}` });
    }
  }
  return found;
}

const timesOf = ({ at, askedAt }: Observation) => ({ at, askedAt });

/** When a master was open to clients: by which proxy, for each redis machine. */
function open(observations: readonly Observation[], shard: string, redis: string): Span[] {
  const app = observations.flatMap((each) =>
    each.source === "app" ? [{ ...timesOf(each), values: each.uses[shard] ?? [] }] : [],
  );
  const roles = observations.flatMap((each) =>
    each.source === redis && "role" in each && String(each.shard) === shard
      ? [{ ...timesOf(each), values: each.role === "master" ? [redis] : [] }]
      : [],
  );
  const master = spansOf(roles);
  return ["haproxy1", "haproxy2"].flatMap((proxy) => {
    const uses = spansOf(app).filter(({ what }) => what === proxy);
    const table = observations.flatMap((each) =>
      each.source === proxy && "enabled" in each
        ? [{ ...timesOf(each), values: (each.enabled[shard] ?? []).filter((name) => name === redis) }]
        : [],
    );
    return both(both(uses, spansOf(table)), master);
  });
}

/** Every party to the shard was looked at, and the way to its master was seen open: who sees that would see two as well. */
function isWatched(observations: readonly Observation[], shard: number): boolean {
  const own = observations.filter((each) => {
    if ("role" in each) return each.shard === shard;
    return String(shard) in ("uses" in each ? each.uses : each.enabled);
  });
  const sources = new Set(own.map(({ source }) => source));
  const isOpen = redisMachines.some((redis) => open(own, String(shard), redis).length > 0);
  return isOpen && [...redisMachines, ...proxyMachines, "app" as const].every((one) => sources.has(one));
}

/** Stretches in which two masters of one shard were open, in words. */
export function openTwice(observations: readonly Observation[]): string[] {
  const shards = [
    ...new Set(observations.flatMap((each) => ("enabled" in each ? Object.keys(each.enabled) : []))),
  ];
  return shards.flatMap((shard) => {
    const ways = ["redis1", "redis2"].map((redis) =>
      open(observations, shard, redis).sort((a, b) => a.from - b.from),
    );
    return both(ways[0] ?? [], ways[1] ?? [])
      .filter(({ from, to }) => to - from >= overlapMsMin)
      .map(
        ({ from, to, what }) =>
          `shard ${shard}: ${what}, both masters from ${new Date(from).toISOString()} for ${(to - from).toFixed(0)} ms`,
      );
  });
}

export const twoMasters: Checker = {
  name: "two masters",
  check({ operations, observations }) {
    const shards = [...new Set(operations.map(({ shard }) => shard))];
    const overlapping = shards.flatMap((shard) =>
      overlaps(operations.filter((each) => each.shard === shard)),
    );
    const seen = openTwice(observations);
    const known = operations.filter((each) => isWrite(each) && each.outcome === "ok" && each.server).length;
    const unseen = shards.filter((shard) => !isWatched(observations, shard));
    const isBlind = known === 0 || shards.length === 0 || unseen.length > 0;
    const told = overlapping.map(
      ([first, other, again]) =>
        `shard ${first.shard}: ${first.server}, then ${other.server}, then ${again.server} again took a write within ` +
        `${(again.completedAt - first.completedAt).toFixed(0)} ms, at ${new Date(other.completedAt).toISOString()}`,
    );
    return {
      verdict: overlapping.length + seen.length > 0 ? "fail" : isBlind ? "unknown" : "pass",
      sentence:
        `${overlapping.length + seen.length} times two reachable masters, in ${grouped(known)} writes that know who ` +
        `took them and ${grouped(observations.length)} looks` +
        (unseen.length > 0 ? `; not all of shard ${unseen.join(", ")} was watched` : ""),
      examples: [...told, ...seen],
      figures: { overlaps: overlapping.length, seen: seen.length, looks: observations.length },
    };
  },
};
