/**
 * The reconciler: observe → decide → act, in cycles.
 *
 * A cycle never waits. Watchers probe in loops of their own and wake it, and plans run beside it. So recovery acts on a verdict
 * within milliseconds after the probe that completed it.
 */
import { join } from "node:path";
import { Beats } from "../act/beat.ts";
import { Executor, type ExecutorHooks } from "../act/executor.ts";
import type { World } from "../act/world.ts";
import { type Clock, within } from "../clock.ts";
import type { Cloud } from "../cloud/cloud.ts";
import type { Engine } from "../cloud/engine.ts";
import type { Remote } from "../cloud/remote.ts";
import { decide, type Outcome, reconsider } from "../decide/decide.ts";
import { type Decision, findingsOf, type Subject } from "../decide/decision.ts";
import { apply, type Remembered } from "../decide/memory/events.ts";
import { emptyMemory, type Memory, orderFor, replacementOf } from "../decide/memory/memory.ts";
import { whyBudgetSpent } from "../decide/rules/budget.ts";
import { type Opinion, opinionOf } from "../decide/rules/opinion.ts";
import type { Switches } from "../decide/rules/switchover.ts";
import { seesAgain } from "../decide/view/sight.ts";
import type { ShardView } from "../decide/view/view.ts";
import { Journal } from "../incidents/journal.ts";
import type { Incident } from "../incidents/record.ts";
import type { Log } from "../log.ts";
import { Board } from "../observe/board.ts";
import type { Links } from "../observe/links.ts";
import type { Machines } from "../observe/machines.ts";
import type { RedisCredentials } from "../observe/redis-link.ts";
import { Bugs } from "../report/bugs.ts";
import type { Gauges } from "../report/metrics.ts";
import { type PlannedSubject, planOf } from "../report/plan.ts";
import { type Status, statusOf, statusWithoutCycle } from "../report/status.ts";
import type { NotificationsView } from "../report/webhook.ts";
import type { Limits } from "../settings.ts";
import type { Files } from "../storage/files.ts";
import type { MachineName, RedisMachine, Topology } from "../topology.ts";
import { Presence } from "./announce.ts";
import { memoryFile } from "./kept-memory.ts";
import { Pause, pauseFile, whyPaused } from "./pause.ts";

export interface ReconcilerOptions {
  topology: Topology;
  credentials: RedisCredentials;
  limits: Limits;
  cloud: Cloud;
  engine: Engine;
  remote: Remote;
  clock: Clock;
  log: Log;
  files: Files;
  stateDir: string;
  /** This monitor's id; without one it does not ask whether there is another monitor. */
  self?: string;
  /** What an earlier run left: its memory, and all its incidents. */
  memory?: Memory;
  incidents?: Incident[];
  /** What the pause's file holds. */
  pause?: unknown;
  /** Called when the cloud told something new about the machines. */
  onMachines?: (machines: Machines) => void;
  /** Instead of links over TCP. */
  links?: Links;
  /** Only for tests. */
  hooks?: ExecutorHooks;
  /** Only for tests: mutants of the policy. */
  policy?: { decide: typeof decide; reconsider: typeof reconsider };
}

/** Between two cycles, at least; and at most, so that patience ends in time. */
const gapMinMs = { calm: 40, hurry: 8 } as const;
const gapMaxMs = 100;
/** A longer gap between two cycles means that this process was not running: its failed looks prove nothing. */
const pausedMs = 1_000;
/** How long a step may wait for the disk; what is not on it by then counts as not kept. */
const keptMs = 500;
/** Pause after the announcement of this monitor has thrown. */
const announceAgainMs = 1_000;
/** Closed incidents that the status still shows. */
const closedShown = 5;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #board: Board;
  readonly #executor: Executor;
  readonly #beats: Beats;
  readonly #presence: Presence;
  readonly #policy: { decide: typeof decide; reconsider: typeof reconsider };
  readonly journal: Journal;
  readonly pause: Pause;
  /** Exceptions that nobody expected; the simulation fails on each. */
  readonly bugs: Bugs;
  #memory: Memory;
  #outcome: Outcome | undefined;
  #switches: Switches = {};
  #closed: Incident[];
  #durableText = "";
  #sentence = "";
  #notifications: (() => NotificationsView) | undefined;
  readonly #watchers = new Set<(decisions: Decision[]) => void>();
  #wake = () => {};

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#policy = options.policy ?? { decide, reconsider };
    const { incidents = [], memory = emptyMemory, clock, log, files, stateDir } = options;
    this.#memory = memory;
    this.#closed = incidents.filter(({ endedAt }) => endedAt !== undefined).slice(-closedShown);
    const open = incidents.filter(({ endedAt }) => endedAt === undefined);
    this.bugs = new Bugs({ clock, log });
    const { bugs } = this;
    this.journal = new Journal({ folder: join(stateDir, "incidents"), files, clock, log, bugs }, open);
    const savePause = (pause: unknown) => files.write(pauseFile(stateDir), pause);
    this.pause = new Pause(clock, savePause, options.pause);
    this.#board = new Board({ ...options, onLook: () => this.#wake() });
    this.#beats = new Beats({ board: this.#board, clock });
    this.#presence = new Presence({ board: this.#board, clock, self: options.self });
    this.#executor = new Executor({
      world: this.#world(),
      journal: this.journal,
      reconsider: (subject) => this.#reconsider(subject),
      kept: () => within(clock, keptMs, files.settled(this.#memoryFile), false),
      onEnd: () => this.#wake(),
      hooks: options.hooks,
    });
  }

  /** Runs cycles until `signal` aborts; then waits for no step under way: each may be the last (rule 6). */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    signal.addEventListener("abort", () => this.#executor.stop(), { once: true });
    this.#board.start();
    void this.#announce(signal);
    let lastMs = clock.now();
    while (!signal.aborted) {
      this.#forgiveAfterPause(clock.now() - lastMs);
      lastMs = clock.now();
      this.bugs.guard("a cycle", () => this.#cycle());
      await this.#nextCycle(signal);
    }
    this.#board.stop();
    await this.#options.files.settled();
  }

  /** No step is begun without the announcement: one that ends by an exception is begun again. */
  async #announce(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#presence.run(signal).catch((error) => this.bugs.report("announcing this monitor", error));
      if (this.#options.self === undefined) return;
      await this.#options.clock.sleep(announceAgainMs, signal);
    }
  }

  /** After `run`: resolves when the steps that were under way have ended too, and what they noted is on disk. */
  async idle(): Promise<void> {
    await this.#executor.idle();
    await this.#options.files.settled();
  }

  /** The last cycle's view; undefined before the first. */
  status(): Status | undefined {
    const { bugs } = this;
    const notKept = this.#options.files.failing;
    if (!this.#outcome) return bugs.all.length > 0 ? statusWithoutCycle({ bugs, notKept }) : undefined;
    const incidents = [...this.#closed, ...this.journal.openIncidents];
    const inProgress = this.#executor.busy.size > 0;
    const outcome = { ...this.#outcome, sentence: this.#sentenceWithTroubles(this.#outcome.sentence) };
    const paused = this.pause.current;
    return statusOf(this.#board.facts(), outcome, {
      inProgress,
      incidents,
      paused,
      notKept,
      bugs,
      notifications: this.#notifications?.(),
    });
  }

  /** What is or would be done about every subject that is not as it should be; undefined before the first cycle. */
  plan(): PlannedSubject[] | undefined {
    if (!this.#outcome) return undefined;
    return planOf(this.#outcome, (subject) => this.#troubleText(subject), this.pause.current);
  }

  /** Calls `watcher` with the decisions of every cycle. */
  watch(watcher: (decisions: Decision[]) => void): void {
    this.#watchers.add(watcher);
  }

  /** Puts the state of the notifications into the status. */
  showNotifications(view: () => NotificationsView): void {
    this.#notifications = view;
  }

  /** Where recovery keeps its files. */
  get files(): Files {
    return this.#options.files;
  }

  /** What the page for Prometheus is made from. */
  gauges(): Gauges {
    return {
      status: this.status(),
      replacements: this.#memory.durable.replacements,
      replacementsPerHourMax: this.#options.limits.replacementsPerHourMax,
      wallMs: this.#options.clock.date().getTime(),
      holds: this.decisions.flatMap((decision) =>
        findingsOf(decision).flatMap(({ holds, situation }) =>
          holds ? [{ subject: decision.subject, situation }] : [],
        ),
      ),
    };
  }

  /** Orders the failover of a machine, as if it had failed. */
  order(machine: MachineName, why: string): void {
    this.#remember({ event: "ordered", machine, why });
    this.#wake();
  }

  /** Takes an order back that cannot be carried out. */
  withdraw(machine: MachineName): void {
    this.#remember({ event: "withdrawn", machine });
  }

  /** Gives a machine its whole budget of replacements again; what is held for it begins at once. */
  forgive(machine: MachineName): void {
    this.#remember({ event: "forgiven", machine });
    this.#wake();
  }

  /** Why the machine may not be replaced again without a person (rule 8), or undefined. */
  whyBudgetSpent(machine: MachineName): string | undefined {
    const { limits, clock } = this.#options;
    const wallMs = clock.date().getTime();
    return whyBudgetSpent(this.#memory.durable, machine, wallMs, limits.replacementsPerHourMax);
  }

  /** Orders a planned switch of one shard. */
  orderSwitch(shard: number, to: RedisMachine): void {
    this.#switches = { ...this.#switches, [shard]: to };
    this.#wake();
  }

  /** The switch of this shard is done, or nobody waits for it any more. */
  forgetSwitch(shard: number): void {
    const { [shard]: _, ...others } = this.#switches;
    this.#switches = others;
  }

  /** What failed last about this shard, until it is well. */
  troubleOf(shard: number): string | undefined {
    return this.#executor.troubles.get(`shard ${shard}`)?.message;
  }

  /** Are steps for this shard under way? */
  isActingOn(shard: number): boolean {
    return this.#executor.busy.has(`shard ${shard}`);
  }

  /** Is all that the last cycle found as it should be, and nothing under way? */
  get isSettled(): boolean {
    return this.#outcome?.settled === true && this.#executor.busy.size === 0;
  }

  /** The last cycle's views of the shards. */
  get shards(): ShardView[] {
    return this.#outcome?.shards ?? [];
  }

  /** The last cycle's decisions. */
  get decisions(): Decision[] {
    return this.#outcome?.decisions ?? [];
  }

  /** Recovery's own connections; tests cut them. */
  get links(): Pick<Board, "redis" | "proxy"> {
    return this.#board;
  }

  /** May an instance of monit be alive beside the present one? */
  get isAnotherMonitAlive(): boolean {
    return this.#board.facts().machines.monit.othersAlive.length > 0;
  }

  /** Is the machine condemned and not yet replaced? */
  isBeingReplaced(machine: MachineName): boolean {
    return replacementOf(this.#memory, machine) !== undefined;
  }

  /** What recovery itself thinks of a machine that somebody else takes for failed. */
  opinionOf(machine: MachineName): Opinion {
    return opinionOf(machine, this.decisions, this.#memory, this.#board.facts());
  }

  /** The instance that a failover of this machine replaces: the condemned one, or else the present one. */
  failedInstance(machine: MachineName): string | undefined {
    const replacement = replacementOf(this.#memory, machine);
    return replacement ? replacement.instanceId : this.#board.facts().machines[machine].instanceId;
  }

  /** Is the machine in the desired state, with nothing left to do about it? */
  isWell(machine: MachineName): boolean {
    const isOpen = this.journal.openMachines.includes(machine);
    return !isOpen && !this.isBeingReplaced(machine) && this.#isSettledAbout(machine);
  }

  /** Why an ordered failover cannot go on without a person, or undefined. */
  whyStuck(machine: MachineName): string | undefined {
    const paused = whyPaused(this.pause.current);
    if (paused && this.#executor.busy.size === 0) return paused;
    const own = this.decisions.find(({ subject }) => subject === machine);
    if (own?.situation === "machine-needed" || own?.situation === "needed") return own.because;
    const replacement = replacementOf(this.#memory, machine);
    if (replacement?.phase === "tainted" && replacement.held) return replacement.held.why;
    const waits = replacement && replacement.phase !== "launched" && !orderFor(this.#memory, machine);
    return waits ? this.whyBudgetSpent(machine) : undefined;
  }

  #isSettledAbout(machine: string): boolean {
    const own = this.decisions.filter(
      (decision) =>
        decision.subject === machine || findingsOf(decision).some(({ about }) => about === machine),
    );
    return own.length > 0 && own.every(({ settled }) => settled);
  }

  #cycle(): void {
    const { limits, log } = this.#options;
    const facts = this.#board.facts();
    this.#presence.note(facts);
    const outcome = this.#executor.asActedUpon(
      this.#policy.decide(facts, this.#memory, limits, this.#executor.busy, this.#switches),
    );
    for (const { where, error } of outcome.faults) this.bugs.report(where, error);
    this.#memory = outcome.memory;
    this.#outcome = outcome;
    this.#board.setPace(outcome.doubt ? "hurry" : "calm", outcome.settled ? "calm" : "hurry");
    const paused = this.pause.current;
    const sentence = [whyPaused(paused), outcome.sentence].filter(Boolean).join("; ");
    if (sentence !== this.#sentence) {
      this.#sentence = sentence;
      log.info(sentence);
    }
    // Each part by itself: a record that cannot be made is no reason not to heal.
    const { bugs } = this;
    bugs.guard("the heartbeat", () => this.#beats.beat(outcome.shards, (shard) => this.isActingOn(shard)));
    bugs.guard("opening incidents", () => this.#openIncidents(outcome.decisions));
    for (const watcher of this.#watchers) bugs.guard("reporting", () => watcher(outcome.decisions));
    if (!paused && this.#presence.mayAct) this.#executor.consider(outcome.decisions);
    bugs.guard("closing incidents", () => this.#closeIncidents(outcome));
    this.#persist();
  }

  #reconsider(subject: Subject): Decision | undefined {
    const { limits } = this.#options;
    const { busy } = this.#executor;
    const again = this.#policy.reconsider(
      this.#board.facts(),
      this.#memory,
      limits,
      subject,
      busy,
      this.#switches,
    );
    this.#memory = again.memory;
    this.#persist();
    return again.decision;
  }

  #openIncidents(decisions: Decision[]): void {
    const findings = decisions.flatMap((decision) =>
      findingsOf(decision).map((finding) => ({ ...finding, sinceMs: decision.sinceMs })),
    );
    for (const { about, opens, because, sinceMs, situation, operator } of findings) {
      if (!about || !opens) continue;
      // The machine's own sentence says more than that of one of its shards.
      const own = decisions.find((decision) => decision.subject === about && decision.opens);
      const opener = own ?? { because, situation, operator };
      this.journal.open(about, opener.because, sinceMs ?? own?.sinceMs, opener.situation, opener.operator);
    }
  }

  #closeIncidents({ settled }: Outcome): void {
    for (const machine of this.journal.openMachines) {
      const isWell = this.#isSettledAbout(machine) && !this.isBeingReplaced(machine as MachineName);
      const isActing = [...this.#executor.busy].some((subject) => subject !== "replacement");
      if (isActing || !(machine === "first start" ? settled : isWell)) continue;
      const incident = this.journal.openIncidents.find((one) => one.machine === machine);
      this.journal.close(machine);
      if (incident) this.#closed = [...this.#closed, incident].slice(-closedShown);
    }
  }

  #forgiveAfterPause(gapMs: number): void {
    if (gapMs < pausedMs) return;
    this.#options.log.warn(
      { gapMs: Math.round(gapMs) },
      "recovery itself was paused: failures in a row are forgotten",
    );
    this.#board.forgive();
    this.#memory = seesAgain(this.#memory, this.#options.clock.now(), gapMs);
  }

  async #nextCycle(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let woken = false;
    const wake = new Promise<void>((resolve) => {
      this.#wake = () => {
        woken = true;
        resolve();
      };
    });
    await clock.sleep(this.#outcome?.doubt ? gapMinMs.hurry : gapMinMs.calm, signal);
    if (!woken && !signal.aborted) await within(clock, gapMaxMs, wake, undefined);
  }

  #remember(event: Remembered): void {
    this.#memory = apply(this.#memory, event, this.#options.clock.date().getTime());
    this.#persist();
  }

  get #memoryFile(): string {
    return memoryFile(this.#options.stateDir);
  }

  #persist(): void {
    const text = JSON.stringify(this.#memory.durable);
    if (text === this.#durableText) return;
    this.#durableText = text;
    this.#options.files.write(this.#memoryFile, this.#memory.durable);
  }

  #troubleText(subject: Decision["subject"]): string | undefined {
    const trouble = this.#executor.troubles.get(subject);
    if (!trouble) return undefined;
    const inMs = Math.max(trouble.nextMs - this.#options.clock.now(), 0);
    const times = trouble.failures === 1 ? "once" : `${trouble.failures} times`;
    return `failed ${times}, next try in ${(inMs / 1000).toFixed(1)} s: ${trouble.message}`;
  }

  /** What failed and is tried again belongs to the status, not to the log, which would repeat it in every cycle. */
  #sentenceWithTroubles(sentence: string): string {
    const subjects = [...this.#executor.troubles.keys()];
    return [sentence, ...subjects.map((subject) => `${subject} ${this.#troubleText(subject)}`)].join("; ");
  }

  #world(): World {
    const { topology, cloud, engine, remote, clock, log } = this.#options;
    return {
      board: this.#board,
      topology,
      cloud,
      engine,
      remote,
      clock,
      log,
      remember: (event) => this.#remember(event),
    };
  }
}
