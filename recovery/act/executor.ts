/**
 * Runs the steps of decisions: one plan at a time per subject, all subjects side by side.
 *
 * Rule 7: while the subject is locked, recovery probes again and decides again. It does only the steps that the second decision
 * has. If nothing is left to do, that is a good result.
 */
import type { Outcome } from "../decide/decide.ts";
import type { Decision, Subject } from "../decide/decision.ts";
import { sentenceOf } from "../decide/sentence.ts";
import { describeStep, type Step } from "../decide/steps.ts";
import type { Journal } from "../incidents/journal.ts";
import { perform } from "./perform.ts";
import { PowerOffs } from "./power-offs.ts";
import type { World } from "./world.ts";

export interface ExecutorOptions {
  world: World;
  journal: Journal;
  /** The decision about this subject as it is now. */
  reconsider: (subject: Subject) => Decision | undefined;
  /** Is what recovery remembers on disk? False when it cannot be written, or not in time. */
  kept: () => Promise<boolean>;
  /** Called when a plan has ended. */
  onEnd: () => void;
  /** Only for tests. */
  hooks?: ExecutorHooks;
}

/** Where tests look on, or end the process. */
export interface ExecutorHooks {
  /** A plan about this subject begins: whatever it does must rest on a look that is younger than this moment. */
  onLock?: (subject: Subject) => void;
  beforeStep?: (subject: Subject, step: Step) => void;
  afterStep?: (step: Step) => void;
}

/** A subject whose last plan failed: it is tried again after a growing pause. */
export interface Trouble {
  message: string;
  failures: number;
  nextMs: number;
}

const refreshMs = 150;
const looksOnceMore: ReadonlySet<Step["do"]> = new Set(["power off", "launch", "unregister proxy"]);
/** These change which machines are to be replaced. */
const changesReplacement: ReadonlySet<Step["do"]> = new Set(["stop monitoring", "take back"]);
/** The first pause after a failure and the longest, by kind of subject. */
const pauses = { replacement: [5_000, 300_000], quick: [100, 2_000] } as const;

export class Executor {
  readonly #options: ExecutorOptions;
  readonly #running = new Map<Subject, { plan: Promise<void>; decision: Decision }>();
  readonly #troubles = new Map<Subject, Trouble>();
  readonly #powerOffs: PowerOffs;

  #isStopped = false;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#powerOffs = new PowerOffs({ remember: options.world.remember, kept: options.kept });
  }

  /** No further step is begun; those under way are not waited for (rule 6). */
  stop(): void {
    this.#isStopped = true;
  }

  /** Subjects with steps under way. */
  get busy(): ReadonlySet<Subject> {
    return new Set(this.#running.keys());
  }

  /** What failed last, by subject. */
  get troubles(): ReadonlyMap<Subject, Trouble> {
    return this.#troubles;
  }

  /** Starts what the decisions ask for, except for subjects that are busy or pausing after a failure. */
  consider(decisions: Decision[]): void {
    const { world } = this.#options;
    for (const { subject, settled } of decisions) if (settled) this.#troubles.delete(subject);
    const starting = decisions.filter((decision) => this.#mayStart(decision)).sort(machinesFirst);
    if (starting.length === 0) return;
    const shards = starting.flatMap(({ subject }) => shardIndexOf(subject) ?? []);
    const looked = world.board.refresh(shards, refreshMs);
    for (const decision of starting) this.#start(decision, looked);
  }

  /**
   * The outcome of a cycle, with the decisions that are being carried out in place of what half-done steps
   * look like.
   */
  asActedUpon(outcome: Outcome): Outcome {
    if (this.#running.size === 0) return outcome;
    const decisions = outcome.decisions.map((decision) => {
      return this.#running.get(decision.subject)?.decision ?? decision;
    });
    return { ...outcome, decisions, sentence: sentenceOf(decisions), settled: false };
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ plan }) => plan));
  }

  #mayStart({ subject, steps }: Decision): boolean {
    const pauseEndsMs = this.#troubles.get(subject)?.nextMs ?? 0;
    if (this.#isStopped) return false;
    return steps.length > 0 && !this.#running.has(subject) && this.#options.world.clock.now() >= pauseEndsMs;
  }

  #start(decision: Decision, looked: Promise<void>): void {
    const { subject } = decision;
    this.#options.hooks?.onLock?.(subject);
    const plan = this.#runPlan(subject, looked).finally(() => {
      this.#running.delete(subject);
      this.#options.onEnd();
    });
    this.#running.set(subject, { plan, decision });
  }

  async #runPlan(subject: Subject, looked: Promise<void>): Promise<void> {
    const { world, reconsider, kept } = this.#options;
    try {
      await looked;
      const decision = reconsider(subject);
      for (const step of decision?.steps ?? []) {
        // Also an epoch that is sent to a server that hangs may be written later, when another one serves.
        if (step.do === "promote" || step.do === "write epoch")
          world.remember({ event: "promoting", shard: step.shard, epoch: step.epoch });
      }
      // A verdict must outlive recovery: once its steps have begun, what led to it may not be seen a second time. Where the
      // disk does not take it, the status says so, and only a power-off waits (power-offs.ts): traffic waits for a promotion, which shows in the data
      // themselves (their epoch).
      await kept();
      for (const step of decision?.steps ?? []) {
        if (!this.#stillHolds(subject, step)) break;
        await this.#runStep(subject, step, decision?.about);
      }
      this.#troubles.delete(subject);
      // What was seen before these steps must not be decided upon after them.
      const shard = shardIndexOf(subject);
      await world.board.refresh(shard === undefined ? [] : [shard], refreshMs);
    } catch (error) {
      this.#failed(subject, error as Error);
    }
  }

  /**
   * The steps before these take their time, and each of them may take away the last copy, or the last way to it: what
   * has become of the counterpart meanwhile is decided upon once more. If it is something else, the next cycle does that.
   */
  #stillHolds(subject: Subject, step: Step): boolean {
    if (!looksOnceMore.has(step.do)) return true;
    const again = this.#options.reconsider(subject)?.steps ?? [];
    const holds = again.some((one) => describeStep(one) === describeStep(step));
    const { log } = this.#options.world;
    if (!holds) log.info({ subject }, `not done any more, things have changed: ${describeStep(step)}`);
    return holds;
  }

  async #runStep(subject: Subject, step: Step, about: string | undefined): Promise<void> {
    const { kept, hooks } = this.#options;
    const act = () => this.#perform(subject, step, about);
    await (step.do === "power off" ? this.#powerOffs.run(step, act) : act());
    // What went wrong with the others is no reason to let one more machine wait, which may be another matter.
    if (changesReplacement.has(step.do)) this.#troubles.delete("replacement");
    await kept();
    hooks?.afterStep?.(step);
  }

  async #perform(subject: Subject, step: Step, about: string | undefined): Promise<void> {
    const { world, journal, hooks } = this.#options;
    if (this.#isStopped) throw new Error("recovery stops");
    hooks?.beforeStep?.(subject, step);
    const end = journal.step(about, describeStep(step), step.do);
    try {
      await perform(world, step);
      end("done");
    } catch (error) {
      end(`failed: ${(error as Error).message}`);
      throw error;
    }
  }

  #failed(subject: Subject, error: Error): void {
    if (this.#isStopped) return;
    const { clock, log } = this.#options.world;
    const failures = (this.#troubles.get(subject)?.failures ?? 0) + 1;
    const [firstMs, longestMs] = subject === "replacement" ? pauses.replacement : pauses.quick;
    const pauseMs = Math.min(firstMs * 2 ** (failures - 1), longestMs);
    this.#troubles.set(subject, { message: error.message, failures, nextMs: clock.now() + pauseMs });
    log.error({ subject, failures, nextTryInMs: pauseMs }, `failed: ${error.message}`);
  }
}

/** As in the original: first machines are condemned, then servers are promoted. */
function machinesFirst(a: Decision, b: Decision): number {
  return Number(shardIndexOf(a.subject) !== undefined) - Number(shardIndexOf(b.subject) !== undefined);
}

function shardIndexOf(subject: Subject): number | undefined {
  return subject.startsWith("shard ") ? Number(subject.slice("shard ".length)) : undefined;
}
