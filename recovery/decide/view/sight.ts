/**
 * Whether monit itself is cut off. A monitor that reaches nobody is cut off itself: it does nothing, and says so. Failures in that time
 * prove nothing, also after it reaches the first machine again.
 */
import type { Facts, Look, ServerFacts } from "../../observe/facts.ts";
import { proxyMachines } from "../../topology.ts";
import type { Memory } from "../memory/memory.ts";

/** Why monit must not judge anybody, or undefined. */
export function whyBlind(facts: Facts): string | undefined {
  const looks = ownLooks(facts);
  if (looks.some(({ state }) => state === "up")) return undefined;
  if (looks.every(({ state }) => state === "none")) return "monit has not seen anybody yet";
  return "monit sees nobody: it may be the one that is cut off, so nothing is done";
}

/** The memory with the moment since which monit sees somebody. */
export function rememberSight(memory: Memory, facts: Facts): Memory {
  const sightSinceMs = whyBlind(facts) ? undefined : (memory.sightSinceMs ?? facts.nowMs);
  return { ...memory, sightSinceMs };
}

/** The facts without what monit missed while it was blind: such failures count from when it saw again. */
export function asSeen(facts: Facts, { sightSinceMs }: Memory): Facts {
  if (sightSinceMs === undefined) return facts;
  const { failures, intervalMs, connectTimeoutMs } = facts.topology.detection;
  const isSettled = facts.nowMs - sightSinceMs >= failures * (intervalMs + connectTimeoutMs);
  const seen = (look: Look): Look => {
    if (look.sinceMs === undefined || look.sinceMs >= sightSinceMs) return look;
    return { ...look, sinceMs: sightSinceMs, state: isSettled ? look.state : "failing" };
  };
  const server = (one: ServerFacts): ServerFacts => ({
    ...one,
    looks: { ...one.looks, monit: seen(one.looks.monit) },
  });
  const { haproxy1, haproxy2 } = facts.proxies;
  return {
    ...facts,
    servers: Object.fromEntries(Object.entries(facts.servers).map(([id, one]) => [id, server(one)])),
    proxies: {
      haproxy1: { ...haproxy1, look: seen(haproxy1.look) },
      haproxy2: { ...haproxy2, look: seen(haproxy2.look) },
    },
    app: { ...facts.app, look: seen(facts.app.look) },
  };
}

function ownLooks(facts: Facts): Look[] {
  return [
    ...Object.values(facts.servers).map((server) => server.looks.monit),
    ...proxyMachines.map((proxy) => facts.proxies[proxy].look),
  ];
}
