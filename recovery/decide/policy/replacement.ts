/** The table of situations of the replacement: Pulumi's work, one run at a time, for all given-up machines. */
import { type MachineName, type RedisMachine, redisMachines } from "../../topology.ts";
import { isGivenUp, orderFor } from "../memory/memory.ts";
import type { Replacement } from "../memory/replacement.ts";
import { whyBudgetSpent } from "../rules/budget.ts";
import { isDead } from "../rules/data-volume.ts";
import { powerOff } from "../rules/power-off.ts";
import { whyCounterpartDoesNotServe } from "../rules/redundancy.ts";
import type { Known, ShardView } from "../view/view.ts";
import { list } from "../view/words.ts";
import type { Row } from "./table.ts";

interface Pending {
  machine: MachineName;
  replacement: Replacement;
}

export interface ReplacementView {
  known: Known;
  shards: ShardView[];
  /** Machines whose replacement is not finished. */
  pending: Pending[];
}

export const replacementSituations: Row<ReplacementView>[] = [
  {
    situation: "name-to-be-moved",
    leadsTo: ["nothing-to-replace"],
    meaning:
      "The auto scaling group has launched another monit: its record is updated when no machine is to be replaced.",
    when: (view) => view.pending.length === 0 && isRecordBehind(view.known),
    steps: ({ known }) => [
      { do: "check program", machines: ["monit"] },
      { do: "update record", machine: "monit", instanceId: known.facts.machines.monit.instanceId },
    ],
    because: ({ known }) => `monit is ${known.facts.machines.monit.instanceId} now: its record is updated`,
  },
  {
    situation: "nothing-to-replace",
    leadsTo: ["to-be-tainted", "to-be-untainted"],
    meaning: "Every machine is in use.",
    settled: true,
    when: ({ pending }) => pending.length === 0,
    because: () => "no machine is to be replaced",
  },
  {
    situation: "to-be-tainted",
    leadsTo: ["ready-to-launch", "held"],
    meaning: "The taint is written the moment a machine is given up: whoever runs up next replaces it.",
    when: (view) => toBeTainted(view).length > 0,
    steps: (view) => [{ do: "taint", machines: toBeTainted(view) }],
    because: (view) => `${list(toBeTainted(view))} will be replaced by whoever runs up next`,
    about: firstPending,
  },
  {
    situation: "to-be-untainted",
    leadsTo: ["nothing-to-replace", "ready-to-launch"],
    meaning: "A machine was taken back: nobody's up may replace it any more.",
    when: (view) => takenBack(view).length > 0,
    steps: (view) => [{ do: "untaint", machines: takenBack(view) }],
    because: (view) => `${list(takenBack(view))} will not be replaced by whoever runs up next`,
    about: (view) => takenBack(view)[0],
  },
  {
    situation: "ready-to-launch",
    leadsTo: ["arriving"],
    meaning:
      "Power off (requested, not awaited: termination may take as long as a launch), then launch anew.",
    when: (view) => launchable(view).length > 0,
    steps: (view) => [
      { do: "check program", machines: launchable(view) },
      ...launchable(view).flatMap((machine) => powerOff(view.known.memory, machine)),
      { do: "launch", machines: launchable(view) },
    ],
    because: (view) => `${list(launchable(view))} is powered off and launched anew`,
    about: (view) => launchable(view)[0],
  },
  {
    situation: "held",
    operator:
      "Do what the sentence names: `barton forgive MACHINE`, or `up` from the newest clone; one that waits for its counterpart needs nothing.",
    leadsTo: ["ready-to-launch"],
    holds: true,
    meaning:
      "The replacement waits: for a person (budget, another program than the last up ran), or for the counterpart.",
    when: (view) => view.pending.some((one) => whyHeld(view, one) !== undefined),
    because: (view) => list(view.pending.flatMap((one) => whyHeld(view, one) ?? [])),
    about: firstPending,
  },
  {
    situation: "arriving",
    leadsTo: ["nothing-to-replace"],
    meaning: "The new machine was launched; the cloud does not show it yet.",
    when: ({ pending }) => pending.length > 0,
    because: ({ pending }) => `${namesOf(pending)} was launched anew and is not seen yet`,
    about: firstPending,
  },
];

function isRecordBehind({ facts, memory }: Known): boolean {
  const { instanceId, cloud } = facts.machines.monit;
  const { recordedMonit } = memory.durable;
  return cloud === "running" && recordedMonit !== undefined && recordedMonit !== instanceId;
}

function firstPending({ pending }: ReplacementView): MachineName | undefined {
  return pending[0]?.machine;
}

const inPhase = ({ pending }: ReplacementView, phase: Replacement["phase"]) =>
  namesIn(pending.filter(({ replacement }) => replacement.phase === phase));
const toBeTainted = (view: ReplacementView) => inPhase(view, "condemned");
const takenBack = (view: ReplacementView) => inPhase(view, "taken back");

function launchable(view: ReplacementView): MachineName[] {
  return namesIn(
    view.pending.filter((one) => one.replacement.phase === "tainted" && whyHeld(view, one) === undefined),
  );
}

/** Why this machine is not launched anew now, or undefined. */
function whyHeld(view: ReplacementView, { machine, replacement }: Pending): string | undefined {
  if (replacement.phase !== "tainted") return undefined;
  const { held } = replacement;
  const { known } = view;
  const { durable } = known.memory;
  const { wallMs } = known.facts;
  if (held && known.facts.nowMs < held.untilMs) {
    return `the replacement of ${machine} holds: ${held.why}`;
  }
  // An `up` whose instance is there but which failed later must still be finished, whatever the budget. It may launch
  // one more and end that instance, so the counterpart is looked at all the same.
  const isBegun = !isGivenUp(known.facts, known.memory, machine);
  const isOrdered = orderFor(known.memory, machine) !== undefined;
  const spent = whyBudgetSpent(durable, machine, wallMs, known.limits.replacementsPerHourMax);
  if (spent && !isOrdered && !isBegun) return `the replacement of ${machine} holds: ${spent}`;
  const reason = isRedis(machine) ? whyRedisIsNeeded(view, machine, isBegun) : undefined;
  return reason && `the replacement of ${machine} waits: ${reason}`;
}

/**
 * Rule 5, with its exception for a machine whose data alone are needed, and come back with its volume; also for an instance
 * that has not even begun to serve, because the run that launched it did not come to attach the volume.
 */
function whyRedisIsNeeded(
  { known, shards }: ReplacementView,
  machine: RedisMachine,
  isBegun: boolean,
): string | undefined {
  const servers = shards.map((view) => view.servers[machine]);
  const isUnused = isBegun && servers.every(({ answers }) => !answers);
  if (isUnused || isDead(known, machine, servers)) return undefined;
  return whyCounterpartDoesNotServe(machine, shards);
}

const namesIn = (pending: ReplacementView["pending"]) => pending.map(({ machine }) => machine);
const namesOf = (pending: ReplacementView["pending"]) => list(namesIn(pending));
const isRedis = (machine: MachineName): machine is RedisMachine =>
  redisMachines.some((name) => name === machine);
