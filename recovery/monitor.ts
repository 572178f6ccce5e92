/** The service on the monit machine. It watches and heals until it is stopped. */

import { abortOnSignals } from "./cli/terminal.ts";
import { systemClock } from "./clock.ts";
import { serve, stopServing } from "./control/server.ts";
import { createLog } from "./log.ts";
import { waitForLock } from "./loop/lock.ts";
import { needsRestart, type Prepared, prepare } from "./loop/prepare.ts";
import { topologyFile } from "./loop/topology-cache.ts";
import { report } from "./report/start.ts";
import { monitorSocket, readSettings } from "./settings.ts";
import { replaceFile } from "./storage/files.ts";

const log = createLog();
const stop = new AbortController();
abortOnSignals(stop);

/** Runs until a signal; every step may be the last one (rule 6), so nothing is waited for. */
async function main(): Promise<void> {
  const settings = await readSettings();
  const waits = () => log.warn("another recovery is at work on this machine: waiting until it has ended");
  const lock = await waitForLock(settings.runDir, systemClock, waits, stop.signal);
  if (!lock) return;
  lock.lost.addEventListener("abort", () => {
    log.error("recovery's lock is lost, because its child was killed: recovery starts again");
    stop.abort();
  });
  const prepared = await prepare(settings, log, stop.signal);
  if (!prepared) return;
  const { reconciler, engine } = prepared;
  // What nobody awaits must not end the process either: the next cycle decides from what it observes.
  for (const event of ["unhandledRejection", "uncaughtException"] as const)
    process.on(event, (error: unknown) => reconciler.bugs.report("the background", error));
  const options = { reconciler, engine, clock: systemClock, signal: stop.signal };
  const server = await serve(monitorSocket(settings.runDir), options);
  const metrics = await report(reconciler, settings, log, stop.signal);
  log.info({ shards: prepared.topology.shards.length }, "recovery watches");
  if (prepared.fromCache) void restartWhenOutdated(prepared, settings.stateDir);
  await reconciler.run(stop.signal);
  metrics?.closeAllConnections();
  metrics?.close();
  await stopServing(server, systemClock);
  log.info("recovery stops: whatever is under way is continued by the next run");
}

/** Between two comparisons, in milliseconds. An `up` that brings a new program here saves its outputs some time later. */
const comparisonPausesMs = [0, 5_000, 15_000, 60_000, 300_000];

/** The cache made a quick start possible; what the last `up` built is compared beside the first cycles. */
async function restartWhenOutdated({ engine, topology }: Prepared, stateDir: string): Promise<void> {
  for (const pauseMs of comparisonPausesMs) {
    await systemClock.sleep(pauseMs, stop.signal);
    if (stop.signal.aborted) return;
    const built = await engine.topology().catch((error: Error) => {
      log.warn(`the cached topology could not be compared: ${error.message}`);
      return undefined;
    });
    if (!built || !needsRestart(topology, built)) continue;
    log.warn("the last up changed the topology: recovery starts again with it");
    await replaceFile(topologyFile(stateDir), JSON.stringify(built));
    stop.abort();
    return;
  }
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    log.error(`recovery cannot run: ${error.message}`);
    process.exit(1);
  },
);
