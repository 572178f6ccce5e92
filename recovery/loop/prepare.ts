/** Reads everything that recovery needs before the first cycle, and makes the reconciler. */
import { join, resolve } from "node:path";
import { type Clock, systemClock } from "../clock.ts";
import { ec2Cloud } from "../cloud/ec2.ts";
import type { Engine } from "../cloud/engine.ts";
import { pulumiEngine } from "../cloud/pulumi.ts";
import { sshRemote } from "../cloud/remote.ts";
import { readIncidents } from "../incidents/journal.ts";
import type { Log } from "../log.ts";
import type { Settings } from "../settings.ts";
import { DiskFiles, readKept, removeLeftovers } from "../storage/files.ts";
import type { Topology } from "../topology.ts";
import { crashPoint } from "./crash-point.ts";
import { keptMemory } from "./kept-memory.ts";
import { ownMonitorId } from "./monitor-id.ts";
import { pauseFile, pauseSchema } from "./pause.ts";
import { Reconciler } from "./reconciler.ts";
import { cachedTopology, topologyFile, withMachines } from "./topology-cache.ts";

export interface Prepared {
  reconciler: Reconciler;
  engine: Engine;
  topology: Topology;
  /** The topology came from this machine's cache: the engine may know a newer one. */
  fromCache: boolean;
}

/**
 * Prepares the reconciler of this machine. Waits until the first `up` has ended if there is no topology
 * yet; undefined when `signal` aborts before that.
 */
export async function prepare(
  settings: Settings,
  log: Log,
  signal: AbortSignal,
): Promise<Prepared | undefined> {
  const clock = systemClock;
  const { stack, projectDir, stateDir } = settings;
  const programDir = resolve(import.meta.dirname, "../..");
  let reconciler: Reconciler | undefined;
  const mayJudgeLocks = () => !reconciler?.isAnotherMonitAlive;
  const engine = pulumiEngine({ stack, projectDir, programDir, log, clock, mayJudgeLocks, signal });
  const files = new DiskFiles({ log });
  const [self, cached] = await Promise.all([ownMonitorId(clock, log), cachedTopology(stateDir, log)]);
  const topology = cached ?? (await firstTopology(engine, log, clock, signal));
  if (!topology) return undefined;
  const incidentsFolder = join(stateDir, "incidents");
  await Promise.all([stateDir, incidentsFolder].map(removeLeftovers));
  const memory = await keptMemory(files, stateDir, clock, log);
  // What the engine says is what the record names; a cached topology has the cloud's own word in it.
  if (!cached) memory.durable.recordedMonit = topology.machines.monit.instanceId;
  reconciler = new Reconciler({
    topology,
    credentials: settings,
    limits: settings.limits,
    cloud: ec2Cloud(stack),
    engine,
    remote: sshRemote(settings.sshKey),
    clock,
    log,
    files,
    stateDir,
    self,
    memory,
    incidents: await readIncidents(files, incidentsFolder, log),
    pause: await readKept(files, pauseFile(stateDir), pauseSchema, log),
    hooks: { afterStep: crashPoint(process.env) },
    onMachines: (machines) => files.write(topologyFile(stateDir), withMachines(topology, machines)),
  });
  files.write(topologyFile(stateDir), topology);
  return { reconciler, engine, topology, fromCache: cached !== undefined };
}

const retryMs = 2_000;

/** The program's outputs appear when the first `up` ends, some moments after it has started the monitor. */
async function firstTopology(
  engine: Engine,
  log: Log,
  clock: Clock,
  signal: AbortSignal,
): Promise<Topology | undefined> {
  let told = "";
  while (!signal.aborted) {
    const found = await engine.topology().catch((error: Error) => error);
    if (found && !(found instanceof Error)) return found;
    const why =
      found instanceof Error ? found.message : "the stack has no outputs yet: the first up is still running";
    if (why !== told) log.info(`waiting for the topology: ${why}`);
    told = why;
    await clock.sleep(retryMs, signal);
  }
  return undefined;
}

/** Do two topologies differ in what a running monitor cannot take in? Instances and addresses it can. */
export function needsRestart(running: Topology, built: Topology): boolean {
  const shape = ({ machines, ...rest }: Topology) => {
    const kept = Object.entries(machines).map(([name, { urn, recordUrn, attachmentUrn }]) => [
      name,
      urn,
      recordUrn,
      attachmentUrn,
    ]);
    return JSON.stringify([rest, kept.sort()]);
  };
  return shape(running) !== shape(built);
}
