/** The open incidents and their records. Each incident has one file, which survives a restart of the monitor. */
import { join } from "node:path";
import { type Clock, wallTimeOf } from "../clock.ts";
import type { Situation } from "../decide/policy/tables.ts";
import type { Log } from "../log.ts";
import type { Bugs } from "../report/bugs.ts";
import { type Files, readKept } from "../storage/files.ts";
import {
  endStep,
  type Incident,
  type IncidentStep,
  incidentId,
  incidentSchema,
  interrupted,
} from "./record.ts";

export interface JournalOptions {
  folder: string;
  files: Pick<Files, "write" | "remove" | "list">;
  clock: Clock;
  log: Log;
  /** Where listeners' exceptions are reported; a step must not fail by them. */
  bugs: Pick<Bugs, "guard">;
}

/** Something that was recorded. Steps are told also when no incident is open; `kind` is the step without its operands. */
export type JournalEvent =
  | { event: "start" | "end"; incident: Incident }
  | { event: "step"; kind: string; outcome: string; tookMs: number };

/** A step that fails again and again changes its incident's file no more often than this. */
const repeatMs = 30_000;
/** No more incidents than these are kept; the oldest closed ones are removed. */
export const incidentsMax = 500;

interface Open {
  incident: Incident;
  noticedMs?: number;
  writtenMs?: number;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #open = new Map<string, Open>();
  readonly #watchers = new Set<(event: JournalEvent) => void>();
  readonly #listeners = new Set<(machine: string, line: string) => void>();

  constructor(options: JournalOptions, reopened: Incident[] = []) {
    this.#options = options;
    for (const incident of reopened) this.#open.set(incident.machine, { incident: interrupted(incident) });
    this.#removeOldest();
  }

  /** Machines with an open incident. */
  get openMachines(): string[] {
    return [...this.#open.keys()];
  }

  get openIncidents(): Incident[] {
    return [...this.#open.values()].map(({ incident }) => incident);
  }

  /** Opens an incident for the machine unless one is open. `sinceMs`: the first sign, monotonic. */
  open(
    machine: string,
    because: string,
    sinceMs: number | undefined,
    situation?: Situation,
    operator?: string,
  ): void {
    if (this.#open.has(machine)) return;
    const { clock, log } = this.#options;
    const noticedAt = clock.date().toISOString();
    const incident: Incident = {
      id: incidentId(noticedAt, machine),
      machine,
      because,
      situation,
      operator,
      firstSignAt: sinceMs === undefined ? undefined : wallTimeOf(clock, sinceMs),
      noticedAt,
      steps: [],
    };
    this.#open.set(machine, { incident, noticedMs: clock.now() });
    log.warn({ incident: incident.id }, `incident: ${because}`);
    this.#changed(machine, because);
    this.#tell({ event: "start", incident });
  }

  /** Records the start of a step; the returned function records its end. Nothing is recorded without an open incident. */
  step(machine: string | undefined, step: string, kind = step): (outcome: string) => void {
    const { clock, log } = this.#options;
    const startedMs = clock.now();
    const entry = { step, startedAt: clock.date().toISOString() } as IncidentStep;
    const incident = machine === undefined ? undefined : this.#open.get(machine)?.incident;
    incident?.steps.push(entry);
    return (outcome) => {
      entry.tookMs = Math.round((clock.now() - startedMs) * 10) / 10;
      entry.endedAt = clock.date().toISOString();
      const isRepeat = incident !== undefined && endStep(incident, entry, outcome).isRepeat;
      const fields = { incident: incident?.id, tookMs: entry.tookMs };
      this.#tell({ event: "step", kind, outcome, tookMs: entry.tookMs });
      if (outcome === "done") log.info(fields, step);
      else log.warn({ ...fields, outcome }, step);
      if (incident && machine)
        this.#changed(machine, `${step}: ${outcome} (${Math.round(entry.tookMs)} ms)`, isRepeat);
    };
  }

  /** Ends the machine's incident: the desired state is reached again. */
  close(machine: string): void {
    const entry = this.#open.get(machine);
    if (!entry) return;
    const { clock, log } = this.#options;
    const { incident, noticedMs } = entry;
    incident.endedAt = clock.date().toISOString();
    if (noticedMs !== undefined) incident.tookMs = Math.round(clock.now() - noticedMs);
    log.info({ incident: incident.id, tookMs: incident.tookMs }, `incident over: ${machine} is well again`);
    this.#changed(machine, `${machine} is well again`);
    this.#open.delete(machine);
    this.#removeOldest();
    this.#tell({ event: "end", incident });
  }

  /** Calls `listener` with a line for everything that is recorded; the returned function ends that. */
  listen(listener: (machine: string, line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `watcher` with every event, for metrics and notifications. */
  watch(watcher: (event: JournalEvent) => void): void {
    this.#watchers.add(watcher);
  }

  #tell(event: JournalEvent): void {
    for (const watcher of this.#watchers) this.#options.bugs.guard("reporting", () => watcher(event));
  }

  #changed(machine: string, line: string, isRepeat = false): void {
    const entry = this.#open.get(machine);
    const { clock, files, folder } = this.#options;
    const isWritten = isRepeat && clock.now() - (entry?.writtenMs ?? Number.NEGATIVE_INFINITY) < repeatMs;
    if (entry && !isWritten) {
      entry.writtenMs = clock.now();
      files.write(join(folder, `${entry.incident.id}.json`), entry.incident);
    }
    for (const listener of this.#listeners)
      this.#options.bugs.guard("answering an order", () => listener(machine, line));
  }

  /** A file's name begins with its time, so that the names' order is the files' age. */
  #removeOldest(): void {
    const { files, folder } = this.#options;
    void files.list(folder).then((names) => {
      const open = new Set(this.openIncidents.map(({ id }) => `${id}.json`));
      const closed = names.filter((name) => name.endsWith(".json") && !open.has(name)).sort();
      const surplus = closed.length + open.size - incidentsMax;
      for (const name of closed.slice(0, Math.max(surplus, 0))) files.remove(join(folder, name));
    });
  }
}

/** All recorded incidents, oldest first; damaged files are skipped, with one warning for each. */
export async function readIncidents(
  files: Pick<Files, "read" | "list">,
  folder: string,
  log: Pick<Log, "warn">,
): Promise<Incident[]> {
  const names = (await files.list(folder)).filter((name) => name.endsWith(".json"));
  const contents = await Promise.all(
    names.map((name) => readKept(files, join(folder, name), incidentSchema, log)),
  );
  return contents
    .flatMap((incident) => incident ?? [])
    .sort((a, b) => a.noticedAt.localeCompare(b.noticedAt));
}
