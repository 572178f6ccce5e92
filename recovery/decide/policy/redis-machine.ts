/** The table of situations of a redis machine. What happens to its shards is decided in their own tables (shard.ts, writes.ts). */
import { isMachineCondemned, stopMonitoring, whyCondemned } from "../rules/condemn.ts";
import {
  endScripts,
  isLostAndDead,
  isLostAndSpare,
  isNotSeenWhole,
  isPresent,
  isProcessLost,
  isRecoveryRefused,
  isRedisLost,
  isScriptEndless,
  isTakenBack,
  type RedisMachineView,
  refusalsOf,
  troubleOfBusyServers,
  troubleOfLostProcesses,
  troubleOfSilentServers,
  whyNotSpare,
  whyRedisLost,
  whyTakenBack,
} from "../rules/redis-machine.ts";
import { seconds } from "../view/words.ts";
import { nothingToDo, type Row } from "./table.ts";

export const redisSituations = [
  {
    situation: "needed-again",
    meaning:
      "The machine was condemned, but it lives, and some shard has no other server that can serve it. Recovery uses it again, unless its power-off has begun.",
    operator: nothingToDo,
    when: isTakenBack,
    steps: (view) => [
      { do: "take back", machine: view.machine, because: `taken back: ${whyTakenBack(view)}` },
    ],
    because: (view) =>
      `${view.machine} is condemned, but ${whyTakenBack(view)}: recovery takes ${view.machine} back`,
    about: ({ machine }) => machine,
  },
  {
    situation: "condemned",
    meaning: "The machine is condemned. Recovery replaces it (see the table of the replacement).",
    operator: nothingToDo,
    when: isMachineCondemned,
    because: (view) => `${view.machine} is condemned: ${whyCondemned(view)}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "machine-lost",
    opens: true,
    meaning:
      "The machine is lost, or a process did not come back, or a failover was ordered. Its counterpart can serve every shard. Recovery condemns the machine.",
    operator: nothingToDo,
    when: isLostAndSpare,
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyRedisLost(view)))],
    because: (view) => `${whyRedisLost(view)}: ${view.machine} is condemned`,
    about: ({ machine }) => machine,
  },
  {
    situation: "machine-dead",
    opens: true,
    meaning:
      "The machine is lost and its counterpart cannot serve every shard alone. Nothing of the machine serves any more, so recovery condemns it: its data come back with its volume. After a total loss that is both machines.",
    operator:
      "Nothing to do. If the new machine does not come (`barton plan`), repair what keeps it from coming.",
    when: isLostAndDead,
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyRedisLost(view)))],
    because: (view) =>
      `${whyRedisLost(view)}, and ${whyNotSpare(view)}: ` +
      `${view.machine} is condemned, and its data come back with its volume`,
    about: ({ machine }) => machine,
  },
  {
    situation: "machine-needed",
    holds: true,
    opens: true,
    meaning:
      "The machine is failing, but some of it still serves, or may serve in a moment, and its counterpart cannot take over (rule 5). Recovery does not replace it.",
    operator: "Look at the counterpart: when it has a full copy of every shard, recovery goes on by itself.",
    when: isRedisLost,
    because: (view) => `${whyRedisLost(view)}, but it is not replaced: ${whyNotSpare(view)}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "script-endless",
    opens: true,
    meaning:
      "A client's script or function does not end, and the server answers everybody with -BUSY. Recovery kills the script. If it has written it cannot be killed; recovery ends the process, which starts again.",
    operator: "Nothing to do. Find the client whose script does not end: it will run it again.",
    when: isScriptEndless,
    steps: endScripts,
    because: (view) => `${troubleOfBusyServers(view)}: the script is ended`,
    about: ({ machine }) => machine,
  },
  {
    situation: "process-lost",
    opens: true,
    meaning:
      "A redis process is gone or hangs while its machine lives. The process gets `graceMs` to come back; then recovery replaces the machine.",
    operator: "Nothing to do. If it happens again, read `journalctl -u redis-server@PORT` on that machine.",
    when: isProcessLost,
    because: (view) =>
      `${troubleOfLostProcesses(view)}; it has ${seconds(view.known.limits.graceMs)} to come back`,
    about: ({ machine }) => machine,
  },
  {
    situation: "recovery-refused",
    holds: true,
    meaning:
      "A redis server of the machine lives, but refuses recovery: a wrong password, missing rights, no room for one more client, or an answer that recovery cannot read.",
    operator:
      "Look at that redis server: its recovery user, its number of clients, or what it answers to INFO.",
    when: isRecoveryRefused,
    because: refusalsOf,
    about: ({ machine }) => machine,
  },
  {
    situation: "not-seen-whole",
    meaning: "Some servers of the machine have not answered. There is no verdict.",
    operator: nothingToDo,
    when: isNotSeenWhole,
    because: troubleOfSilentServers,
  },
  {
    situation: "present",
    settled: true,
    meaning: "All servers of the machine answer.",
    operator: nothingToDo,
    when: isPresent,
    because: ({ machine }) => `${machine} is present`,
  },
] as const satisfies readonly Row<RedisMachineView>[];
