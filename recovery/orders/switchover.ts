/** `barton switchover MACHINE|SHARD`: a person moves masters to the counterpart, without error and without loss. */
import { whyNoSwitchover } from "../decide/rules/switchover.ts";
import { soleMaster } from "../decide/view/mastership.ts";
import { otherOf, type ShardView } from "../decide/view/view.ts";
import { list } from "../decide/view/words.ts";
import { whyPaused } from "../loop/pause.ts";
import type { Reconciler } from "../loop/reconciler.ts";
import { until } from "../loop/until.ts";
import { type RedisMachine, redisMachines } from "../topology.ts";
import type { FailoverOptions, FailoverResult } from "./failover.ts";

export type SwitchoverOptions = Pick<FailoverOptions, "reconciler" | "clock" | "say" | "signal">;

/** The planned switch of one shard. */
export interface Move {
  shard: number;
  from: RedisMachine;
  to: RedisMachine;
}

const firstSightMs = 10_000;
/** Limit for the steps of one shard, in milliseconds. They take a fraction of a second. */
const moveMs = 20_000;
/** Limit for the old master to become a replica in sync, perhaps by a full copy, in milliseconds. */
const syncMs = 120_000;

/** Orders the switches, all shards side by side, and follows them to their end. */
export async function switchover(target: string, options: SwitchoverOptions): Promise<FailoverResult> {
  const { reconciler, clock, signal, say } = options;
  const refuse = (why: string) => ({ ok: false, message: `nothing was switched: ${why}` });
  const paused = whyPaused(reconciler.pause.current);
  if (paused) return refuse(paused);
  const isSeen = await until(clock, firstSightMs, signal, () => reconciler.decisions.length > 0);
  if (signal.aborted) {
    return { ...refuse("the monitor is being restarted: order it again when it is back"), interrupted: true };
  }
  if (!isSeen) {
    return refuse(reconciler.status()?.sentence ?? "recovery has not seen the machines yet");
  }
  const moves = movesFor(target, reconciler.shards);
  if (typeof moves === "string") return refuse(moves);
  if (moves.length === 0) return { ok: true, message: `${target} is master of no shard: nothing to switch` };
  const results = await Promise.all(
    moves.map(async (move) => {
      const result = await follow(move, options);
      say(result.message);
      return result;
    }),
  );
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length > 0) {
    const interrupted = failed.every((result) => result.interrupted) || undefined;
    return { ok: false, interrupted, message: failed.map(({ message }) => message).join("; ") };
  }
  return { ok: true, message: `${shardsText(moves)} switched` };
}

/**
 * The moves that the target asks for: all shards whose master is on that machine, or one shard by its index.
 * A text says why they are not possible now. Either all moves are possible, or none begins.
 */
export function movesFor(target: string, shards: ShardView[]): Move[] | string {
  const wanted = redisMachines.some((machine) => machine === target)
    ? shards.filter((view) => view.servers[target as RedisMachine].info?.role === "master")
    : shards.filter(({ shard }) => String(shard.index) === target);
  if (wanted.length === 0 && !redisMachines.some((machine) => machine === target)) {
    const indices = shards.map(({ shard }) => shard.index);
    return `there is no shard "${target}"; it can be ${redisMachines.join(", ")}, or a shard: ${indices.join(", ")}`;
  }
  const reasons = wanted.flatMap((view) => whyNoSwitchover(view) ?? []);
  if (reasons.length > 0) return [...new Set(reasons)].join("; ");
  return wanted.flatMap((view) => {
    const master = soleMaster(view);
    if (!master) return [];
    return { shard: view.shard.index, from: master.machine, to: otherOf(view, master).machine };
  });
}

async function follow(move: Move, { reconciler, clock, signal }: SwitchoverOptions): Promise<FailoverResult> {
  const { shard, from, to } = move;
  let trouble: string | undefined;
  reconciler.orderSwitch(shard, to);
  try {
    const isOver = () => {
      if (isMoved(reconciler, move)) return true;
      // A stopping monitor begins no further step. What it sees then is no reason against the switch.
      trouble = signal.aborted ? undefined : whyStuck(reconciler, move);
      return trouble !== undefined;
    };
    const ended = await until(clock, moveMs, signal, isOver);
    if (!ended && signal.aborted) return { ok: false, interrupted: true, message: stoppedText(move) };
    if (!ended) trouble ??= `it did not happen within ${moveMs / 1000} s; see "barton status"`;
  } finally {
    reconciler.forgetSwitch(shard);
  }
  if (trouble) return { ok: false, message: `shard ${shard} stays with ${from}: ${trouble}` };
  const isSynced = () => viewOf(reconciler, shard)?.servers[from].synced === true;
  if (await until(clock, syncMs, signal, isSynced)) {
    return { ok: true, message: `shard ${shard}: ${to} is master, ${from} has a copy` };
  }
  return { ok: true, message: `shard ${shard}: ${to} is master, ${from} is still receiving its copy` };
}

/** The order is forgotten. The next run continues from what it observes. */
const stoppedText = ({ shard, from }: Move) =>
  `shard ${shard}: the monitor was stopped in the middle of the switch; "barton status" says who is master when it is back, ` +
  `and if that is ${from}, order it again`;

const viewOf = (reconciler: Reconciler, shard: number) =>
  reconciler.shards.find((view) => view.shard.index === shard);

function isMoved(reconciler: Reconciler, { shard, to }: Move): boolean {
  const view = viewOf(reconciler, shard);
  return !reconciler.isActingOn(shard) && view !== undefined && soleMaster(view)?.machine === to;
}

function whyStuck(reconciler: Reconciler, { shard }: Move): string | undefined {
  const view = viewOf(reconciler, shard);
  if (reconciler.isActingOn(shard) || !view) return undefined;
  return whyPaused(reconciler.pause.current) ?? reconciler.troubleOf(shard) ?? whyNoSwitchover(view);
}

function shardsText(moves: Move[]): string {
  return `shard${moves.length > 1 ? "s" : ""} ${list(moves.map(({ shard }) => shard))}`;
}
