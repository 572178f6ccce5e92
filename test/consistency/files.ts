/** The files of a run's folder, and what is read from them: a run can be judged again at any time. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Incident } from "../../recovery/incidents/record.ts";
import { type FinalLine, finalStates, type Operation, readLines } from "./history.ts";
import type { Evidence, FaultRecord, Observation } from "./record.ts";
import type { RunRecord } from "./report/results.ts";

export const historyFile = "history.jsonl";
export const finalsFile = "finals.jsonl";
export const observationsFile = "observations.jsonl";
export const incidentsFile = "incidents.json";
/** What only the run itself knew: see KeptRun. */
export const runFile = "run.json";

export interface KeptRun {
  run: RunRecord;
  faults: FaultRecord[];
  /** Whether finals.jsonl is complete. */
  wasReadBack: boolean;
}

/** Everything that a run's folder says of it. */
export async function readRun(folder: string): Promise<{ run: RunRecord; evidence: Evidence }> {
  const json = async <T>(file: string) => JSON.parse(await readFile(join(folder, file), "utf8")) as T;
  const { run, faults, wasReadBack } = await json<KeptRun>(runFile);
  // Runs of former versions have none.
  run.notes ??= [];
  run.switches ??= [];
  const evidence = {
    operations: await readLines<Operation>(join(folder, historyFile)),
    finals: wasReadBack ? finalStates(await readLines<FinalLine>(join(folder, finalsFile))) : undefined,
    faults,
    observations: await readLines<Observation>(join(folder, observationsFile)),
    incidents: await json<Incident[]>(incidentsFile),
  };
  return { run, evidence };
}
