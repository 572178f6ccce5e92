/**
 * If two monitors run, only one acts (docs/decisions/011).
 *
 * Each monitor writes its id into a table of both proxies (`monitors` in haproxy.cfg) and renews it. An entry that is not renewed
 * expires. A monitor that finds the entry of a younger one steps back as long as that entry exists. The proxies are the right place: a
 * promotion needs a confirmation of each proxy anyway (rule 2), so two monitors that could both promote see each other, and no cloud
 * API is needed (rule 9). A monitor that reaches no proxy can do nothing without the cloud. Then the cloud decides which monit is the
 * present one.
 *
 * Before an entry is seen, two monitors may act at once for a moment. That is the same as a monitor that is killed and starts again:
 * every step is idempotent, a promotion is fenced first and has an epoch, and Pulumi has one lock.
 */
import { instanceOf, type MonitorId } from "../../loop/monitor-id.ts";
import type { Facts } from "../../observe/facts.ts";
import { proxyMachines } from "../../topology.ts";

/** An entry expires after this time without a renewal. haproxy.cfg has the same value. */
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

/** True if every proxy that answers has this monitor's entry. Before that another monitor cannot know of it. */
export function isIntroduced(facts: Facts): boolean {
  const { self } = facts;
  return self === undefined || tables(facts).every((monitors) => monitors.includes(self));
}

/** The youngest monitor among all entries; undefined when no proxy can be asked. */
function youngestKnown(facts: Facts): MonitorId | undefined {
  const all = tables(facts);
  return all.length === 0 ? undefined : (all.flat().sort().at(-1) ?? facts.self);
}

/** The entries at each proxy that answers. A proxy with an older configuration has no table. */
function tables(facts: Facts): MonitorId[][] {
  return proxyMachines.flatMap((proxy) => {
    const { look, view } = facts.proxies[proxy];
    return look.state === "up" && view?.monitors ? [view.monitors] : [];
  });
}
