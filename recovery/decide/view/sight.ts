/**
 * Whether monit itself is cut off. A monitor that reaches no machine does nothing, and says so. Failures in that time
 * prove nothing, also after it reaches the first machine again.
 */
import type { AppFacts, ClientLook, Facts, Look, ServerFacts } from "../../observe/facts.ts";
import { type ProxyMachine, proxyMachines } from "../../topology.ts";
import { pausedAll } from "../memory/flapping.ts";
import type { Memory } from "../memory/memory.ts";

/** Why monit must not judge any machine, or undefined. */
export function whyBlind(facts: Facts): string | undefined {
  const looks = ownLooks(facts);
  if (looks.some(({ state }) => state === "up")) return undefined;
  if (looks.every(({ state }) => state === "none")) return "monit has not seen anybody yet";
  return "monit sees nobody: it may be the one that is cut off, so nothing is done";
}

/** The memory with the moment since which monit sees somebody. */
export function rememberSight(memory: Memory, facts: Facts): Memory {
  if (!whyBlind(facts)) return { ...memory, sightSinceMs: memory.sightSinceMs ?? facts.nowMs };
  return { ...withPatiencePaused(memory, facts.nowMs), sightSinceMs: undefined };
}

/** The memory after this process stood still for a while: as if monit had been blind until now. */
export function seesAgain(memory: Memory, nowMs: number, stoodStillMs: number): Memory {
  return { ...withPatiencePaused(memory, nowMs - stoodStillMs), sightSinceMs: nowMs };
}

/** No patience runs out while monit does not look. */
function withPatiencePaused(memory: Memory, atMs: number): Memory {
  const seen = Object.entries(memory.seen).map(([id, { trouble, ...server }]) => {
    if (!trouble) return [id, server];
    return [
      id,
      { ...server, trouble: { ...trouble, pausedMs: trouble.pausedMs ?? atMs, wellMs: undefined } },
    ];
  });
  return { ...memory, seen: Object.fromEntries(seen), spells: pausedAll(memory.spells ?? {}, atMs) };
}

/**
 * The facts without what proves nothing. A probe of monit counts if it began after monit saw again: one that began before may
 * have met the cut, however late it ended. The proxies and app are vantage points of their own, and monit does not know when
 * their probes began. After a break (monit could not ask them, or their process stood still) their word counts when
 * enough probes for a verdict have had the time to begin again. Patience counts from the same moments.
 */
export function asSeen(facts: Facts, { sightSinceMs }: Memory): Facts {
  const own = (look: Look) => (sightSinceMs === undefined ? look : sinceSight(look, sightSinceMs));
  const { haproxy1, haproxy2 } = facts.proxies;
  const through = (proxy: ProxyMachine, look: Look) =>
    sinceBreak(facts, look, facts.proxies[proxy].view?.inTouchSinceMs);
  const server = (one: ServerFacts): ServerFacts => ({
    ...one,
    looks: {
      haproxy1: through("haproxy1", one.looks.haproxy1),
      haproxy2: through("haproxy2", one.looks.haproxy2),
      monit: own(one.looks.monit),
    },
  });
  return {
    ...facts,
    servers: Object.fromEntries(Object.entries(facts.servers).map(([id, one]) => [id, server(one)])),
    proxies: {
      haproxy1: { ...haproxy1, look: own(haproxy1.look) },
      haproxy2: { ...haproxy2, look: own(haproxy2.look) },
    },
    app: { ...facts.app, look: own(facts.app.look), view: clientView(facts) },
  };
}

function clientView(facts: Facts): AppFacts["view"] {
  const { view, inTouchSinceMs } = facts.app;
  if (!view) return undefined;
  const of = (one: ClientLook): ClientLook => ({ ...one, look: sinceBreak(facts, one.look, inTouchSinceMs) });
  return { haproxy1: of(view.haproxy1), haproxy2: of(view.haproxy2) };
}

/** Facts that make no sense are left as they are. The decision about that subject throws and is reported (isolate.ts). */
function sinceSight(look: Look, sightSinceMs: number): Look {
  if (look?.sinceMs === undefined || look.sinceMs >= sightSinceMs) return look;
  return since(look, sightSinceMs, (look.provenSinceMs ?? look.sinceMs) >= sightSinceMs);
}

function sinceBreak(facts: Facts, look: Look, inTouchSinceMs = Number.NEGATIVE_INFINITY): Look {
  if (look?.sinceMs === undefined) return look;
  const { failures, intervalMs, connectTimeoutMs } = facts.topology.detection;
  const settledMs = inTouchSinceMs + failures * (intervalMs + connectTimeoutMs);
  return since(look, Math.max(look.sinceMs, inTouchSinceMs), facts.nowMs >= settledMs);
}

function since(look: Look, sinceMs: number, isProven: boolean): Look {
  return { ...look, sinceMs, state: look.state === "down" && !isProven ? "failing" : look.state };
}

function ownLooks(facts: Facts): Look[] {
  return [
    ...Object.values(facts.servers).map((server) => server.looks.monit),
    ...proxyMachines.map((proxy) => facts.proxies[proxy].look),
  ];
}
