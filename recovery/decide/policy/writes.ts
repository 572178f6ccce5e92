/**
 * The second table of a shard: can writes be acknowledged? The first (policy/shard.ts) tells who is master and whether there is a
 * second copy. A shard is looked up in both, because neither answer may hide the other.
 */
import {
  diskOfReplicaIsFull,
  isSole,
  masterOf,
  plannedSwitch,
  refusesWrites,
  whyNoRelief,
} from "../rules/shard.ts";
import { otherOf } from "../view/view.ts";
import type { ShardRow } from "./shard.ts";

export const writeSituations: ShardRow[] = [
  {
    situation: "disk-full",
    operator: "Make room on that machine's data volume, or make the volume larger.",
    leadsTo: ["replica-disk-full", "writes-accepted"],
    opens: true,
    meaning:
      "The master's disk is full, and it refuses writes: its counterpart takes over by a planned switch, without loss.",
    traffic: "as it is",
    when: (view) => isSole(view) && refusesWrites(masterOf(view)) && !whyNoRelief(view),
    steps: (view) => plannedSwitch(view, masterOf(view), otherOf(view, masterOf(view))),
    because: (view) =>
      `${masterOf(view).machine}'s disk is full, it refuses writes: ${otherOf(view, masterOf(view)).machine} takes over`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "writes-refused",
    operator: "Make room on that machine's data volume at once: clients get errors for every write.",
    leadsTo: ["disk-full", "writes-accepted"],
    holds: true,
    opens: true,
    meaning:
      "The master's disk is full, it refuses writes, and the counterpart cannot take over now: somebody must make room.",
    traffic: "to master",
    when: (view) => isSole(view) && refusesWrites(masterOf(view)),
    because: (view) =>
      `${masterOf(view).machine} refuses writes, because its disk is full, and cannot be relieved: ${whyNoRelief(view)}`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "replica-disk-full",
    operator: "Make room on that machine's data volume, or make the volume larger.",
    leadsTo: ["writes-accepted", "writes-refused"],
    holds: true,
    opens: true,
    meaning:
      "The master accepts writes, but the replica's disk is full: the replica cannot take over, and may not start again after a restart. Somebody must make room.",
    traffic: "to master",
    when: (view) => isSole(view) && diskOfReplicaIsFull(view),
    because: (view) =>
      `${otherOf(view, masterOf(view)).machine}'s disk is full: it cannot take over, and may not start again after a restart`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "writes-accepted",
    leadsTo: ["disk-full", "writes-refused", "replica-disk-full"],
    meaning: "No server that answers says that it cannot write to its disk; or there is no master to ask.",
    traffic: "to master",
    settled: true,
    when: () => true,
    because: () => "writes are accepted",
  },
];
