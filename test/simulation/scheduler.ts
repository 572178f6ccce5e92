/** Virtual time: what happens next is the earliest thing that is planned, and nothing waits for real. */

/** Something that is planned. One that is called off stays in the heap, without a word to anybody. */
export interface Planned {
  atMs: number;
  order: number;
  run: () => void;
  isCalledOff: boolean;
}

export class Scheduler {
  nowMs = 0;
  /** The wall clock may jump; only budgets and records look at it. */
  wallOffsetMs = 1_700_000_000_000;
  readonly #heap: Planned[] = [];
  #order = 0;
  #isAwaited = false;

  get wallMs(): number {
    return this.wallOffsetMs + this.nowMs;
  }

  /** Plans `run` for `delayMs` from now; of two at the same moment, the one that was planned first. */
  in(delayMs: number, run: () => void): Planned {
    const planned = { atMs: this.nowMs + delayMs, order: this.#order++, run, isCalledOff: false };
    this.#push(planned);
    return planned;
  }

  /** Says that promises were settled, or plans begun, whose reactions must come before the next thing happens. */
  awaited(): void {
    this.#isAwaited = true;
  }

  /** Runs until the moment `endMs`, or until `isDone`. */
  runUntil(endMs: number, isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const goOn = () => {
        try {
          while (!isDone() && this.#next(endMs)) {
            if (!this.#isAwaited) continue;
            this.#isAwaited = false;
            // Node empties the queue of promise reactions, however many follow each other, before it takes the next tick:
            // this reaction is one of them, so the tick comes after all that were settled until now and what they settle.
            queueMicrotask(() => process.nextTick(goOn));
            return;
          }
          if (!isDone()) this.nowMs = endMs;
          resolve();
        } catch (error) {
          reject(error);
        }
      };
      // Whatever was begun before comes first.
      queueMicrotask(() => process.nextTick(goOn));
    });
  }

  /** Lets the next thing happen; false when there is none until `endMs`. */
  #next(endMs: number): boolean {
    const next = this.#heap[0];
    if (!next || next.atMs > endMs) return false;
    this.#pop();
    if (next.isCalledOff) return true;
    this.nowMs = next.atMs;
    next.run();
    return true;
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
