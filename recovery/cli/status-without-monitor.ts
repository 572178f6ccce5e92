/** `barton status` while no monitor runs: this process probes everything itself, once. It changes nothing. */
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import type { Cloud } from "../cloud/cloud.ts";
import { decide } from "../decide/decide.ts";
import { readIncidents } from "../incidents/journal.ts";
import { createLog } from "../log.ts";
import { keptMemory } from "../loop/kept-memory.ts";
import { Pause, pauseFile, pauseSchema } from "../loop/pause.ts";
import { cachedTopology } from "../loop/topology-cache.ts";
import { Board } from "../observe/board.ts";
import { type Status, statusOf } from "../report/status.ts";
import type { Settings } from "../settings.ts";
import { diskReader, readKept } from "../storage/files.ts";

/** Long enough for an answer of every server that is well, in milliseconds. */
const lookMs = 400;

/** The cloud is not asked: only to load its client takes longer than a status may take. */
const silentCloud: Cloud = {
  describe: () => new Promise(() => {}),
  powerOff: async () => {},
};

/** @throws when nothing is cached yet, i.e. the monitor has never run. */
export async function lookDirectly(settings: Settings): Promise<Status> {
  const clock = systemClock;
  const log = createLog(process.stderr);
  const topology = await cachedTopology(settings.stateDir, log);
  if (!topology) throw new Error("the monitor has never run here: see journalctl -u barton-monitor");
  const board = new Board({ topology, credentials: settings, cloud: silentCloud, clock, onLook: () => {} });
  board.start();
  await clock.sleep(lookMs);
  const facts = board.facts();
  board.stop();
  const memory = await keptMemory(diskReader, settings.stateDir, clock, log);
  const incidents = (await readIncidents(diskReader, join(settings.stateDir, "incidents"), log)).slice(-5);
  const pause = new Pause(
    clock,
    () => {},
    await readKept(diskReader, pauseFile(settings.stateDir), pauseSchema, log),
  );
  const outcome = decide(facts, memory, settings.limits);
  const status = statusOf(facts, outcome, { inProgress: false, incidents, paused: pause.current });
  return {
    ...status,
    healthy: false,
    sentence: `the monitor does not run, so nothing would be healed; ${status.sentence}`,
  };
}
