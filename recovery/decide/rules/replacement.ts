/** Questions about the replacement of machines, by which the rows of its table are written (policy/replacement.ts). */
import { type MachineName, machineNames, type RedisMachine, redisMachines } from "../../topology.ts";
import { isCondemned, orderFor, replacementOf } from "../memory/memory.ts";
import type { Replacement } from "../memory/replacement.ts";
import type { Step } from "../steps.ts";
import type { Known, ShardView } from "../view/view.ts";
import { list } from "../view/words.ts";
import { whyBudgetSpent } from "./budget.ts";
import { isDead } from "./data-volume.ts";
import { powerOff } from "./power-off.ts";
import { needAllShards } from "./redis-machine.ts";
import { whyCounterpartDoesNotServe } from "./redundancy.ts";

/** A machine whose replacement is not finished. */
interface Pending {
  machine: MachineName;
  replacement: Replacement;
}

export interface ReplacementView {
  known: Known;
  shards: ShardView[];
  pending: Pending[];
}

/** @throws when a redis machine is to be replaced and a shard's view could not be made (rule 5). */
export function viewReplacement(known: Known, shards: ShardView[]): ReplacementView {
  const pending = machineNames.flatMap((machine) => {
    const replacement = replacementOf(known.memory, machine);
    return replacement ? [{ machine, replacement }] : [];
  });
  if (pending.some(({ machine }) => isRedis(machine))) needAllShards(known, shards);
  return { known, shards, pending };
}

/** Is nothing to be replaced, and does the record of monit name another instance than the present one? */
export const isRecordOutdated = (view: ReplacementView) => !isPending(view) && isRecordBehind(view.known);

/** Is every machine in use? */
export const isNothingPending = (view: ReplacementView) => !isPending(view);
export const isPending = ({ pending }: ReplacementView) => pending.length > 0;

export const isSomethingToTaint = (view: ReplacementView) => toBeTainted(view).length > 0;
export const isSomethingToUntaint = (view: ReplacementView) => takenBack(view).length > 0;
export const isSomethingLaunchable = (view: ReplacementView) => launchable(view).length > 0;
export const isSomethingHeld = (view: ReplacementView) => whysHeld(view).length > 0;

/** Power off what failed (requested, not awaited), and launch its successor. */
export function launch(view: ReplacementView): Step[] {
  const machines = launchable(view);
  return [
    { do: "check program", machines },
    ...machines.flatMap((machine) => powerOff(view.known.memory, machine)),
    { do: "launch", machines },
  ];
}

/** Why replacements wait, a sentence for each machine. */
export const whysHeld = (view: ReplacementView) => view.pending.flatMap((one) => whyHeld(view, one) ?? []);

function isRecordBehind({ facts, memory }: Known): boolean {
  const { instanceId, cloud } = facts.machines.monit;
  const { recordedMonit } = memory.durable;
  return cloud === "running" && recordedMonit !== undefined && recordedMonit !== instanceId;
}

export function firstPending({ pending }: ReplacementView): MachineName | undefined {
  return pending[0]?.machine;
}

const inPhase = ({ pending }: ReplacementView, phase: Replacement["phase"]) =>
  namesIn(pending.filter(({ replacement }) => replacement.phase === phase));
export const toBeTainted = (view: ReplacementView) => inPhase(view, "condemned");
export const takenBack = (view: ReplacementView) => inPhase(view, "taken back");

export function launchable(view: ReplacementView): MachineName[] {
  return namesIn(
    view.pending.filter((one) => one.replacement.phase === "tainted" && whyHeld(view, one) === undefined),
  );
}

/** Why the successor of this machine is not launched now, or undefined. */
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
  const isBegun = !isCondemned(known.facts, known.memory, machine);
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
export const namesOf = (pending: ReplacementView["pending"]) => list(namesIn(pending));
const isRedis = (machine: MachineName): machine is RedisMachine =>
  redisMachines.some((name) => name === machine);
