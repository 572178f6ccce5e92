/**
 * The proxies as second vantage points on app. app's own haproxy asks for their health pages several times a second, and each proxy
 * notes the addresses that have asked (`clients` in haproxy.cfg). So a cut between monit and app alone replaces no machine.
 */
import type { Hearing } from "../../observe/facts.ts";
import { type ProxyMachine, proxyMachines } from "../../topology.ts";
import { failingMs } from "../memory/flapping.ts";
import type { Known } from "../view/view.ts";

/** The proxies that hear app and those that miss it. A proxy that does not answer monit, or cannot tell, is in neither list. */
export interface Witnesses {
  hearing: ProxyMachine[];
  missing: ProxyMachine[];
}

export function witnessesOfApp(known: Known): Witnesses {
  const saying = (what: "hears" | "misses") =>
    proxyMachines.filter((proxy) => sayingOf(known, hearingOf(known, proxy)) === what);
  return { hearing: saying("hears"), missing: saying("misses") };
}

/** How long monit has had no answer from app, in milliseconds. */
export function silentMsOfApp({ facts }: Known): number {
  return failingMs(facts.app.look, facts.nowMs);
}

/** Undefined for a proxy that does not answer, or that an older program made: it does not note who asks. */
function hearingOf({ facts }: Known, proxy: ProxyMachine): Hearing | undefined {
  const { look, view } = facts.proxies[proxy];
  return look.state === "up" ? view?.hearing : undefined;
}

/**
 * A proxy process that has just started, or stood still, gets time to hear app. If it has never heard app, that time is `bootMs`: app
 * may still be booting, or not know the new address of this proxy yet.
 */
function sayingOf(known: Known, hearing: Hearing | undefined): "hears" | "misses" | undefined {
  const { facts, limits } = known;
  if (!hearing) return undefined;
  const isHeard = hearing.lately[facts.machines.app.address ?? ""];
  if (isHeard) return "hears";
  const { failures, intervalMs, connectTimeoutMs } = facts.topology.detection;
  const patienceMs = isHeard === undefined ? limits.bootMs : failures * (intervalMs + connectTimeoutMs);
  const listeningMs = facts.nowMs - hearing.sinceMs;
  return Math.min(listeningMs, silentMsOfApp(known)) >= patienceMs ? "misses" : undefined;
}
