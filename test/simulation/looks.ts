/** Rule 7 at its effect: which steps the looks under the lock have called for, by subject. */
import type { Decision, Subject } from "../../recovery/decide/decision.ts";
import { describeStep } from "../../recovery/decide/steps.ts";
import type { Facts } from "../../recovery/observe/facts.ts";
import { type ProxyMachine, proxyMachines, redisMachines } from "../../recovery/topology.ts";
import type { Party } from "./links.ts";

/** What has happened about a subject since it was locked. */
interface Lock {
  sinceMs: number;
  /** Who was in touch then, and must be asked again; who fails probes, owes an answer, or has no connection is not waited for. */
  inTouch: string[];
  /** What was decided before. */
  before?: Decision;
  /** The decision of the first look. */
  first?: Decision;
  /** When a look last called for a step. */
  calledForMs: Map<string, number>;
}

/** May take away the last copy, or the last way to it: a look long ago is not enough. */
const mustBeFresh: ReadonlySet<string> = new Set(["power off", "launch", "unregister proxy"]);
/** How long a step may wait for the disk after its look. */
const keptMs = 500;

export class Looks {
  readonly #parties: ReadonlyMap<string, Party["connection"]>;
  readonly #locks = new Map<Subject, Lock>();

  constructor(parties: ReadonlyMap<string, Party["connection"]>) {
    this.#parties = parties;
  }

  /** A plan about this subject begins. */
  locked(subject: Subject, before: Decision | undefined, nowMs: number, facts: Facts | undefined): void {
    const inTouch = partiesOf(subject).filter(
      (name) => this.#parties.get(name)?.isIdle && facts && answers(facts, name),
    );
    this.#locks.set(subject, { sinceMs: nowMs, inTouch, before, calledForMs: new Map() });
  }

  /** It was decided upon once more. */
  looked(subject: Subject, decision: Decision | undefined, nowMs: number): void {
    const lock = this.#locks.get(subject);
    if (!lock || !this.#isFresh(lock)) return;
    lock.first ??= decision;
    for (const step of decision?.steps ?? []) lock.calledForMs.set(describeStep(step), nowMs);
  }

  /** Did a look under the lock of this subject call for this step? */
  callFor(step: string, kind: string, subject: Subject, nowMs: number): boolean {
    const calledForMs = this.#locks.get(subject)?.calledForMs.get(step);
    return calledForMs !== undefined && (nowMs - calledForMs <= keptMs || !mustBeFresh.has(kind));
  }

  firstOf(subject: Subject): Decision | undefined {
    return this.#locks.get(subject)?.first;
  }

  beforeLockOf(subject: Subject): Decision | undefined {
    return this.#locks.get(subject)?.before;
  }

  #isFresh({ sinceMs, inTouch }: Lock): boolean {
    return inTouch.every((name) => {
      const connection = this.#parties.get(name);
      return !connection?.isIdle || connection.askedMs >= sinceMs;
    });
  }
}

function partiesOf(subject: Subject): string[] {
  const shard = /^shard (\d+)$/.exec(subject)?.[1];
  const servers = shard === undefined ? [] : redisMachines.map((machine) => `${machine}/${shard}`);
  return [...proxyMachines, "app", ...servers];
}

/**
 * Does the party answer the watcher's probes? A step that asks a party beside the watcher makes a connection too, but
 * recovery goes by the watcher: it decides upon such a party as one that fails probes.
 */
function answers(facts: Facts, name: string): boolean {
  const look =
    facts.servers[name]?.looks.monit ??
    (name === "app" ? facts.app : facts.proxies[name as ProxyMachine]).look;
  return look.state === "up";
}
