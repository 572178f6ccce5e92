/**
 * `failover --if-failed MACHINE`, for other monitors. Such a monitor probes from one place, monit, and that is no verdict. So
 * nothing is ordered here. Recovery uses all its vantage points and does what it would do by itself. This code reports what
 * that is, and follows it to its end.
 */

import { until } from "../loop/until.ts";
import type { MachineName } from "../topology.ts";
import { type FailoverOptions, type FailoverResult, follow, refusedNow, stopped } from "./failover.ts";

/** Longer than the longest patience before a verdict (`bootMs`, for a machine that may be booting), in milliseconds. */
const mindMs = 300_000;
/** Recovery's facts may be older than the failure. Every watcher probes at least once in this time (milliseconds). */
const freshMs = 1_000;

/** Follows the replacement of a machine that recovery takes for failed as well. Refuses for any other machine. */
export async function failoverIfFailed(
  machine: MachineName,
  options: FailoverOptions,
): Promise<FailoverResult> {
  const { reconciler, clock, say, signal } = options;
  const refused = await refusedNow(machine, options);
  if (refused) return refused;
  const stop = reconciler.journal.listen((about, line) => {
    if (about === machine) say(line);
  });
  try {
    const failed = reconciler.failedInstance(machine);
    const isSame = () => reconciler.failedInstance(machine) === failed;
    await clock.sleep(freshMs, signal);
    await until(clock, mindMs, signal, () => !isSame() || reconciler.opinionOf(machine) !== "open");
    if (signal.aborted) return stopped(machine);
    if (isSame() && reconciler.opinionOf(machine) !== "failed") return notFailed(machine, options);
    // Its process may come back just before the machine is condemned.
    const isSoundAgain = () => isSame() && reconciler.opinionOf(machine) === "sound";
    const { isStuck: _, ...result } = await follow(machine, options, failed, isSoundAgain);
    return isSoundAgain() && !signal.aborted ? notFailed(machine, options) : result;
  } finally {
    stop();
  }
}

function notFailed(machine: MachineName, { reconciler }: FailoverOptions): FailoverResult {
  const own = reconciler.decisions.find(({ subject }) => subject === machine);
  if (!own) {
    return {
      ok: false,
      message: `${machine} is not replaced: recovery does not see the machines: ${reconciler.status()?.sentence ?? "no cycle yet"}`,
    };
  }
  return {
    ok: false,
    notFailed: true,
    message: `${machine} is not replaced: recovery has no verdict that it failed (${own.because})`,
  };
}
