/** The tables of situations of app and of monit: nobody's data is on them, and no counterpart waits for them. */
import type { MachineFacts } from "../../observe/facts.ts";
import type { ProxyMachine } from "../../topology.ts";
import { isGivenUp, orderFor, replacementOf } from "../memory/memory.ts";
import { silentMsOfApp, witnessesOfApp } from "../rules/app-witnesses.ts";
import type { Known } from "../view/view.ts";
import { list } from "../view/words.ts";
import { orderOf, stopMonitoring, whyGoneForCloud } from "./redis-machine.ts";
import type { Row } from "./table.ts";

export interface AppView {
  machine: "app";
  known: Known;
}

export const appSituations: Row<AppView>[] = [
  {
    situation: "given-up",
    leadsTo: ["starting"],
    meaning: "The machine is out of use; it is being replaced (see the replacement).",
    when: ({ known, machine }) => isGivenUp(known.facts, known.memory, machine),
    because: ({ known, machine }) =>
      `${machine} was given up: ${replacementOf(known.memory, machine)?.because}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "lost",
    leadsTo: ["given-up"],
    opens: true,
    meaning:
      "The cloud says that the machine does not run, or its failover was ordered, or it is silent to monit and to every proxy that can tell: it is given up.",
    when: (view) => whyAppLost(view) !== undefined,
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyAppLost(view)))],
    because: (view) => `${whyAppLost(view)}: ${view.machine} is given up`,
    about: ({ machine }) => machine,
  },
  {
    situation: "starting",
    leadsTo: ["present", "unseen", "lost"],
    meaning: "The machine is new: its proxy has not answered yet.",
    when: ({ known }) => known.facts.app.view === undefined && silentMsOfApp(known) < known.limits.bootMs,
    because: ({ machine }) => `${machine} has not answered yet`,
    about: ({ machine }) => machine,
  },
  {
    situation: "unseen",
    operator: "Look at app; if it is lost, run `failover app` on monit.",
    leadsTo: ["present", "lost"],
    holds: true,
    opens: true,
    meaning:
      "Monit has not reached the machine for a while, but a proxy hears it, or no proxy can tell, or its proxy process alone is gone or hangs: the clients on it may be well, so it is not replaced, operator notified.",
    when: ({ known }) => silentMsOfApp(known) >= known.limits.graceMs,
    because: (view) =>
      `${troubleOfApp(view)}: it is kept; if it is lost, run "failover ${view.machine}" on monit`,
    about: ({ machine }) => machine,
  },
  {
    situation: "doubt",
    leadsTo: ["present", "unseen", "lost"],
    meaning: "The machine does not answer monit, without a verdict.",
    when: ({ known }) => known.facts.app.look.state !== "up",
    because: (view) => `${troubleOfApp(view)}, which is no verdict yet`,
  },
  {
    situation: "present",
    leadsTo: ["doubt", "lost"],
    meaning: "The machine answers, and runs as far as the cloud says.",
    settled: true,
    when: () => true,
    because: ({ machine }) => `${machine} is present`,
  },
];

export interface MonitView {
  machine: "monit";
  facts: MachineFacts;
}

/** Recovery runs on monit, so it cannot see its own machine fail: the auto scaling group does (infra/monit-group.ts). */
export const monitSituations: Row<MonitView>[] = [
  {
    situation: "off",
    operator: "If no other monit comes up within minutes, look at the activities of its auto scaling group.",
    leadsTo: ["present"],
    holds: true,
    meaning:
      "The cloud says that this very machine does not run: an instance of its group that is on its way out, or a person's hand.",
    when: ({ facts }) => facts.cloud !== undefined && facts.cloud !== "running" && facts.cloud !== "pending",
    because: ({ machine, facts }) =>
      `${machine} is ${facts.cloud}, says the cloud: its auto scaling group launches another one`,
  },
  {
    situation: "present",
    leadsTo: ["off"],
    meaning: "The machine runs, as far as the cloud says.",
    settled: true,
    when: () => true,
    because: ({ machine }) => `${machine} is present`,
  },
];

function whyAppLost({ known, machine }: AppView): string | undefined {
  const { facts, memory } = known;
  if (orderFor(memory, machine)) return orderOf(known, machine);
  const gone = whyGoneForCloud(facts.machines[machine], machine, facts.app.look.state === "up");
  return gone ?? (isMissedByAll(known) ? silenceOf(known) : undefined);
}

/** Silent to monit, and to every proxy that can tell: a verdict needs more than one pair of eyes. */
function isMissedByAll(known: Known): boolean {
  const { look } = known.facts.app;
  const { hearing, missing } = witnessesOfApp(known);
  return look.state === "down" && look.silence === "silent" && hearing.length === 0 && missing.length > 0;
}

/** What is wrong with app, and who says so. */
function troubleOfApp({ known, machine }: AppView): string {
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
