/** Virtual time: what happens next is the earliest thing that is planned, and nothing waits for real. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../recovery/clock.ts";

interface Planned {
  atMs: number;
  order: number;
  run: () => void;
}

export class Scheduler {
  nowMs = 0;
  /** The wall clock may jump; only budgets and records look at it. */
  wallOffsetMs = 1_700_000_000_000;
  readonly #heap: Planned[] = [];
  #order = 0;
  #isAwaited = false;

  /** The clock that recovery is given. */
  readonly clock: Clock = {
    now: () => this.nowMs,
    date: () => new Date(this.wallMs),
    sleep: (ms) => new Promise((resolve) => this.resolveIn(ms, resolve)),
  };

  get wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  /** Plans `run` for `delayMs` from now; of two at the same moment, the one that was planned first. */
  in(delayMs: number, run: () => void): void {
    this.#push({ atMs: this.nowMs + delayMs, order: this.#order++, run });
  }

  /** As above, when promises wait for it: their reactions are carried out before the next thing happens. */
  resolveIn(delayMs: number, resolve: () => void): void {
    this.in(delayMs, () => {
      this.awaited();
      resolve();
    });
  }

  /** Says that promises were settled, or plans begun, whose reactions must come first. */
  awaited(): void {
    this.#isAwaited = true;
  }

  /** Runs until the moment `endMs`, or until `isDone`. */
  async runUntil(endMs: number, isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      const next = this.#heap[0];
      if (!next || next.atMs > endMs) break;
      this.#pop();
      this.nowMs = next.atMs;
      next.run();
      if (!this.#isAwaited) continue;
      this.#isAwaited = false;
      await nextTurn();
    }
    if (!isDone()) this.nowMs = endMs;
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.push(planned) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent] as Planned, planned)) break;
      heap[at] = heap[parent] as Planned;
      at = parent;
    }
    heap[at] = planned;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      const right = heap[child + 1];
      if (right && isBefore(right, heap[child] as Planned)) child += 1;
      if (isBefore(last, heap[child] as Planned)) break;
      heap[at] = heap[child] as Planned;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
