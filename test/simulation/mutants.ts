/** Mutants: recovery, or the machines, with one rule switched off. The simulation must notice each of them. */
import type { Decision } from "../../recovery/decide/decision.ts";
import type { ServerChange, Step } from "../../recovery/decide/steps.ts";
import type { Facts } from "../../recovery/observe/facts.ts";
import { redisMachines } from "../../recovery/topology.ts";

/** What may be changed about recovery and its world; empty for the real ones. */
export interface Mutations {
  startsAsMaster?: boolean;
  /** A redis process starts as the replica of its counterpart, not of nobody. */
  startsAsReplicaOfCounterpart?: boolean;
  /** Data that may be better than those at hand are not waited for. */
  hasNoPatience?: boolean;
  /** What `decide` is shown instead of the facts. */
  facts?: (facts: Facts) => Facts;
  /** What is done instead of what was decided. */
  decisions?: (decisions: Decision[], facts: Facts) => Decision[];
  /** Looks again under the lock, but acts on what was decided before; or not again before it takes anything away. */
  looksAgain?: "in vain" | "once";
  /** Writes down that a machine was launched before that is so. */
  remembersTooEarly?: boolean;
  /** The cloud is asked before each promotion. */
  promotionAsksCloud?: boolean;
  hasNoBudget?: boolean;
  /** A proxy process that restarts does not know what was fenced, and asks no server whether it is a master. */
  restoresFenced?: boolean;
}

export interface Mutant {
  name: string;
  mutations: Mutations;
  /** The checks of which one must notice it. */
  noticedBy: string[];
}

export const mutants: Mutant[] = [
  {
    name: "rule 1 off: a redis process starts as a master",
    mutations: { startsAsMaster: true },
    noticedBy: ["noRedisStartsAsMaster"],
  },
  {
    name: "rule 2 off: promotes without a fence",
    mutations: { decisions: eachStep((step) => step.do !== "fence") },
    noticedBy: ["fencedBeforePromoted", "writesReachOnlyThePromoted"],
  },
  {
    name: "rule 2 half off: takes a silent proxy for one that is off",
    mutations: { facts: silentProxiesAreOff },
    noticedBy: ["fencedBeforePromoted", "writesReachOnlyThePromoted"],
  },
  {
    name: "rule 2 off for proxies that restart: they use again what was fenced",
    mutations: { restoresFenced: true },
    noticedBy: ["fencedBeforePromoted", "writesReachOnlyThePromoted", "failedServerIsNotUsed"],
  },
  {
    name: "rule 3 off: every copy counts as complete, in sync and of the newest epoch",
    mutations: { facts: everyCopyIsComplete },
    noticedBy: ["confirmedWritesSurvive", "promotesOnlyCompleteCopies"],
  },
  {
    name: "rule 3 without the beat: how far a copy reaches within a term is not known",
    mutations: { facts: withoutBeats },
    noticedBy: ["confirmedWritesSurvive"],
  },
  {
    name: "rule 3 without patience: a machine that may have better data is not waited for",
    mutations: { hasNoPatience: true },
    noticedBy: ["confirmedWritesSurvive"],
  },
  {
    name: "rule 1 half off: a redis process starts as the replica of its counterpart",
    mutations: { startsAsReplicaOfCounterpart: true },
    noticedBy: ["confirmedWritesSurvive", "eventuallyWell"],
  },
  {
    name: "rule 4 off: a server that answers is used again",
    mutations: { decisions: useWhoeverAnswers },
    noticedBy: ["failedServerIsNotUsed", "writesReachOnlyThePromoted", "fencedBeforePromoted"],
  },
  {
    name: "rule 5 off: replaces a machine whatever its counterpart does",
    mutations: { decisions: replaceAtOnce },
    noticedBy: ["replacedOnlyWhileCounterpartServes", "confirmedWritesSurvive"],
  },
  {
    name: "rule 6 off: a launch that is interrupted counts as done",
    mutations: { remembersTooEarly: true },
    noticedBy: ["eventuallyWell"],
  },
  {
    name: "rule 7 off: acts on what was seen before the lock was taken",
    mutations: { looksAgain: "in vain" },
    noticedBy: ["actsOnAFreshLook"],
  },
  {
    name: "rule 7 half off: acts on its first look under the lock, however long ago",
    mutations: { looksAgain: "once" },
    noticedBy: ["actsOnAFreshLook"],
  },
  {
    name: "rule 8 off: no budget",
    mutations: { hasNoBudget: true },
    noticedBy: ["budgetRespected"],
  },
  {
    name: "rule 9 off: the cloud is asked before a promotion",
    mutations: { promotionAsksCloud: true },
    noticedBy: ["promotedInTime"],
  },
  {
    name: "a planned switch does not wait for the replica",
    mutations: { decisions: eachStep((step) => step.do !== "catch up") },
    noticedBy: ["plannedSwitchLosesNothing"],
  },
  {
    name: "recovery forgets to register a new proxy",
    mutations: { decisions: eachStep((step) => step.do !== "register proxy") },
    noticedBy: ["eventuallyWell"],
  },
  {
    name: "recovery never takes a condemned machine back",
    mutations: { decisions: eachStep((step) => step.do !== "take back") },
    noticedBy: ["eventuallyWell", "promotedInTime"],
  },
  {
    name: "recovery leaves the taint of a machine that it took back",
    mutations: { decisions: eachStep((step) => step.do !== "untaint") },
    noticedBy: ["eventuallyWell"],
  },
  {
    name: "recovery forgets to make a new machine a replica",
    mutations: { decisions: eachStep((step) => step.do !== "follow") },
    noticedBy: ["eventuallyWell"],
  },
];

function eachStep(isKept: (step: Step) => boolean) {
  return (decisions: Decision[]): Decision[] =>
    decisions.map((decision) => ({ ...decision, steps: decision.steps.filter(isKept) }));
}

function silentProxiesAreOff(facts: Facts): Facts {
  const { haproxy1, haproxy2 } = facts.machines;
  const off = (name: "haproxy1" | "haproxy2", machine: typeof haproxy1) =>
    facts.proxies[name].look.state === "down" ? { ...machine, cloud: "terminated" as const } : machine;
  const machines = {
    ...facts.machines,
    haproxy1: off("haproxy1", haproxy1),
    haproxy2: off("haproxy2", haproxy2),
  };
  return { ...facts, machines };
}

function everyCopyIsComplete(facts: Facts): Facts {
  const servers = Object.entries(facts.servers).map(([id, server]) => {
    if (!server.info) return [id, server];
    const follows = server.info.follows && { ...server.info.follows, linkUp: true, syncing: false };
    return [id, { ...server, info: { ...server.info, loading: false, epoch: 1, follows } }];
  });
  return { ...facts, servers: Object.fromEntries(servers) };
}

function withoutBeats(facts: Facts): Facts {
  const servers = Object.entries(facts.servers).map(([id, server]) => {
    return [id, server.info ? { ...server, info: { ...server.info, beat: 0 } } : server];
  });
  return { ...facts, servers: Object.fromEntries(servers) };
}

function useWhoeverAnswers(decisions: Decision[], facts: Facts): Decision[] {
  return decisions.map((decision) => {
    if (decision.subject !== "haproxy1" && decision.subject !== "haproxy2") return decision;
    const proxy = decision.subject;
    const { look, view } = facts.proxies[proxy];
    if (look.state !== "up" || !view) return decision;
    const changes = redisMachines.flatMap((machine) =>
      facts.topology.shards.flatMap(({ index, redisPort }): ServerChange[] => {
        const line = view.shards[index]?.[machine].traffic;
        const { address } = facts.machines[machine];
        const answers = facts.servers[`${machine}/${index}`]?.looks.monit.state === "up";
        if (!answers || !address || (line?.ready && line.address === address)) return [];
        return [
          { shard: index, line: "traffic", machine, address: { address, port: redisPort }, ready: true },
        ];
      }),
    );
    return changes.length > 0 ? { ...decision, steps: [{ do: "set servers", proxy, changes }] } : decision;
  });
}

function replaceAtOnce(decisions: Decision[], facts: Facts): Decision[] {
  return decisions.map((decision): Decision => {
    const machine = redisMachines.find((name) => name === decision.subject);
    if (machine && decision.situation === "machine-needed") {
      const { instanceId } = facts.machines[machine];
      const because = "mutant";
      return { ...decision, steps: [{ do: "stop monitoring", machine, instanceId, because }] };
    }
    const waiting = /the replacement of (redis\d) waits/.exec(decision.because)?.[1];
    const held = redisMachines.find((name) => name === waiting);
    if (decision.situation !== "held" || !held) return decision;
    const { instanceId } = facts.machines[held];
    return {
      ...decision,
      steps: [
        { do: "power off", machine: held, instanceId },
        { do: "launch", machines: [held] },
      ],
    };
  });
}
