/** The table of situations of the replacement: Pulumi's work, one run at a time, for all condemned machines. */
import {
  firstPending,
  isNothingPending,
  isPending,
  isRecordOutdated,
  isSomethingHeld,
  isSomethingLaunchable,
  isSomethingToTaint,
  isSomethingToUntaint,
  launch,
  launchable,
  namesOf,
  type ReplacementView,
  takenBack,
  toBeTainted,
  whysHeld,
} from "../rules/replacement.ts";
import { list } from "../view/words.ts";
import { nothingToDo, type Row } from "./table.ts";

export const replacementSituations = [
  {
    situation: "name-to-be-moved",
    meaning:
      "The auto scaling group has launched another monit. Recovery updates its record when no machine is to be replaced.",
    operator: nothingToDo,
    when: isRecordOutdated,
    steps: ({ known }) => [
      { do: "check program", machines: ["monit"] },
      { do: "update record", machine: "monit", instanceId: known.facts.machines.monit.instanceId },
    ],
    because: ({ known }) => `monit is ${known.facts.machines.monit.instanceId} now: its record is updated`,
  },
  {
    situation: "nothing-to-replace",
    settled: true,
    meaning: "Every machine is in use.",
    operator: nothingToDo,
    when: isNothingPending,
    because: () => "no machine is to be replaced",
  },
  {
    situation: "to-be-tainted",
    meaning:
      "A machine was condemned a moment ago. Recovery taints it in Pulumi's state, so that the next `up`, by a person or a program, replaces it.",
    operator: nothingToDo,
    when: isSomethingToTaint,
    steps: (view) => [{ do: "taint", machines: toBeTainted(view) }],
    because: (view) => `${list(toBeTainted(view))} will be replaced by whoever runs up next`,
    about: firstPending,
  },
  {
    situation: "to-be-untainted",
    meaning: "A machine was taken back. Recovery removes the taint, so that no `up` replaces it.",
    operator: nothingToDo,
    when: isSomethingToUntaint,
    steps: (view) => [{ do: "untaint", machines: takenBack(view) }],
    because: (view) => `${list(takenBack(view))} will not be replaced by whoever runs up next`,
    about: (view) => takenBack(view)[0],
  },
  {
    situation: "ready-to-launch",
    meaning:
      "Recovery requests the power-off of the condemned machine and does not wait for its end (that may take as long as a launch). Then it launches the successor.",
    operator: nothingToDo,
    when: isSomethingLaunchable,
    steps: launch,
    because: (view) => `${list(launchable(view))} is powered off, and a new one is launched`,
    about: (view) => launchable(view)[0],
  },
  {
    situation: "held",
    holds: true,
    meaning:
      "The replacement waits: for a person (spent budget, another program than the one of the last `up`), or for the counterpart.",
    operator:
      "Do what the sentence names: `barton forgive MACHINE`, or `up` from the newest clone; one that waits for its counterpart needs nothing.",
    when: isSomethingHeld,
    because: (view) => list(whysHeld(view)),
    about: firstPending,
  },
  {
    situation: "arriving",
    meaning: "Recovery has launched the new machine. The cloud does not show it yet.",
    operator: nothingToDo,
    when: isPending,
    because: ({ pending }) => `a new ${namesOf(pending)} was launched, and the cloud does not show it yet`,
    about: firstPending,
  },
] as const satisfies readonly Row<ReplacementView>[];
