/** A failover while no monitor runs. This process runs the same code under the same lock. */
import { systemClock } from "../clock.ts";
import { createLog } from "../log.ts";
import { tryLock } from "../loop/lock.ts";
import { prepare } from "../loop/prepare.ts";
import { type FailoverResult, failover } from "../orders/failover.ts";
import { failoverIfFailed } from "../orders/failover-if-failed.ts";
import { readSettings } from "../settings.ts";
import type { MachineName } from "../topology.ts";

/**
 * Runs the reconciler until the machine is replaced. With `ifFailed`: also until recovery has decided that it has not failed.
 * Ctrl-C may end it at any point; a monitor continues later (rule 6).
 */
export async function failoverAlone(
  machine: string,
  say: (line: string) => void,
  ifFailed: boolean,
): Promise<FailoverResult> {
  const settings = await readSettings();
  const lock = await tryLock(settings.runDir);
  if (!lock)
    return { ok: false, message: "another recovery is at work on this machine: try again in a moment" };
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  lock.lost.addEventListener("abort", () => stop.abort());
  const log = createLog(process.stderr, { BARTON_LOG_LEVEL: "warn" });
  try {
    const prepared = await prepare(settings, log, stop.signal);
    if (!prepared) return { ok: false, message: "interrupted before anything was done" };
    const { reconciler, engine } = prepared;
    const running = reconciler.run(stop.signal);
    const options = { reconciler, engine, clock: systemClock, say, signal: stop.signal };
    const name = machine as MachineName;
    const result = await (ifFailed ? failoverIfFailed(name, options) : failover(name, "by hand", options));
    stop.abort();
    await running;
    return result;
  } finally {
    await lock.release();
  }
}
