/**
 * One process of the monitor: the real loop, with its board, watchers, executor, journal, pause and presence, over links into
 * the model world. It may die at any moment; its successor starts from what was written to the disk.
 */

import type { ExecutorHooks } from "../../recovery/act/executor.ts";
import type { Engine } from "../../recovery/cloud/engine.ts";
import { decide, type Outcome, reconsider } from "../../recovery/decide/decide.ts";
import type { Decision, Subject } from "../../recovery/decide/decision.ts";
import { apply } from "../../recovery/decide/memory/events.ts";
import type { Memory } from "../../recovery/decide/memory/memory.ts";
import { describeStep } from "../../recovery/decide/steps.ts";
import { readIncidents } from "../../recovery/incidents/journal.ts";
import { type Log, silentLog } from "../../recovery/log.ts";
import { keptMemory } from "../../recovery/loop/kept-memory.ts";
import { monitorId } from "../../recovery/loop/monitor-id.ts";
import { newPause, pauseFile, pauseSchema } from "../../recovery/loop/pause.ts";
import { Reconciler } from "../../recovery/loop/reconciler.ts";
import { topologyFile, withMachines } from "../../recovery/loop/topology-cache.ts";
import type { Facts } from "../../recovery/observe/facts.ts";
import { defaultLimits, type Limits } from "../../recovery/settings.ts";
import { type Files, readKept } from "../../recovery/storage/files.ts";
import { type MachineName, type RedisMachine, topologySchema } from "../../recovery/topology.ts";
import { budgetPerHour } from "./checks.ts";
import type { SimulatedCloud } from "./cloud.ts";
import type { Disk } from "./disk.ts";
import { Life } from "./life.ts";
import { remote, SimulatedLinks } from "./links.ts";
import { Looks } from "./looks.ts";
import type { Instance, World } from "./world.ts";

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
/** After it has seen nobody, how long it may take to act again. */
const sightMs = 2_000;
const stateDir = "/state";
const credentials = { redisUser: "recovery", redisPassword: "secret" };

export interface MonitorOptions {
  world: World;
  cloud: SimulatedCloud;
  disk: Disk;
  instance: Instance;
  /** Called after each step; the monitor may die of it. */
  afterStep: () => void;
}

export class Monitor {
  readonly #world: World;
  readonly #cloud: SimulatedCloud;
  readonly #life: Life;
  readonly #hooks: ExecutorHooks;
  /** Undefined while the process begins. */
  #reconciler: Reconciler | undefined;
  readonly #links: SimulatedLinks;
  readonly #looks: Looks;
  readonly instance: Instance;
  /** What the last cycle has decided, and from what. */
  #last: Outcome | undefined;
  #lastFacts: Facts | undefined;
  /** Machines whose launch has begun; see `Mutations.remembersTooEarly`. */
  #launching: MachineName[] = [];

  constructor({ world, cloud, disk, instance, afterStep }: MonitorOptions) {
    this.#world = world;
    this.#cloud = cloud;
    this.instance = instance;
    this.#life = new Life(world.scheduler);
    const life = this.#life;
    this.#links = new SimulatedLinks({ world, cloud, life, from: instance });
    this.#looks = new Looks(this.#links.parties);
    this.#hooks = this.#makeHooks(afterStep);
    void this.#run(disk.files(life));
    world.scheduler.awaited();
  }

  /** As `prepare` does, and then as long as the process lives. */
  async #run(files: Files): Promise<void> {
    const world = this.#world;
    const cloud = this.#cloud;
    const life = this.#life;
    const { clock } = life;
    const { instance } = this;
    const log = world.isTraced ? this.#log() : silentLog;
    const saved = await readKept(files, topologyFile(stateDir), topologySchema, log);
    const topology = saved ?? cloud.built();
    const memory = await keptMemory(files, stateDir, clock, log);
    if (!saved) memory.durable.recordedMonit = topology.machines.monit.instanceId;
    files.write(topologyFile(stateDir), topology);
    const reconciler = new Reconciler({
      topology,
      credentials,
      limits: this.#limits(),
      cloud: cloud.api(life),
      engine: this.#engine(),
      remote: remote({ world, cloud, life, from: instance }),
      clock,
      log,
      files,
      stateDir,
      self: monitorId({ launchedAt: instance.launchedAt, instanceId: instance.id }),
      memory,
      incidents: await readIncidents(files, `${stateDir}/incidents`, log),
      pause: await readKept(files, pauseFile(stateDir), pauseSchema, log),
      onMachines: (machines) => files.write(topologyFile(stateDir), withMachines(topology, machines)),
      links: this.#links,
      hooks: this.#hooks,
      policy: {
        decide: (...args) => this.#unlessItThrows(() => this.#decide(...args)),
        reconsider: (...args) => this.#unlessItThrows(() => this.#reconsider(...args)),
      },
    });
    // Its end is noticed: nothing is decided any more, or it has been told as an exception.
    reconciler.bugs.watch((bug) => world.checks.neverThrows("recovery", `${bug.where}: ${bug.message}`));
    this.#reconciler = reconciler;
    await reconciler.run(new AbortController().signal).catch(() => {});
  }

  /** All that the last cycle found is as it should be. */
  get isSettled(): boolean {
    return this.#reconciler?.isSettled === true;
  }

  get sentence(): string {
    return this.#last?.sentence ?? "no cycle yet";
  }

  get isBlind(): boolean {
    const sinceMs = this.#last?.memory.sightSinceMs;
    return sinceMs === undefined || this.#world.nowMs - sinceMs < sightMs;
  }

  get isStopped(): boolean {
    return this.#life.isStopped;
  }

  get isPaused(): boolean {
    return this.#reconciler?.pause.current !== undefined;
  }

  /** The process dies: nothing of it goes on, except what it has already sent. */
  die(): void {
    this.#life.ended = true;
  }

  /** The process is stopped for a while. */
  stop(): void {
    this.#life.stop();
  }

  goOn(): void {
    if (this.#life.isStopped) this.#life.goOn();
  }

  order(machine: MachineName): void {
    this.#reconciler?.order(machine, "the simulation");
    this.#world.scheduler.awaited();
  }

  /** Kept until it is done, or for as long as `barton switchover` waits. */
  orderSwitch(shard: number, to: RedisMachine): void {
    this.#reconciler?.orderSwitch(shard, to);
    this.#world.scheduler.awaited();
    this.#world.scheduler.in(switchMaxMs, () => this.#reconciler?.forgetSwitch(shard));
  }

  pause(forMs: number): void {
    this.#reconciler?.pause.begin(forMs, "the simulation");
  }

  endPause(): void {
    this.#reconciler?.pause.end();
  }

  #limits(): Limits {
    const { hasNoBudget, hasNoPatience } = this.#world.mutations;
    return {
      ...limits,
      ...(hasNoBudget ? { replacementsPerHourMax: 1_000 } : {}),
      ...(hasNoPatience ? { dataPatienceMs: 1 } : {}),
    };
  }

  #makeHooks(afterStep: () => void): ExecutorHooks {
    const world = this.#world;
    const { remembersTooEarly } = world.mutations;
    return {
      onLock: (subject) => {
        world.scheduler.awaited();
        const decision = this.#last?.decisions.find((one) => one.subject === subject);
        this.#looks.locked(subject, decision, world.nowMs, this.#lastFacts);
      },
      beforeStep: (subject, step) => {
        const text = describeStep(step);
        world.say(() => ` step: ${text}`);
        world.checks.actsOnAFreshLook(text, this.#looks.callFor(text, step.do, subject, world.nowMs));
        world.checks.stepBegins(step);
        if (step.do === "launch" && remembersTooEarly) this.#launching = step.machines;
      },
      afterStep,
    };
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

  #decide(facts: Facts, memory: Memory, ...rest: Tail<typeof decide>): Outcome {
    const seen = this.#seen(facts);
    this.#lastFacts = facts;
    const outcome = decide(seen, this.#believed(memory), ...rest);
    const [fault] = outcome.faults;
    if (fault) throw fault.error;
    const decisions = this.#mutated(outcome.decisions, seen);
    this.#last = decisions === outcome.decisions ? outcome : { ...outcome, decisions };
    return this.#last;
  }

  #reconsider(facts: Facts, memory: Memory, limits: Limits, subject: Subject, ...rest: LastTwo) {
    const { looksAgain } = this.#world.mutations;
    const first = this.#looks.firstOf(subject);
    if (looksAgain === "once" && first) return { decision: first, memory };
    const seen = this.#seen(facts);
    const again = reconsider(seen, this.#believed(memory), limits, subject, ...rest);
    const [decision] = again.decision ? this.#mutated([again.decision], seen) : [];
    this.#looks.looked(subject, decision, this.#world.nowMs);
    const before = this.#looks.beforeLockOf(subject);
    return { decision: looksAgain === "in vain" ? before : decision, memory: again.memory };
  }

  #seen(facts: Facts): Facts {
    return this.#world.mutations.facts?.(facts) ?? facts;
  }

  #mutated(decisions: Decision[], facts: Facts): Decision[] {
    return this.#world.mutations.decisions?.(decisions, facts) ?? decisions;
  }

  /** See `Mutations.remembersTooEarly`. */
  #believed(memory: Memory): Memory {
    const machines = this.#launching;
    this.#launching = [];
    const { wallMs } = this.#world.scheduler;
    return machines.reduce(
      (before, machine) => apply(before, { event: "launched", machine }, wallMs),
      memory,
    );
  }

  #engine(): Engine {
    return this.#cloud.engine(this.#life);
  }

  #log(): Log {
    const say = (first: unknown, text?: unknown) => this.#world.say(() => `  log: ${String(text ?? first)}`);
    return { info: say, warn: say, error: say, debug: say } as unknown as Log;
  }
}

/** Pauses recovery while no monitor runs. */
export function pauseOnDisk(disk: Disk, life: Life, forMs: number): void {
  disk.files(life).write(pauseFile(stateDir), newPause(life.clock, forMs, "the simulation"));
}

type Tail<F> = F extends (facts: never, memory: never, ...rest: infer Rest) => unknown ? Rest : never;
type LastTwo =
  Parameters<typeof reconsider> extends [unknown, unknown, unknown, unknown, ...infer Rest] ? Rest : never;
