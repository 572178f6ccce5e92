/**
 * Rule 3: the most advanced data wins. One comparator, printed with its inputs.
 *
 * The epoch is a number in the data themselves that recovery writes right after each promotion, so it
 * tells which term a copy belongs to even when all memory of the past is lost. Within a term the beat, another
 * such number that grows all the time, tells how far a copy reaches, also after a loss of power, when every
 * process counts its offset from anew. The offset orders copies of the same beat. Where even that tells nothing, the one
 * that was master goes first: whatever its replica had came from it.
 */
import type { RedisMachine } from "../../topology.ts";

/** One copy of a shard's data, as far as its value is concerned. */
export interface Copy {
  machine: RedisMachine;
  /** False while it is loading from disk or receiving a full copy. */
  complete: boolean;
  epoch: number;
  beat: number;
  offset: number;
  /** It is the server that was last known to serve as master. */
  wasMaster: boolean;
}

/** Sorts the most advanced copy first: complete before incomplete, then epoch, beat, offset, the former master, name. */
export function compareCopies(a: Copy, b: Copy): number {
  return (
    Number(b.complete) - Number(a.complete) ||
    b.epoch - a.epoch ||
    b.beat - a.beat ||
    b.offset - a.offset ||
    Number(b.wasMaster) - Number(a.wasMaster) ||
    a.machine.localeCompare(b.machine)
  );
}

/** True when `a` holds data that `b` may lack; equal copies are not better than each other. */
export function isBetterCopy(a: Copy, b: Copy): boolean {
  return compareCopies({ ...a, machine: "redis1" }, { ...b, machine: "redis1" }) < 0;
}

/** The copy as people read it in a sentence. */
export function describeCopy({ machine, complete, epoch, beat, offset }: Copy): string {
  return `${machine} (${complete ? "complete" : "incomplete"}, epoch ${epoch}, beat ${beat}, offset ${offset})`;
}
