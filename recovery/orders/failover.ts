/** `failover MACHINE`: a person or another monitor starts what the monitor does by itself after a failure. */
import type { Clock } from "../clock.ts";
import type { Engine } from "../cloud/engine.ts";
import { rollReason } from "../decide/memory/memory.ts";
import { whyPaused } from "../loop/pause.ts";
import type { Reconciler } from "../loop/reconciler.ts";
import { until } from "../loop/until.ts";
import { type MachineName, replaceableMachines } from "../topology.ts";

export interface FailoverOptions {
  reconciler: Reconciler;
  engine: Engine;
  clock: Clock;
  /** Called with one line for each event of the failover. */
  say: (line: string) => void;
  signal: AbortSignal;
}

export interface FailoverResult {
  ok: boolean;
  message: string;
  /** The command did not see the end: the monitor stopped in the middle, or it takes too long. Recovery continues it. */
  interrupted?: true;
  /** `--if-failed`: recovery has no verdict on the machine. Nothing was done. */
  notFailed?: true;
}

/** How long the reconciler may take until its first decisions, in milliseconds. Before that an order makes no sense. */
const firstSightMs = 10_000;
const timeoutMs = 900_000;

/** Why a failover of `name` is not possible (no such machine, or monit), or undefined. */
export function whyNoFailover(name: string): string | undefined {
  const replaceable: string[] = [...replaceableMachines];
  if (replaceable.includes(name)) return undefined;
  if (name === "monit") {
    return "monit is not replaced by recovery, which runs on it, but by its auto scaling group: terminate its instance and the group launches another one";
  }
  return `there is no machine "${name}"; a failover can be of: ${replaceable.join(", ")}`;
}

/** Why nothing can be done now, or undefined: recovery is paused, is stopped, or does not see the machines. */
export async function refusedNow(
  machine: MachineName,
  { reconciler, clock, signal }: FailoverOptions,
): Promise<FailoverResult | undefined> {
  const paused = whyPaused(reconciler.pause.current);
  if (paused) return { ok: false, message: `${machine} is not replaced: ${paused}` };
  const isSeen = await until(clock, firstSightMs, signal, () => reconciler.decisions.length > 0);
  if (signal.aborted) return stopped(machine);
  if (isSeen) return undefined;
  return {
    ok: false,
    message: `recovery does not see the machines: ${reconciler.status()?.sentence ?? "no cycle yet"}`,
  };
}

/** Orders the failover and follows it until the machine is replaced and well, or cannot be. */
export async function failover(
  machine: MachineName,
  why: string,
  options: FailoverOptions,
): Promise<FailoverResult> {
  const { reconciler, engine, say } = options;
  const refused = await refusedNow(machine, options);
  if (refused) return refused;
  const stop = reconciler.journal.listen((about, line) => {
    if (about === machine) say(line);
  });
  try {
    const isOurs = !reconciler.isBeingReplaced(machine);
    if (isOurs) {
      // The budget stops callers that ask again and again, other monitors included. A roll asks once.
      const spent = why === rollReason ? undefined : reconciler.whyBudgetSpent(machine);
      const refusal = spent ?? (await engine.whyProgramDiffers());
      if (refusal) return { ok: false, message: `${machine} is not replaced: ${refusal}` };
      reconciler.order(machine, why);
    }
    const { isStuck, ...result } = await follow(machine, options);
    // Only whoever ordered withdraws: another one may wait for the same machine, for a reason of its own.
    if (isStuck && isOurs) reconciler.withdraw(machine);
    return result;
  } finally {
    stop();
  }
}

/** `isStuck`: it cannot go on without a person. */
type Followed = FailoverResult & { isStuck?: true };

/** Waits until another instance than `failed` is there and well, or that is not possible, or `isMoot` says that it is not needed. */
export async function follow(
  machine: MachineName,
  { reconciler, clock, signal }: FailoverOptions,
  failed = reconciler.failedInstance(machine),
  isMoot: () => boolean = () => false,
): Promise<Followed> {
  const isReplaced = () => reconciler.failedInstance(machine) !== failed && reconciler.isWell(machine);
  let refusal: string | undefined;
  const ended = await until(clock, timeoutMs, signal, () => {
    // A stopping recovery decides nothing any more. Its next run sees whether a person is needed.
    refusal = signal.aborted ? undefined : reconciler.whyStuck(machine);
    return refusal !== undefined || isReplaced() || isMoot();
  });
  if (refusal) return { ok: false, isStuck: true, message: refusal };
  if (ended) return { ok: true, message: `${machine} is replaced and well` };
  if (signal.aborted) return stopped(machine);
  const slow = `${machine} is not replaced yet after ${timeoutMs / 60_000} minutes; recovery goes on: see "barton status"`;
  return { ok: false, interrupted: true, message: slow };
}

/** The result if recovery was stopped in the middle. */
export function stopped(machine: MachineName): FailoverResult {
  const message = `${machine} is not replaced yet: recovery was stopped meanwhile; its next run goes on: see "barton status"`;
  return { ok: false, interrupted: true, message };
}
