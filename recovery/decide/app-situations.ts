/** The tables of situations of app and of monit: nobody's data is on them, and no counterpart waits for them. */
import type { MachineFacts } from "../observe/facts.ts";
import { orderOf, stopMonitoring, whyGoneForCloud } from "./machine-situations.ts";
import { isGivenUp } from "./memory.ts";
import type { Row } from "./table.ts";
import type { Known } from "./view.ts";

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
      `${machine} was given up: ${known.memory.durable.givenUp[machine]?.because}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "lost",
    leadsTo: ["given-up"],
    opens: true,
    meaning: "The cloud says that the machine does not run, or its failover was ordered: it is given up.",
    when: (view) => whyAppLost(view) !== undefined,
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyAppLost(view)))],
    because: (view) => `${whyAppLost(view)}: ${view.machine} is given up`,
    about: ({ machine }) => machine,
  },
  {
    situation: "starting",
    leadsTo: ["present", "unseen"],
    meaning: "The machine is new: its proxy has not answered yet.",
    when: ({ known }) => known.facts.app.view === undefined && !isUnseen(known),
    because: ({ machine }) => `${machine} has not answered yet`,
    about: ({ machine }) => machine,
  },
  {
    situation: "unseen",
    leadsTo: ["present", "lost"],
    holds: true,
    meaning:
      "Monit alone cannot reach the machine, which runs, says the cloud: the clients on it may be well, so it is kept, loudly.",
    when: ({ known }) => isUnseen(known),
    because: ({ machine }) =>
      `${machine} does not answer, says monit alone: it is kept; if it is lost, run "failover ${machine}" on monit`,
    about: ({ machine }) => machine,
  },
  {
    situation: "present",
    leadsTo: ["unseen", "lost"],
    meaning: "The machine runs, as far as the cloud says.",
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
  if (memory.durable.ordered[machine]) return orderOf(known, machine);
  return whyGoneForCloud(facts.machines[machine], machine, facts.app.look.state === "up");
}

/** Silent for as long as a machine may take to boot: shorter silences settle themselves. */
function isUnseen({ facts, limits }: Known): boolean {
  const { look } = facts.app;
  return look.state === "down" && facts.nowMs - (look.sinceMs ?? facts.nowMs) >= limits.bootMs;
}
