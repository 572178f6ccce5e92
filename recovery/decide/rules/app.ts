/** Questions about app and monit, by which the rows of their tables are written (policy/app-and-monit.ts). */
import type { MachineFacts } from "../../observe/facts.ts";
import type { ProxyMachine } from "../../topology.ts";
import type { Known } from "../view/view.ts";
import { list } from "../view/words.ts";
import { silentMsOfApp, witnessesOfApp } from "./app-witnesses.ts";
import { isOrdered, orderOf, whyGoneForCloud } from "./condemn.ts";

export interface AppView {
  machine: "app";
  known: Known;
}

/** Is app lost? */
export const isAppLost = (view: AppView) => whyAppLost(view) !== undefined;

/** Why app is to be replaced, or undefined. */
export function whyAppLost(view: AppView): string | undefined {
  const { known, machine } = view;
  const { facts } = known;
  if (isOrdered(view)) return orderOf(known, machine);
  const gone = whyGoneForCloud(facts.machines[machine], machine, facts.app.look.state === "up");
  return gone ?? (isMissedByAll(known) ? silenceOf(known) : undefined);
}

/** Silent to monit, and to every proxy that can tell: a verdict needs more than one vantage point. */
function isMissedByAll(known: Known): boolean {
  const { look } = known.facts.app;
  const { hearing, missing } = witnessesOfApp(known);
  return look.state === "down" && look.silence === "silent" && hearing.length === 0 && missing.length > 0;
}

/** Has its proxy never answered, and may the machine still be booting? */
export const isAppStarting = ({ known }: AppView) =>
  known.facts.app.view === undefined && silentMsOfApp(known) < known.limits.bootMs;

/** Has monit not reached it for `graceMs`? */
export const isAppUnseen = ({ known }: AppView) => silentMsOfApp(known) >= known.limits.graceMs;

/** Does it not answer monit now? */
export const isAppDoubted = ({ known }: AppView) => known.facts.app.look.state !== "up";

/** What is wrong with app, with the vantage points that say so. */
export function troubleOfApp({ known, machine }: AppView): string {
  const { look } = known.facts.app;
  if (look.silence === "refused") return `${machine}'s proxy process is gone`;
  if (look.silence === "stalled") return `${machine}'s proxy accepts but does not reply`;
  if (look.state === "none") return `${machine} has not answered yet`;
  return silenceOf(known);
}

function silenceOf(known: Known): string {
  const { hearing, missing } = witnessesOfApp(known);
  if (hearing.length > 0) return `monit cannot see app, but ${hears(hearing)} it`;
  if (missing.length > 0)
    return `app does not answer monit, and ${list(missing)} ${missing.length > 1 ? "do" : "does"} not hear it`;
  return "app does not answer, says monit alone";
}

const hears = (proxies: ProxyMachine[]) => `${list(proxies)} ${proxies.length > 1 ? "hear" : "hears"}`;

export interface MonitView {
  machine: "monit";
  facts: MachineFacts;
}

/** Does the cloud say that the machine on which recovery runs does not run? */
export const isMonitOff = ({ facts: { cloud } }: MonitView) =>
  cloud !== undefined && cloud !== "running" && cloud !== "pending";
