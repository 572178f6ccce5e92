/**
 * `barton roll` replaces every outdated machine: one whose image, configuration, type or disk the present program would make
 * differently. It replaces one machine after the other. The masters of a machine are moved first, and its counterpart serves
 * meanwhile.
 *
 * The monitor does each replacement. This code only orders the next one, so it may be interrupted at any point. A second run
 * continues with the machines that are left.
 */

import type { Clock } from "../clock.ts";
import { NoMonitor } from "../control/client.ts";
import { whyPaused } from "../loop/pause.ts";
import { type FailoverResult, whyNoFailover } from "../orders/failover.ts";
import type { Status } from "../report/status.ts";
import {
  type MachineName,
  machineNames,
  type RedisMachine,
  redisMachines,
  type Topology,
} from "../topology.ts";

/** What a roll needs. Both commands end when the machine is in the desired state again. */
export interface RollTools {
  /** What the last `up` built; reads the stack each time. */
  topology(): Promise<Topology | undefined>;
  /** @throws NoMonitor while the monitor is away. */
  status(): Promise<Status>;
  switchover(machine: RedisMachine): Promise<FailoverResult>;
  failover(machine: MachineName): Promise<FailoverResult>;
  clock: Clock;
  /** Called with one line for each event. */
  say: (line: string) => void;
  /** Aborted by Ctrl-C: no further machine is begun. */
  signal: AbortSignal;
}

/** What `barton roll --json` prints. */
export interface RollResult {
  ok: boolean;
  message: string;
  replaced: { machine: MachineName; tookMs: number }[];
  /** Machines that are still to be replaced: not done yet, or not by this command (`why`). */
  left: { machine: MachineName; why?: string }[];
}

/** The machines of a roll, in the order in which they are replaced. */
export interface RollPlan {
  /** Replicas before masters; of the proxies, the one that clients use comes last. */
  replace: MachineName[];
  /** Outdated too, but not replaced by this command; `why` says what replaces them. */
  left: { machine: MachineName; why: string }[];
}

/** A machine boots within minutes. The full copy of its data may take longer. */
const wellMs = 1_800_000;
const lookMs = 500;
/** How often a machine is ordered if the monitor restarts in the middle of its replacement. */
const attemptsMax = 3;

/**
 * Which machines are outdated, and in which order they are replaced.
 *
 * @param only the machines to consider; empty means all.
 * @throws if the stack does not say what a machine was made from.
 */
export function planRoll(topology: Topology, status: Status, only: readonly MachineName[] = []): RollPlan {
  const outdated = machineNames.filter((name) => {
    const { build, wantedBuild } = topology.machines[name];
    if (wantedBuild === undefined && !whyNoFailover(name))
      throw new Error('the last "up" ran a program without "barton roll": run "pulumi up"');
    return wantedBuild !== undefined && build !== wantedBuild && (only.length === 0 || only.includes(name));
  });
  const left = outdated.flatMap((machine) => {
    const why = whyNoFailover(machine);
    return why ? [{ machine, why }] : [];
  });
  const replaceable = outdated.filter((machine) => !whyNoFailover(machine));
  return { replace: replaceable.sort((a, b) => turnOf(a, status) - turnOf(b, status)), left };
}

/** Position in the order: the redis machine with fewer masters, the other one, haproxy2 (the backup), haproxy1, then the rest. */
function turnOf(machine: MachineName, status: Status): number {
  if (isRedis(machine)) return mastersOn(machine, status) / (status.shards.length + 1);
  const turns: Partial<Record<MachineName, number>> = { haproxy2: 1, haproxy1: 2, app: 3 };
  return turns[machine] ?? 4;
}

const isRedis = (machine: MachineName): machine is RedisMachine =>
  redisMachines.some((name) => name === machine);
const mastersOn = (machine: MachineName, { shards }: Status) =>
  shards.filter(({ master }) => master === machine).length;

/** Why nothing may be replaced now, or undefined. */
export function whyNoRoll(status: Status): string | undefined {
  if (status.paused) return whyPaused(status.paused);
  if (!status.healthy) return `not all is well, and a roll begins only then: ${status.sentence}`;
  return undefined;
}

/** Replaces the outdated machines; see the head of this file. Refuses while not all is well or recovery is paused. */
export async function roll(tools: RollTools, only: readonly MachineName[] = []): Promise<RollResult> {
  const replaced: RollResult["replaced"] = [];
  let attempts = 0;
  let status = await tools.status();
  let refusal = whyNoRoll(status);
  let plan = await planAgain(tools, status, only);
  for (;;) {
    const [machine] = plan.replace;
    const left = [...plan.replace.map((name) => ({ machine: name })), ...plan.left];
    const end = (ok: boolean, message: string): RollResult => ({ ok, message, replaced, left });
    if (refusal) return end(false, refusal);
    if (!machine) return end(true, endText(replaced, plan));
    if (tools.signal.aborted) return end(false, `interrupted; "barton roll" goes on with ${machine}`);
    tools.say(`${machine} is replaced; ${plan.replace.length - 1} to follow`);
    const beganMs = tools.clock.now();
    const outcome = await replace(tools, machine, status);
    if (outcome.interrupted) tools.say(outcome.interrupted);
    refusal = outcome.why;
    if (!refusal) ({ status, why: refusal } = await untilWell(tools, status));
    plan = await planAgain(tools, status, only);
    if (!plan.replace.includes(machine)) {
      const tookMs = Math.round(tools.clock.now() - beganMs);
      replaced.push({ machine, tookMs });
      if (!refusal) tools.say(`${machine} is new and well after ${(tookMs / 1000).toFixed(1)} s`);
      attempts = 0;
    } else if (!outcome.interrupted) {
      refusal ??= `${machine} was replaced, but not by what the last "up" made: run "pulumi up" to its end`;
    } else if (++attempts >= attemptsMax) {
      refusal ??= `${machine} is as before after ${attemptsMax} attempts: ${outcome.interrupted}`;
    }
  }
}

async function planAgain(tools: RollTools, status: Status, only: readonly MachineName[]): Promise<RollPlan> {
  const topology = await tools.topology();
  if (!topology) throw new Error("no up has ended yet: there is nothing to replace");
  return planRoll(topology, status, only);
}

/** Result for one machine. Neither field is set if it was replaced. */
interface Replacement {
  /** The machine was not replaced, for this reason. */
  why?: string;
  /** The result is unknown, for this reason: the machine may be replaced, not yet, or not at all. */
  interrupted?: string;
}

/** Replaces one machine, after its masters were moved to the counterpart. */
async function replace(tools: RollTools, machine: MachineName, status: Status): Promise<Replacement> {
  if (isRedis(machine) && mastersOn(machine, status) > 0) {
    const moved = outcomeOf(await unlessAborted(tools, machine, tools.switchover(machine)));
    if (moved.why || moved.interrupted) return moved;
    const { why } = await untilWell(tools, status);
    if (why) return { why };
  }
  return outcomeOf(await unlessAborted(tools, machine, tools.failover(machine)));
}

function outcomeOf({ ok, interrupted, message }: FailoverResult): Replacement {
  if (ok) return {};
  return interrupted ? { interrupted: message } : { why: message };
}

/** Ctrl-C ends the command at once. The monitor finishes what it has begun. */
async function unlessAborted(
  { signal }: RollTools,
  machine: MachineName,
  work: Promise<FailoverResult>,
): Promise<FailoverResult> {
  const message = `interrupted; the monitor finishes ${machine}, and "barton roll" goes on with the rest`;
  const aborted = new Promise<FailoverResult>((resolve) => {
    if (signal.aborted) resolve({ ok: false, message });
    signal.addEventListener("abort", () => resolve({ ok: false, message }), { once: true });
  });
  return Promise.race([work.catch(whileAway), aborted]);
}

/** A missing monitor counts as an interruption: the roll waits until it is back. */
function whileAway(error: Error): FailoverResult {
  if (!(error instanceof NoMonitor)) throw error;
  return { ok: false, interrupted: true, message: error.message };
}

/**
 * Waits for the desired state, also while the monitor is restarted.
 *
 * @returns the last status (`before` if there was none), and why the desired state was not reached.
 */
async function untilWell(tools: RollTools, before: Status): Promise<{ status: Status; why?: string }> {
  const { clock, signal } = tools;
  const deadlineMs = clock.now() + wellMs;
  let status = before;
  for (;;) {
    const seen = await tools.status().catch((error: Error) => error);
    if (!(seen instanceof Error)) status = seen;
    const why = seen instanceof Error ? seen.message : whyNoRoll(seen);
    if (!why) return { status };
    if (signal.aborted) return { status, why: `interrupted: ${why}` };
    if (!(seen instanceof Error) && seen.paused) return { status, why };
    if (clock.now() > deadlineMs) {
      return { status, why: `not well again within ${wellMs / 60_000} minutes: ${why}` };
    }
    await clock.sleep(lookMs, signal);
  }
}

function endText(replaced: RollResult["replaced"], { left }: RollPlan): string {
  const rest = left.map(({ machine, why }) => `${machine} is left: ${why}`);
  const done =
    replaced.length > 0
      ? `replaced: ${replaced.map(({ machine }) => machine).join(", ")}`
      : "nothing to replace: every machine is as the last up would make it";
  return [replaced.length === 0 && left.length > 0 ? "nothing to replace here" : done, ...rest].join("; ");
}
