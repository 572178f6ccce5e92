/** `barton status --watch`: the status again and again, for a person at a terminal or for a log. */
import { type Clock, systemClock } from "../clock.ts";
import type { Status } from "../report/status.ts";
import { describeStatus } from "./describe-status.ts";
import { abortOnSignals } from "./terminal.ts";

export interface WatchOptions {
  /** A line of JSON for every change, whatever the output is. */
  json?: boolean;
  output: Pick<NodeJS.WriteStream, "write" | "isTTY">;
  /** Ends the watch; Ctrl-C, unless given. */
  signal?: AbortSignal;
  intervalMs?: number;
  clock?: Clock;
}

/** A lag is told in steps of this size where nobody watches a picture. */
const notedLagBytes = 16 * 1024 ** 2;

const escapes = {
  home: "\x1b[H",
  clearLine: "\x1b[K",
  clearBelow: "\x1b[J",
  hide: "\x1b[?25l",
  show: "\x1b[?25h",
};

/**
 * Looks until the signal aborts. At a terminal the picture is drawn over the last one; elsewhere each change is a line with
 * its time, and nothing is said while nothing changes. A look that fails is shown like a status.
 */
export async function watchStatus(look: () => Promise<Status>, options: WatchOptions): Promise<void> {
  const { json, output, intervalMs = 1_000, signal = untilInterrupted(), clock = systemClock } = options;
  const draws = output.isTTY && !json;
  let last = "";
  if (draws) output.write(escapes.hide + escapes.home + escapes.clearBelow);
  try {
    while (!signal.aborted) {
      const status = await look().catch((error: Error) => error);
      const failure = status instanceof Error ? status.message : undefined;
      const text = json
        ? JSON.stringify(failure ? { failure } : status)
        : (failure ?? describeStatus(draws ? (status as Status) : withoutRipples(status as Status)));
      if (draws) output.write(picture(text, clock.date()));
      else if (text !== last) output.write(json ? `${text}\n` : changes(last, text, clock.date()));
      last = text;
      await clock.sleep(intervalMs, signal);
    }
  } finally {
    if (draws) output.write(`${escapes.show}\n`);
  }
}

/** Line by line over the last picture: clearing the screen first would flicker. */
function picture(text: string, at: Date): string {
  const lines = [...text.split("\n"), "", `${at.toISOString()}, Ctrl-C ends`];
  return escapes.home + lines.map((line) => line + escapes.clearLine).join("\n") + escapes.clearBelow;
}

/** Bytes that are on their way to a replica come and go with every look, and are no event in a log. */
function withoutRipples(status: Status): Status {
  const calm = (lagBytes: number | null) => lagBytes && Math.floor(lagBytes / notedLagBytes) * notedLagBytes;
  const shards = status.shards.map((shard) => ({ ...shard, lagBytes: calm(shard.lagBytes) }));
  return { ...status, shards };
}

/** The lines of `after` that were not in `before`, each with the time. */
function changes(before: string, after: string, at: Date): string {
  const known = new Set(before.split("\n"));
  const fresh = after.split("\n").filter((line) => !known.has(line));
  return fresh.map((line) => `${at.toISOString()} ${line}\n`).join("");
}

function untilInterrupted(): AbortSignal {
  const stop = new AbortController();
  abortOnSignals(stop);
  return stop.signal;
}
