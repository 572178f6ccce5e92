/**
 * The second table of a shard: can writes be acknowledged? The first (policy/shard.ts) tells who is master and whether there is a
 * second copy. A shard is looked up in both, because neither answer may hide the other.
 */
import {
  areWritesRefused,
  isReliefPossible,
  isReplicaDiskFull,
  masterOf,
  replicaOf,
  whyNoRelief,
} from "../rules/shard.ts";
import { plannedSwitch } from "../rules/shard-plans.ts";
import type { ShardRow } from "./shard.ts";
import { nothingToDo, otherwise } from "./table.ts";

export const writeSituations = [
  {
    situation: "disk-full",
    opens: true,
    meaning:
      "The master's disk is full, and the master refuses writes. Recovery makes the replica master by a planned switch, without loss.",
    operator: "Make room on that machine's data volume, or make the volume larger.",
    traffic: "as it is",
    when: isReliefPossible,
    steps: plannedSwitch,
    because: (view) =>
      `${masterOf(view).machine}'s disk is full, it refuses writes: ${replicaOf(view).machine} takes over`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "writes-refused",
    holds: true,
    opens: true,
    meaning: "The master's disk is full, the master refuses writes, and the replica cannot take over now.",
    operator: "Make room on that machine's data volume at once: clients get errors for every write.",
    traffic: "to master",
    when: areWritesRefused,
    because: (view) =>
      `${masterOf(view).machine} refuses writes, because its disk is full, and cannot be relieved: ${whyNoRelief(view)}`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "replica-disk-full",
    holds: true,
    opens: true,
    meaning:
      "The master accepts writes, but the replica's disk is full. The replica cannot take over, and may not start again after a restart.",
    operator: "Make room on that machine's data volume, or make the volume larger.",
    traffic: "to master",
    when: isReplicaDiskFull,
    because: (view) =>
      `${replicaOf(view).machine}'s disk is full: it cannot take over, and may not start again after a restart`,
    about: (view) => replicaOf(view).machine,
  },
  {
    situation: "writes-accepted",
    settled: true,
    meaning: "No server that answers says that it cannot write to its disk; or there is no master to ask.",
    operator: nothingToDo,
    traffic: "to master",
    when: otherwise,
    because: () => "writes are accepted",
  },
] as const satisfies readonly ShardRow[];
