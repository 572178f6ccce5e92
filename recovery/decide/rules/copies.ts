/**
 * Rule 3: the most advanced data wins. One comparator, printed with its inputs.
 *
 * The epoch is a number in the data that recovery writes with each promotion. So it tells how new a copy is even if all memory is
 * lost. Within an epoch the heartbeat ("beat"), another number in the data that grows all the time, tells how far a copy reaches. It
 * does so also after a power failure, when every process counts its offset from the beginning. The offset orders copies of the same
 * heartbeat. If all are equal, the former master goes first, because its replica had everything from it. See docs/decisions/006.
 */
import type { RedisMachine } from "../../topology.ts";

/** One copy of a shard's data, with everything that the comparison needs. */
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

/** The copy as part of a sentence. */
export function describeCopy({ machine, complete, epoch, beat, offset }: Copy): string {
  return `${machine} (${complete ? "complete" : "incomplete"}, epoch ${epoch}, beat ${beat}, offset ${offset})`;
}
