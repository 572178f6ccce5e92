/** The table of situations of one shard: who is master, and what is done when nobody or somebody else is. */
import { whyNotPromotable } from "../rules/promotable.ts";
import {
  copyText,
  demote,
  epochOf,
  fenceTrouble,
  follow,
  heirOf,
  heirText,
  isAstray,
  isCopyStuck,
  isSole,
  isVirgin,
  leavesReady,
  loserOf,
  masterOf,
  masterText,
  nextEpoch,
  plannedSwitch,
  powerOffsFor,
  silentOnes,
  switchTrouble,
  syncText,
  takeOver,
  trouble,
  winnerOf,
} from "../rules/shard.ts";
import { isSwitchReady, type OrderedShardView } from "../rules/switchover.ts";
import { isStale, soleMaster } from "../view/mastership.ts";
import { otherOf } from "../view/view.ts";
import { troubleOf } from "../view/words.ts";
import type { Row } from "./table.ts";

/** What the proxies shall do with the shard's traffic: send it to the master, hold it, or go on as they do. */
export type Traffic = "to master" | "hold" | "as it is";

export type ShardRow = Row<OrderedShardView> & { traffic: Traffic };

export const shardSituations: ShardRow[] = [
  {
    situation: "two-masters",
    leadsTo: ["replica-syncing"],
    opens: true,
    meaning:
      "An old master came back by itself: the one with the better copy stays, the other becomes its replica.",
    traffic: "as it is",
    when: ({ masters }) => masters.length === 2,
    steps: (view) => demote(view, loserOf(view), winnerOf(view)),
    because: (view) =>
      `${loserOf(view).machine} is a master too: it becomes replica of ${winnerOf(view).machine}`,
    about: (view) => loserOf(view).machine,
  },
  {
    situation: "stale-master",
    operator: "Make the other redis machine come back; `barton plan` says what it waits for.",
    leadsTo: ["no-master", "nothing-promotable"],
    holds: true,
    opens: true,
    meaning:
      "The only master is of an earlier term than the shard has reached: held, because better data may exist, and demoted, so that the better one cannot become its copy.",
    traffic: "hold",
    when: (view) => isStale(view),
    steps: (view) => [follow(view, masterOf(view), otherOf(view, masterOf(view)))],
    because: (view) =>
      `${copyText(soleMaster(view))} answers, but the shard has reached epoch ${view.epoch}: traffic waits`,
    about: (view) => soleMaster(view)?.machine,
  },
  {
    situation: "promotion-unanswered",
    leadsTo: ["served"],
    meaning:
      "The counterpart was to be promoted and never answered (it hung), and the master is used again: should that promotion come true after all, the master's data must be of a later term.",
    traffic: "as it is",
    when: (view) => isSole(view) && epochOf(soleMaster(view)) < view.attempted,
    steps: (view) => [
      {
        do: "write epoch",
        shard: view.shard.index,
        machine: masterOf(view).machine,
        epoch: nextEpoch(view),
      },
    ],
    because: (view) =>
      `${masterOf(view).machine} serves again after a promotion that was not answered: its data get a later epoch`,
  },
  {
    situation: "epoch-missing",
    leadsTo: ["served"],
    meaning: "The master's data lost recovery's epoch (somebody emptied them): it is written again.",
    traffic: "to master",
    when: (view) => isSole(view) && epochOf(soleMaster(view)) < Math.max(view.epoch, 1),
    steps: (view) => [
      {
        do: "write epoch",
        shard: view.shard.index,
        machine: masterOf(view).machine,
        epoch: Math.max(view.epoch, 1),
      },
    ],
    because: (view) => `${masterOf(view).machine}'s data carry no epoch: it is written again`,
  },
  {
    situation: "master-leaves",
    leadsTo: ["two-masters", "replica-away"],
    opens: true,
    meaning: "The master's machine is to be replaced while it still works: a planned switch, without loss.",
    traffic: "as it is",
    when: (view) => leavesReady(view) && !switchTrouble(view),
    steps: (view) => plannedSwitch(view, masterOf(view), otherOf(view, masterOf(view))),
    because: (view) =>
      `${otherOf(view, masterOf(view)).machine} takes over from ${masterOf(view).machine}, which is to be replaced`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "switch-blocked",
    operator: "Look at the proxy that the sentence names; if it is lost, recovery replaces it and goes on.",
    leadsTo: ["master-leaves"],
    holds: true,
    meaning:
      "The master's machine is to be replaced, but a proxy neither takes commands nor is proven unable to carry a write (rule 2).",
    traffic: "to master",
    when: (view) => leavesReady(view),
    because: (view) => `${masterOf(view).machine} cannot be relieved yet: ${switchTrouble(view)}`,
    about: (view) => masterOf(view).machine,
  },
  {
    situation: "switch-ordered",
    leadsTo: ["replica-syncing"],
    meaning:
      "Somebody ordered another master (`barton switchover`): a planned switch, without error and loss.",
    traffic: "as it is",
    when: isSwitchReady,
    steps: (view) => plannedSwitch(view, masterOf(view), otherOf(view, masterOf(view))),
    because: (view) =>
      `${otherOf(view, masterOf(view)).machine} takes over from ${masterOf(view).machine}, as was ordered`,
  },
  {
    situation: "replica-astray",
    leadsTo: ["replica-syncing"],
    meaning:
      "The counterpart does not follow the master by its present address (it has just started): it is told to.",
    traffic: "to master",
    when: (view) => isSole(view) && isAstray(otherOf(view, masterOf(view))),
    steps: (view) => [follow(view, otherOf(view, masterOf(view)), masterOf(view))],
    because: (view) => `${otherOf(view, masterOf(view)).machine} is told to follow ${masterOf(view).machine}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "replica-stuck",
    operator:
      "Remove the reason that the sentence names: `maxclients`, or the network between the two machines.",
    leadsTo: ["replica-syncing", "served", "replica-away"],
    holds: true,
    opens: true,
    meaning:
      "The replica gets no full copy, for a reason that does not end by itself: the master refuses connections, or full copies do not end.",
    traffic: "to master",
    when: isCopyStuck,
    because: (view) => `${masterText(view)}, ${syncText(view)}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "replica-syncing",
    leadsTo: ["served", "replica-stuck"],
    meaning:
      "The master serves, its replica is receiving or loading its copy, or lags a second or more behind.",
    traffic: "to master",
    when: (view) =>
      isSole(view) && otherOf(view, masterOf(view)).answers && !otherOf(view, masterOf(view)).synced,
    because: (view) => `${masterText(view)}, ${syncText(view)}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "replica-away",
    leadsTo: ["replica-astray", "replica-syncing"],
    meaning: "The master serves alone.",
    traffic: "to master",
    when: (view) => isSole(view) && !otherOf(view, masterOf(view)).answers,
    because: (view) => `${masterText(view)} alone: ${troubleOf(otherOf(view, masterOf(view)))}`,
    about: (view) => otherOf(view, masterOf(view)).machine,
  },
  {
    situation: "served",
    leadsTo: ["doubt", "stall", "replica-away", "master-leaves", "switch-ordered"],
    meaning: "The desired state: one master, its counterpart a replica that has everything.",
    traffic: "to master",
    settled: true,
    when: (view) => isSole(view) && otherOf(view, masterOf(view)).synced,
    because: (view) =>
      `${masterOf(view).machine} serves, ${otherOf(view, masterOf(view)).machine} has a copy`,
  },
  {
    situation: "stall",
    leadsTo: ["served", "master-lost"],
    meaning: "The master accepts but does not reply (fork, long script, swap): patience, then a verdict.",
    traffic: "as it is",
    when: ({ lastMaster }) => lastMaster?.condition === "stalling",
    because: ({ lastMaster }) => `${trouble(lastMaster)}: patience`,
  },
  {
    situation: "doubt",
    leadsTo: ["served", "master-lost"],
    meaning: "The master fails probes, or has not been seen since recovery started, but there is no verdict.",
    traffic: "as it is",
    when: ({ lastMaster }) => lastMaster !== undefined && !lastMaster.answers && !lastMaster.out,
    because: ({ lastMaster }) => trouble(lastMaster),
  },
  {
    situation: "first-start-waits",
    leadsTo: ["first-start"],
    meaning: "No data has ever had a master, and one of the two servers has not been seen: wait for it.",
    traffic: "as it is",
    when: (view) => isVirgin(view) && silentOnes(view).some(({ out }) => !out),
    because: (view) => `the first start waits: ${silentOnes(view).map(troubleOf).join(", ")}`,
  },
  {
    situation: "first-start",
    leadsTo: ["replica-syncing"],
    opens: true,
    meaning: "Every redis starts as a replica (rule 1): the first master is made.",
    traffic: "as it is",
    when: (view) => isVirgin(view) && heirOf(view) !== undefined && !fenceTrouble(view),
    steps: (view) => takeOver(view),
    because: (view) => `the first start: ${heirOf(view)?.machine} becomes master`,
    about: () => "first start",
  },
  {
    situation: "master-lost",
    leadsTo: ["replica-away"],
    opens: true,
    meaning:
      "The master is gone and its counterpart has its data: fence, promote, let the waiting traffic go on.",
    traffic: "as it is",
    when: (view) => Boolean(view.lastMaster?.out) && heirOf(view) !== undefined && !fenceTrouble(view),
    steps: (view) => takeOver(view),
    because: (view) => `${trouble(view.lastMaster)}: ${heirText(view)} takes over`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "no-master",
    leadsTo: ["replica-away"],
    opens: true,
    meaning: "The master's process restarted as a replica (rule 1): the best copy becomes master.",
    traffic: "as it is",
    when: (view) => heirOf(view) !== undefined && !fenceTrouble(view),
    steps: (view) => takeOver(view),
    because: (view) => `nobody is master: ${heirText(view)} takes over`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "fence-blocked",
    operator:
      "Make sure in the EC2 console that the machine that the sentence names is off, or terminate it there.",
    leadsTo: ["master-lost", "no-master"],
    holds: true,
    opens: true,
    meaning:
      "A promotion would be right, but a proxy can be neither told nor proven unable to carry a write (rule 2): what is given up and would prove it is powered off.",
    traffic: "hold",
    when: (view) => heirOf(view) !== undefined,
    steps: (view) => powerOffsFor(view),
    because: (view) => `${heirOf(view)?.machine} cannot take over yet: ${fenceTrouble(view)}`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "nothing-promotable",
    operator:
      "Make the other redis machine come back; `barton plan` says what it waits for. Nothing else is needed.",
    leadsTo: ["master-lost", "no-master"],
    holds: true,
    opens: true,
    meaning: "A server answers, but better data may exist (rule 3): traffic waits, operator notified.",
    traffic: "hold",
    when: ({ answering }) => answering.length > 0,
    because: (view) =>
      `traffic waits: ${view.answering.map(({ machine }) => whyNotPromotable(view, machine)).join("; ")}`,
    about: (view) => view.lastMaster?.machine,
  },
  {
    situation: "shard-lost",
    operator: "Make one of the redis machines come back; `barton plan` says what they wait for.",
    leadsTo: ["nothing-promotable", "no-master"],
    holds: true,
    opens: true,
    meaning: "No server answers, and each has a verdict: traffic waits, operator notified.",
    traffic: "hold",
    when: ({ servers }) => servers.redis1.out && servers.redis2.out,
    because: ({ servers }) => `no server is left: ${troubleOf(servers.redis1)}; ${troubleOf(servers.redis2)}`,
    about: ({ servers, lastMaster }) => (lastMaster ?? servers.redis1).machine,
  },
  {
    situation: "unseen",
    leadsTo: ["first-start-waits", "served", "doubt"],
    meaning: "No server answers, but not every verdict is in.",
    traffic: "as it is",
    when: ({ answering }) => answering.length === 0,
    because: ({ servers }) => `${troubleOf(servers.redis1)}; ${troubleOf(servers.redis2)}`,
  },
];
