/** `barton status --watch`: shows the status every second, at a terminal or in a log. */
import { type Clock, systemClock } from "../clock.ts";
import type { Status } from "../report/status.ts";
import { describeStatus } from "./describe-status.ts";
import { abortOnSignals } from "./terminal.ts";

export interface WatchOptions {
  /** Writes a line of JSON for every change, also at a terminal. */
  json?: boolean;
  output: Pick<NodeJS.WriteStream, "write" | "isTTY">;
  /** Ends the watch. Default: Ctrl-C. */
  signal?: AbortSignal;
  intervalMs?: number;
  clock?: Clock;
}

/** In a log, a lag is rounded down to a multiple of this. */
const notedLagBytes = 16 * 1024 ** 2;

const escapes = {
  home: "\x1b[H",
  clearLine: "\x1b[K",
  clearBelow: "\x1b[J",
  hide: "\x1b[?25l",
  show: "\x1b[?25h",
};

/**
 * Shows the status until the signal aborts. At a terminal each picture is drawn over the last one. Elsewhere each change is a
 * line with its time, and nothing is written while nothing changes. An error is shown like a status.
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

/** Draws line by line over the last picture. Clearing the screen first would flicker. */
function picture(text: string, at: Date): string {
  const lines = [...text.split("\n"), "", `${at.toISOString()}, Ctrl-C ends`];
  return escapes.home + lines.map((line) => line + escapes.clearLine).join("\n") + escapes.clearBelow;
}

/** Rounds the lag: bytes on their way to a replica change with every look and would fill a log. */
function withoutRipples(status: Status): Status {
  const calm = (lagBytes: number | null) => lagBytes && Math.floor(lagBytes / notedLagBytes) * notedLagBytes;
  const shards = status.shards.map((shard) => ({ ...shard, lagBytes: calm(shard.lagBytes) }));
  return { ...status, shards };
}

/** The lines of `after` that are not in `before`, each with the time. */
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
