/**
 * Who else than monit may know whether app lives: the proxies. App's own proxy asks for their health pages several times a
 * second, and each notes who has asked (`clients` in haproxy.cfg). So a cut between monit and app alone replaces nobody.
 */
import type { Hearing } from "../../observe/facts.ts";
import { type ProxyMachine, proxyMachines } from "../../topology.ts";
import type { Known } from "../view/view.ts";

/** What the proxies that answer monit say of app. One that cannot tell is in neither list. */
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
  return facts.nowMs - (facts.app.look.sinceMs ?? facts.nowMs);
}

/** Undefined for a proxy that does not answer, and for one of an older program, which does not note who asks. */
function hearingOf({ facts }: Known, proxy: ProxyMachine): Hearing | undefined {
  const { look, view } = facts.proxies[proxy];
  return look.state === "up" ? view?.hearing : undefined;
}

/**
 * A process that has just started, or stood still, is given time to hear app. When it has never heard it, app may still be
 * booting, or not yet know this proxy's new address: then that time is a boot's.
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
