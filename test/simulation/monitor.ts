/**
 * The simulated monitor: the real decide, executor and steps, with eyes and hands in the model world. It may
 * die at any moment; its successor starts from the durable memory that was written.
 */
import { Beats } from "../../recovery/act/beat.ts";
import { Executor } from "../../recovery/act/executor.ts";
import type { World as ActWorld } from "../../recovery/act/world.ts";
import type { Clock } from "../../recovery/clock.ts";
import {
  type Decision,
  decide,
  type Outcome,
  reconsider,
  type Subject,
} from "../../recovery/decide/decide.ts";
import { apply, type Remembered } from "../../recovery/decide/memory/events.ts";
import { emptyMemory, type Memory, revive } from "../../recovery/decide/memory/memory.ts";
import type { Journal } from "../../recovery/incidents/journal.ts";
import { type Log, silentLog } from "../../recovery/log.ts";
import type { Facts } from "../../recovery/observe/facts.ts";
import type { Machines } from "../../recovery/observe/machines.ts";
import { defaultLimits, type Limits } from "../../recovery/settings.ts";
import { type MachineName, machineNames, type RedisMachine, type Topology } from "../../recovery/topology.ts";
import { Board } from "./board.ts";
import { budgetPerHour } from "./checks.ts";
import type { Life, SimulatedCloud } from "./cloud.ts";
import { remote } from "./links.ts";
import { Looks } from "./looks.ts";
import type { World } from "./world.ts";

/** As in life, in the same order, but shorter. */
const limits: Limits = {
  ...defaultLimits,
  graceMs: 2_500,
  dataPatienceMs: 60_000,
  bootMs: 6_000,
  proxyPatienceMs: 800,
  replacementsPerHourMax: budgetPerHour,
};

/** How long `barton switchover` waits. */
const switchMaxMs = 5_000;

/** What outlives the monitor's process. */
export interface Kept {
  durable?: unknown;
  /** A person has paused recovery. */
  isPaused?: boolean;
  machines?: Machines;
}

export interface MonitorOptions {
  world: World;
  cloud: SimulatedCloud;
  kept: Kept;
  /** Called after each step; the monitor may die of it. */
  afterStep: () => void;
}

export class Monitor {
  readonly #world: World;
  readonly #life: Life = { ended: false };
  readonly #board: Board;
  readonly #executor: Executor;
  readonly #beats: Beats;
  readonly #kept: Kept;
  readonly #limits: Limits;
  readonly #looks = new Looks();
  #memory: Memory;
  #outcome: Outcome | undefined;
  #considered: Decision[] = [];
  #isWoken = true;
  #calmCycles = 0;
  #nextCycleMs = 0;
  #sentence = "";
  /** The process is stopped: it neither looks nor decides. */
  isStopped = false;
  #switches: Record<number, RedisMachine> = {};

  constructor({ world, cloud, kept, afterStep }: MonitorOptions) {
    this.#world = world;
    this.#kept = kept;
    this.#limits = {
      ...limits,
      ...(world.mutations.hasNoBudget ? { replacementsPerHourMax: 1_000 } : {}),
      ...(world.mutations.hasNoPatience ? { dataPatienceMs: 1 } : {}),
    };
    this.#memory = kept.durable ? revive(structuredClone(kept.durable), world.nowMs).memory : emptyMemory;
    const topology = () => this.#topology();
    const life = this.#life;
    this.#board = new Board({ world, cloud, life, machines: kept.machines, onNews: () => this.#wake() });
    const board = this.#board as unknown as ActWorld["board"];
    const clock = mortalClock(world.scheduler.clock, life);
    this.#beats = new Beats({ board, clock });
    this.#executor = new Executor({
      world: {
        board,
        topology: world.topology,
        cloud: cloud.api(life),
        engine: this.#engine(cloud, topology),
        remote: remote(world, life),
        clock,
        log: world.isTraced ? this.#log() : silentLog,
        remember: (event) => this.#remember(event),
      },
      journal: this.#journal(),
      reconsider: (subject) => this.#unlessItThrows(() => this.#reconsider(subject)),
      onEnd: () => this.#wake(),
      kept: async () => true,
      hooks: { afterStep },
    });
  }

  /** All that the last cycle found is as it should be. */
  get isSettled(): boolean {
    return this.#outcome?.settled === true && this.#executor.busy.size === 0;
  }

  get sentence(): string {
    return this.#sentence;
  }

  get isBlind(): boolean {
    return this.#memory.sightSinceMs === undefined || this.#world.nowMs - this.#memory.sightSinceMs < 2_000;
  }

  /** The process dies: nothing of it goes on, except what it has already sent. */
  die(): void {
    this.#life.ended = true;
    this.#executor.stop();
  }

  order(machine: MachineName): void {
    this.#remember({ event: "ordered", machine, why: "the simulation" });
  }

  /** Kept until it is done, or for as long as `barton switchover` waits. */
  orderSwitch(shard: number, to: RedisMachine): void {
    this.#switches = { ...this.#switches, [shard]: to };
    this.#world.scheduler.in(switchMaxMs, () => {
      this.#switches = {};
    });
  }

  /** The process was stopped for a while. */
  resume(): void {
    this.isStopped = false;
    this.#board.forgive();
  }

  /** Looks, and decides if there is anything new. */
  tick(): void {
    if (this.#life.ended || this.isStopped) return;
    this.#board.tick(this.#outcome?.doubt ? "hurry" : "calm", this.isSettled ? "calm" : "hurry");
    const { busy } = this.#executor;
    this.#beats.beat(this.#outcome?.shards ?? [], (shard) => busy.has(`shard ${shard}`));
    const { nowMs } = this.#world;
    if (!this.#isWoken && nowMs < this.#nextCycleMs) return;
    this.#calmCycles = this.#isWoken ? 0 : this.#calmCycles + 1;
    // The longer nothing new was seen, the less often: only patience that ends can change anything.
    this.#nextCycleMs = nowMs + Math.min(100 * 1.5 ** this.#calmCycles, this.isSettled ? 1_000 : 400);
    this.#isWoken = false;
    try {
      this.#unlessItThrows(() => this.#cycle());
    } catch {
      // It has been noticed.
    }
  }

  /** The executor would take an exception under the lock for a step that failed. */
  #unlessItThrows<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      this.#world.checks.neverThrows("decide", error);
      throw error;
    }
  }

  #cycle(): void {
    const facts = this.#facts();
    const decided = decide(facts, this.#memory, this.#limits, this.#executor.busy, this.#switches);
    const outcome = this.#executor.asActedUpon(this.#mutate(decided, facts));
    this.#memory = outcome.memory;
    this.#outcome = outcome;
    if (outcome.sentence !== this.#sentence) {
      const isMore = withoutOffsets(outcome.sentence) !== withoutOffsets(this.#sentence);
      this.#sentence = outcome.sentence;
      if (isMore) this.#world.say(() => `monit: ${outcome.sentence}`);
    }
    const { busy } = this.#executor;
    this.#considered = [
      ...outcome.decisions.filter(({ subject }) => !busy.has(subject)),
      ...this.#considered.filter(({ subject }) => busy.has(subject)),
    ];
    if (!this.#kept.isPaused) this.#consider(outcome.decisions);
    this.#world.scheduler.awaited();
    this.#persist();
  }

  #consider(decisions: Decision[]): void {
    const { busy } = this.#executor;
    this.#executor.consider(decisions);
    for (const subject of this.#executor.busy)
      if (!busy.has(subject)) this.#looks.locked(subject, this.#world.nowMs);
  }

  #reconsider(subject: Subject): Decision | undefined {
    const { looksAgain } = this.#world.mutations;
    const first = this.#looks.firstOf(subject);
    if (looksAgain === "once" && first) return first;
    const before = this.#considered.find((decision) => decision.subject === subject);
    const fresh = this.#lookAgain(subject);
    return looksAgain === "in vain" ? before : fresh;
  }

  #lookAgain(subject: Subject): Decision | undefined {
    const facts = this.#facts();
    const { busy } = this.#executor;
    const again = reconsider(facts, this.#memory, this.#limits, subject, busy, this.#switches);
    this.#memory = again.memory;
    this.#persist();
    const [fresh] = again.decision ? this.#mutated([again.decision], facts) : [];
    this.#looks.looked(subject, fresh, this.#board.refreshedMs(subject), this.#world.nowMs);
    return fresh;
  }

  #facts(): Facts {
    const facts = this.#board.facts();
    return this.#world.mutations.facts?.(facts) ?? facts;
  }

  #mutate(outcome: Outcome, facts: Facts): Outcome {
    return this.#world.mutations.decisions
      ? { ...outcome, decisions: this.#mutated(outcome.decisions, facts) }
      : outcome;
  }

  #mutated(decisions: Decision[], facts: Facts): Decision[] {
    return this.#world.mutations.decisions?.(decisions, facts) ?? decisions;
  }

  #engine(cloud: SimulatedCloud, topology: () => Topology) {
    const engine = cloud.engine(this.#life, topology);
    if (!this.#world.mutations.remembersTooEarly) return engine;
    const launch = (machines: MachineName[]) => {
      for (const machine of machines) this.#remember({ event: "launched", machine });
      return engine.launch(machines);
    };
    return { ...engine, launch };
  }

  #topology(): Topology {
    const machines = { ...this.#world.topology.machines };
    const known = this.#board.facts().machines;
    for (const name of machineNames) {
      const { instanceId, address } = known[name];
      if (instanceId && address) machines[name] = { ...machines[name], instanceId, address };
    }
    return { ...this.#world.topology, machines };
  }

  #remember(event: Remembered): void {
    if (this.#life.ended) return;
    this.#memory = apply(this.#memory, event, this.#world.scheduler.wallMs);
    this.#persist();
    this.#wake();
  }

  #persist(): void {
    // Memories are never changed in place, so that the newest one can simply be kept.
    this.#kept.durable = this.#memory.durable;
    this.#kept.machines = this.#board.machines;
  }

  #wake(): void {
    this.#isWoken = true;
  }

  #journal(): Journal {
    const step = (_about: string | undefined, text: string, kind: string) => {
      const { nowMs } = this.#world;
      this.#world.say(() => ` step: ${text}`);
      const isCalledFor = this.#looks.callFor(text, kind, this.#executor.busy, nowMs);
      this.#world.checks.actsOnAFreshLook(text, isCalledFor);
      return (outcome: string) => {
        if (outcome !== "done") this.#world.say(() => ` step: ${text}: ${outcome}`);
      };
    };
    return { step } as unknown as Journal;
  }

  #log(): Log {
    const say = (first: unknown, text?: unknown) => this.#world.say(() => `  log: ${String(text ?? first)}`);
    return { info: say, warn: say, error: say, debug: say } as unknown as Log;
  }
}

/** A clock that nobody hears any more when his process has ended. */
function mortalClock(clock: Clock, life: Life): Clock {
  return {
    ...clock,
    sleep: (ms, signal) =>
      new Promise((resolve) => void clock.sleep(ms, signal).then(() => life.ended || resolve())),
  };
}

/** Sentences that differ in nothing but a growing offset are the same news. */
const withoutOffsets = (sentence: string) => sentence.replaceAll(/offset \d+/g, "");
