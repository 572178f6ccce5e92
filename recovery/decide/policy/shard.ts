/** The table of situations of one shard: who is master, and what recovery does when no server is, or another one. */
import type { Traffic } from "../rules/proxy-changes.ts";
import {
  areBothOut,
  candidateOf,
  candidateText,
  copyText,
  doesNoServerAnswer,
  doesSomeServerAnswer,
  fenceTrouble,
  hasTwoMasters,
  isCandidateThere,
  isCopyStuck,
  isEpochMissing,
  isFirstStart,
  isMasterDoubted,
  isMasterLost,
  isMasterStalling,
  isMasterToLeave,
  isPromotionUnanswered,
  isReplicaAway,
  isReplicaDrifted,
  isReplicaSyncing,
  isServed,
  isTakeoverPossible,
  lastMasterTrouble,
  loserOf,
  masterOf,
  masterText,
  mayMasterLeave,
  mustFirstStartWait,
  replicaOf,
  silentServersOf,
  switchTrouble,
  syncText,
  whyNobodyIsPromotable,
  winnerOf,
} from "../rules/shard.ts";
import {
  demoteLoser,
  demoteStale,
  followMaster,
  plannedSwitch,
  powerOffsForCandidate,
  takeOver,
  writeMissingEpoch,
  writeNextEpoch,
} from "../rules/shard-plans.ts";
import { isSwitchReady, type OrderedShardView } from "../rules/switchover.ts";
import { isStale } from "../view/mastership.ts";
import { troubleOf } from "../view/words.ts";
import { nothingToDo, type Row } from "./table.ts";

export type ShardRow = Row<OrderedShardView> & { traffic: Traffic };

export const shardSituations = [
  {
    situation: "two-masters",
    opens: true,
    meaning:
      "Both servers answer as masters, because an old master came back by itself or somebody promoted one. The legitimate one stays (docs/decisions/019). Recovery makes the other one its replica.",
    operator: nothingToDo,
    traffic: "as it is",
    when: hasTwoMasters,
    steps: demoteLoser,
    because: (view) =>
      `${loserOf(view).machine} is a master too: it becomes replica of ${winnerOf(view).machine}`,
    about: (view) => loserOf(view).machine,
  },
  {
    situation: "stale-master",
    holds: true,
    opens: true,
    meaning:
      "The only master has data of an earlier epoch than the shard has reached. Better data may exist: traffic waits, and recovery demotes this server, so that the better data cannot become its copy.",
    operator: "Make the other redis machine come back; `barton plan` says what it waits for.",
    traffic: "hold",
    when: isStale,
    steps: demoteStale,
    because: (view) =>
      `${copyText(masterOf(view))} answers, but the shard has reached epoch ${view.epoch}: traffic waits`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "promotion-unanswered",
    meaning:
      "Recovery began to promote the counterpart, which never answered (it hung), and the master serves again. That promotion may still take effect, so recovery writes a later epoch into the master's data.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isPromotionUnanswered,
    steps: writeNextEpoch,
    because: (view) =>
      `${masterOf(view).machine} serves again after a promotion that was not answered: its data get a later epoch`,
  },
  {
    situation: "epoch-missing",
    meaning: "The master's data lack the epoch (somebody emptied them). Recovery writes it again.",
    operator: nothingToDo,
    traffic: "to master",
    when: isEpochMissing,
    steps: writeMissingEpoch,
    because: (view) => `${masterOf(view).machine}'s data carry no epoch: it is written again`,
  },
  {
    situation: "master-leaves",
    opens: true,
    meaning:
      "The master's machine is to be replaced while it still works. Recovery makes the replica master by a planned switch, without loss.",
    operator: nothingToDo,
    traffic: "as it is",
    when: mayMasterLeave,
    steps: plannedSwitch,
    because: (view) =>
      `${replicaOf(view).machine} takes over from ${masterOf(view).machine}, which is to be replaced`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "switch-blocked",
    holds: true,
    meaning:
      "The master's machine is to be replaced, but a proxy neither takes commands nor is proven unable to carry a write (rule 2). The master serves meanwhile.",
    operator: "Look at the proxy that the sentence names; if it is lost, recovery replaces it and goes on.",
    traffic: "to master",
    when: isMasterToLeave,
    because: (view) => `${masterOf(view).machine} cannot be relieved yet: ${switchTrouble(view)}`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "switch-ordered",
    meaning:
      "Somebody ordered another master (`barton switchover`). Recovery makes the replica master by a planned switch, without error and without loss.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isSwitchReady,
    steps: plannedSwitch,
    because: (view) => `${replicaOf(view).machine} takes over from ${masterOf(view).machine}, as was ordered`,
  },
  {
    situation: "replica-drifted",
    meaning:
      "The counterpart of the master does not follow the master's present address (it has just started). Recovery makes it a replica.",
    operator: nothingToDo,
    traffic: "to master",
    when: isReplicaDrifted,
    steps: followMaster,
    because: (view) => `${replicaOf(view).machine} is told to follow ${masterOf(view).machine}`,
    about: (view) => replicaOf(view).machine,
  },
  {
    situation: "replica-stuck",
    holds: true,
    opens: true,
    meaning:
      "The replica gets no full copy, for a reason that does not end by itself: the master refuses connections, or full copies do not end. The master serves alone.",
    operator:
      "Remove the reason that the sentence names: `maxclients`, or the network between the two machines.",
    traffic: "to master",
    when: isCopyStuck,
    because: (view) => `${masterText(view)}, ${syncText(view)}`,
    about: (view) => replicaOf(view).machine,
  },
  {
    situation: "replica-syncing",
    meaning: "The master serves. Its replica receives or loads its copy, or lags a second or more behind.",
    operator: nothingToDo,
    traffic: "to master",
    when: isReplicaSyncing,
    because: (view) => `${masterText(view)}, ${syncText(view)}`,
    about: (view) => replicaOf(view).machine,
  },
  {
    situation: "replica-away",
    meaning: "The master serves alone. Its counterpart does not answer.",
    operator: nothingToDo,
    traffic: "to master",
    when: isReplicaAway,
    because: (view) => `${masterText(view)} alone: ${troubleOf(replicaOf(view))}`,
    about: (view) => replicaOf(view).machine,
  },
  {
    situation: "served",
    settled: true,
    meaning: "The desired state: one master, and its counterpart is a replica that has everything.",
    operator: nothingToDo,
    traffic: "to master",
    when: isServed,
    because: (view) => `${masterOf(view).machine} serves, ${replicaOf(view).machine} has a copy`,
  },
  {
    situation: "stall",
    meaning:
      "The master accepts connections but does not reply (fork, long script, swap). It gets `stallMs`; then there is a verdict.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isMasterStalling,
    because: (view) => `${lastMasterTrouble(view)}: patience`,
  },
  {
    situation: "doubt",
    meaning: "The master fails probes, or has not been seen since recovery started. There is no verdict.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isMasterDoubted,
    because: lastMasterTrouble,
  },
  {
    situation: "first-start-waits",
    meaning:
      "The shard was never initialised: its data never had a master. One of the two servers has not been seen yet, so recovery waits for it.",
    operator: nothingToDo,
    traffic: "as it is",
    when: mustFirstStartWait,
    because: (view) => `the first start waits: ${silentServersOf(view).map(troubleOf).join(", ")}`,
  },
  {
    situation: "first-start",
    opens: true,
    meaning:
      "The shard was never initialised, and every redis starts as a replica (rule 1). Recovery promotes the first master.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isFirstStart,
    steps: takeOver,
    because: (view) => `the first start: ${candidateOf(view)?.machine} becomes master`,
    about: () => "first start",
  },
  {
    situation: "master-lost",
    opens: true,
    meaning:
      "The master is lost and its counterpart has its data. Recovery fences the lost server, promotes the candidate and lets the waiting traffic continue.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isMasterLost,
    steps: takeOver,
    because: (view) => `${lastMasterTrouble(view)}: ${candidateText(view)} takes over`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "no-master",
    opens: true,
    meaning:
      "No server is master: the master's process restarted as a replica (rule 1). Recovery promotes the best copy.",
    operator: nothingToDo,
    traffic: "as it is",
    when: isTakeoverPossible,
    steps: takeOver,
    because: (view) => `nobody is master: ${candidateText(view)} takes over`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "fence-blocked",
    holds: true,
    opens: true,
    meaning:
      "There is a candidate, but a proxy can neither be told nor is proven unable to carry a write (rule 2). Recovery powers off what is condemned and would prove it. Traffic waits.",
    operator:
      "Make sure in the EC2 console that the machine that the sentence names is off, or terminate it there.",
    traffic: "hold",
    when: isCandidateThere,
    steps: powerOffsForCandidate,
    because: (view) => `${candidateOf(view)?.machine} cannot take over yet: ${fenceTrouble(view)}`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "nothing-promotable",
    holds: true,
    opens: true,
    meaning:
      "A server answers, but better data may exist (rule 3). Traffic waits for up to `dataPatienceMs`.",
    operator:
      "Make the other redis machine come back; `barton plan` says what it waits for. Nothing else is needed.",
    traffic: "hold",
    when: doesSomeServerAnswer,
    because: (view) => `traffic waits: ${whyNobodyIsPromotable(view)}`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "shard-lost",
    holds: true,
    opens: true,
    meaning: "No server answers, and there is a verdict on each. Traffic waits.",
    operator: "Make one of the redis machines come back; `barton plan` says what they wait for.",
    traffic: "hold",
    when: areBothOut,
    because: ({ servers }) => `no server is left: ${troubleOf(servers.redis1)}; ${troubleOf(servers.redis2)}`,
    about: ({ servers, lastMaster }) => (lastMaster ?? servers.redis1).machine,
  },
  {
    situation: "unseen",
    meaning: "No server answers, and there is not a verdict on each yet.",
    operator: nothingToDo,
    traffic: "as it is",
    when: doesNoServerAnswer,
    because: ({ servers }) => `${troubleOf(servers.redis1)}; ${troubleOf(servers.redis2)}`,
  },
] as const satisfies readonly ShardRow[];
