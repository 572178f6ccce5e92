/**
 * Reads of the register, which has one writer and only grows. A read is stale when it misses a write that had been
 * answered before the read began; it goes back when it returns less than a read that had ended before it began.
 *
 * Against a confirmed write neither may ever happen. Against a merely acknowledged one both are what the loss of that
 * write looks like: they are counted, and forbidden when only processes died.
 */
import type { Operation } from "../history.ts";
import { type Evidence, faultOf } from "../record.ts";
import { type Checker, grouped } from "./verdict.ts";

/** A read that returned less than it had to. */
interface Miss {
  read: Operation;
  /** The least that it had to return, and why. */
  expected: number;
  because: "confirmed" | "acknowledged" | "read before";
}

/** The greatest value of those (by the moment at which they are known) that were known before `at`. */
class Known {
  readonly #moments: { at: number; value: number }[];

  constructor(moments: { at: number; value: number }[]) {
    let greatest = 0;
    this.#moments = moments
      .sort((a, b) => a.at - b.at)
      .map(({ at, value }) => {
        greatest = Math.max(greatest, value);
        return { at, value: greatest };
      });
  }

  before(at: number): number {
    let low = 0;
    let high = this.#moments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#moments[middle]?.at ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return this.#moments[low - 1]?.value ?? 0;
  }
}

/** All reads of one shard that returned less than they had to; the gravest reason counts. */
export function missesOf(operations: readonly Operation[]): Miss[] {
  const well = operations.filter(({ outcome }) => outcome === "ok");
  const writes = well.filter(({ action }) => action === "write");
  const reads = well.filter(({ action, value }) => action === "read" && value !== undefined);
  const confirmed = new Known(
    writes
      .filter((write) => write.confirmed)
      .map(({ confirmedAt, completedAt, value = 0 }) => ({ at: confirmedAt ?? completedAt, value })),
  );
  const acknowledged = new Known(writes.map(({ completedAt, value = 0 }) => ({ at: completedAt, value })));
  const seen = new Known(reads.map(({ completedAt, value = 0 }) => ({ at: completedAt, value })));
  return reads.flatMap((read): Miss[] => {
    const { invokedAt, value = 0 } = read;
    const reasons = [
      { because: "confirmed" as const, expected: confirmed.before(invokedAt) },
      { because: "acknowledged" as const, expected: acknowledged.before(invokedAt) },
      { because: "read before" as const, expected: seen.before(invokedAt) },
    ];
    const broken = reasons.find(({ expected }) => value < expected);
    return broken === undefined ? [] : [{ read, ...broken }];
  });
}

const told = ({ read, expected, because }: Miss) =>
  `${read.process} read ${read.value} from ${read.server ?? "?"} at ${new Date(read.invokedAt).toISOString()}, ` +
  `after ${expected} was ${because}`;

export const reads: Checker = {
  name: "stale and backward reads",
  check({ operations, faults }: Evidence) {
    const own = operations.filter(({ action }) => action === "read" || action === "write");
    const shards = [...new Set(own.map(({ shard }) => shard))];
    const misses = shards.flatMap((shard) => missesOf(own.filter((each) => each.shard === shard)));
    const forbidden = misses.filter(
      ({ because, read }) =>
        because === "confirmed" || (faultOf(faults, read.invokedAt)?.processCrash ?? true),
    );
    const of = own.filter(({ action, outcome }) => action === "read" && outcome === "ok").length;
    const backward = misses.filter(({ because }) => because === "read before").length;
    return {
      verdict: forbidden.length > 0 ? "fail" : of === 0 ? "unknown" : "pass",
      sentence:
        `${misses.length} of ${grouped(of)} reads stale or backward` +
        (misses.length > 0
          ? `, ${forbidden.length} of them without a lost unconfirmed write as an excuse`
          : ""),
      examples: (forbidden.length > 0 ? forbidden : misses).map(told),
      figures: { reads: of, stale: misses.length - backward, backward, forbidden: forbidden.length },
    };
  },
};
