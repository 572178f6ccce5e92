/**
 * `barton roll`: every machine that the program would make otherwise by now (image, configuration, type, disk) is replaced,
 * one after the other, in the planned way: its masters are moved first, its counterpart serves meanwhile.
 *
 * The monitor does each replacement; this only orders the next one. So whatever ends it, nothing is left half done, and a
 * second run goes on with the machines that are left.
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

/** The commands and looks that a roll is made of. Both commands end when the machine is in the desired state again. */
export interface RollTools {
  /** What the last `up` built, read anew. */
  topology(): Promise<Topology | undefined>;
  /** @throws NoMonitor while the monitor is away. */
  status(): Promise<Status>;
  switchover(machine: RedisMachine): Promise<FailoverResult>;
  failover(machine: MachineName): Promise<FailoverResult>;
  clock: Clock;
  /** Gets a line for everything that happens. */
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

/** What is to be done, in the order in which it is done. */
export interface RollPlan {
  /** Replicas before masters, and the proxy that clients use last of the pair. */
  replace: MachineName[];
  /** To be replaced too, but not by this command. */
  left: { machine: MachineName; why: string }[];
}

/** A machine boots within minutes, a copy of its data may take longer. */
const wellMs = 1_800_000;
const lookMs = 500;
/** How often a machine is ordered when the monitor itself is restarted in the middle of it. */
const attemptsMax = 3;

/**
 * @param only the machines that are asked for; empty for all.
 * @throws with a sentence when there is no telling what a machine was made from.
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

/** Redis machines first, the one with fewer masters before the other; haproxy1 after its backup; then the rest. */
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

/** Replaces what is to be replaced; see the file's head. Refuses while not all is well. */
export async function roll(tools: RollTools, only: readonly MachineName[] = []): Promise<RollResult> {
  const replaced: RollResult["replaced"] = [];
  let attempts = 0;
  let status = await tools.status();
  let refusal = whyNoRoll(status);
  let plan = await planAnew(tools, status, only);
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
    plan = await planAnew(tools, status, only);
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

async function planAnew(tools: RollTools, status: Status, only: readonly MachineName[]): Promise<RollPlan> {
  const topology = await tools.topology();
  if (!topology) throw new Error("no up has ended yet: there is nothing to replace");
  return planRoll(topology, status, only);
}

/** How it went with a machine; neither is set when it was replaced. */
interface Replacement {
  /** It was not. */
  why?: string;
  /** It may be, or not yet, or not at all: how the monitor's work on it ended nobody has seen, and why. */
  interrupted?: string;
}

/** One machine, masters moved away first. */
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

/** Ctrl-C ends the command at once; what the monitor has begun it finishes. */
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

/** A monitor that is away just now is waited for, like one that ends in the middle. */
function whileAway(error: Error): FailoverResult {
  if (!(error instanceof NoMonitor)) throw error;
  return { ok: false, interrupted: true, message: error.message };
}

/**
 * Waits for the desired state, also while the monitor is restarted.
 *
 * @returns the last status that was seen (`before`, if none was), and why the desired state did not come.
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
