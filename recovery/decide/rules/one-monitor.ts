/**
 * Only one monitor acts, should two be running.
 *
 * Each monitor leaves its id in a table of both proxies (`monitors` in haproxy.cfg) and renews it; an entry that is not
 * renewed vanishes by itself. A monitor that finds a younger one's entry there steps back for as long as it is there. The
 * proxies are the right place: a promotion needs the word of each proxy anyway (rule 2), so two monitors that could both
 * promote see each other; and no cloud API is needed for it (rule 9). A monitor that reaches no proxy can do nothing without
 * the cloud (its word that a machine is off, or a new machine), so then the cloud's word counts on which monit is the present
 * one.
 *
 * In the moment before an entry is seen two may act at once. That is no more than what a monitor that was killed and started
 * again does to its predecessor's last steps: every step is idempotent, a promotion is fenced first and carries an epoch, and
 * Pulumi's lock is one.
 */
import { instanceOf, type MonitorId } from "../../loop/monitor-id.ts";
import type { Facts } from "../../observe/facts.ts";
import { proxyMachines } from "../../topology.ts";

/** An entry that is not renewed for so long vanishes: haproxy.cfg is made with it. */
export const monitorExpirySeconds = 10;

/** Why this monitor must leave the acting to another one, or undefined. */
export function whySteppedBack(facts: Facts): string | undefined {
  const { self } = facts;
  if (self === undefined) return undefined;
  const other = youngestKnown(facts);
  if (other !== undefined) {
    if (other <= self) return undefined;
    return `a younger monitor (on ${instanceOf(other)}) is at work: this one (on ${instanceOf(self)}) only looks on`;
  }
  const present = facts.machines.monit;
  const isReplaced = present.cloud === "running" && present.instanceId !== instanceOf(self);
  if (!isReplaced) return undefined;
  return `no proxy can be asked, and the cloud says that monit is ${present.instanceId} now: this one (${instanceOf(self)}) only looks on`;
}

/** Has every proxy that answers this monitor's entry? Until then another one cannot know of it. */
export function isIntroduced(facts: Facts): boolean {
  const { self } = facts;
  return self === undefined || tables(facts).every((monitors) => monitors.includes(self));
}

/** The youngest monitor among all entries; undefined when no proxy can be asked. */
function youngestKnown(facts: Facts): MonitorId | undefined {
  const all = tables(facts);
  return all.length === 0 ? undefined : (all.flat().sort().at(-1) ?? facts.self);
}

/** The entries at each proxy that answers and keeps some; one with an older configuration has no table. */
function tables(facts: Facts): MonitorId[][] {
  return proxyMachines.flatMap((proxy) => {
    const { look, view } = facts.proxies[proxy];
    return look.state === "up" && view?.monitors ? [view.monitors] : [];
  });
}
