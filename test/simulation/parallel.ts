/** Many schedules on several threads: same seeds, same findings, whoever runs them. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { emptySummary, type Finding, type Summary } from "./many.ts";

export interface Chunk {
  firstSeed: number;
  schedules: number;
}

export interface ParallelOptions extends Chunk {
  threads: number;
  onProgress?: (summary: Summary) => void;
  /** Gets the seed before which all have run, and what those have shown, whenever there are more of them. */
  onDone?: (nextSeed: number, summary: Summary) => void;
  onFinding?: (finding: Finding) => void;
  /** No further chunk is begun. */
  signal?: AbortSignal;
  /** Runs the chunks, instead of worker.ts. */
  worker?: URL;
}

const chunkSize = 50;

/**
 * Runs the schedules of consecutive seeds; findings come in the order of their seeds.
 * @throws when a thread crashes; what breaks a single run is a finding.
 */
export async function runInParallel(options: ParallelOptions): Promise<Summary> {
  const { firstSeed, schedules, threads, onProgress, onDone, onFinding, signal } = options;
  const worker = options.worker ?? new URL("./worker.ts", import.meta.url);
  const startedMs = performance.now();
  const total = emptySummary();
  const endSeed = firstSeed + schedules;
  let next = firstSeed;
  const take = (): Chunk | undefined => {
    if (next >= endSeed || signal?.aborted) return undefined;
    const chunk = { firstSeed: next, schedules: Math.min(chunkSize, endSeed - next) };
    next += chunk.schedules;
    return chunk;
  };
  const done = { nextSeed: firstSeed, summary: emptySummary() };
  const parts = new Map<number, Summary>();
  const advance = (chunk: Chunk, summary: Summary) => {
    parts.set(chunk.firstSeed, summary);
    const before = done.nextSeed;
    for (let part = parts.get(before); part; part = parts.get(done.nextSeed)) {
      parts.delete(done.nextSeed);
      done.nextSeed += part.schedules;
      addTo(done.summary, part);
    }
    done.summary.seconds = (performance.now() - startedMs) / 1000;
    if (done.nextSeed > before) onDone?.(done.nextSeed, done.summary);
  };
  const add = (chunk: Chunk, part: Summary) => {
    advance(chunk, part);
    addTo(total, part);
    total.seconds = (performance.now() - startedMs) / 1000;
    for (const finding of part.findings) onFinding?.(finding);
    onProgress?.(total);
  };
  const fail = (error: unknown) => {
    // The other threads end with the chunks that they have.
    next = endSeed;
    throw error;
  };
  await Promise.all(Array.from({ length: threads }, () => work(new Worker(worker), take, add).catch(fail)));
  total.findings.sort((a, b) => a.seed - b.seed);
  return total;
}

async function work(
  worker: Worker,
  take: () => Chunk | undefined,
  add: (chunk: Chunk, part: Summary) => void,
): Promise<void> {
  try {
    for (let chunk = take(); chunk; chunk = take()) add(chunk, await ask(worker, chunk));
  } finally {
    await worker.terminate();
  }
}

async function ask(worker: Worker, chunk: Chunk): Promise<Summary> {
  const answered = new AbortController();
  const { signal } = answered;
  const message = once(worker, "message", { signal });
  const exit = once(worker, "exit", { signal }).then(([code]) => {
    throw new Error(`exit code ${code}`);
  });
  worker.postMessage(chunk);
  try {
    const [summary] = await Promise.race([message, exit]);
    return summary;
  } catch (error) {
    throw new Error(crashOf(chunk, error));
  } finally {
    answered.abort();
  }
}

function crashOf({ firstSeed, schedules }: Chunk, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  const lastSeed = firstSeed + schedules - 1;
  return `a thread crashed while it ran the seeds ${firstSeed} to ${lastSeed}: ${why}`;
}

/** Adds the counts and findings of a part; `seconds` is left alone. */
export function addTo(total: Summary, part: Summary): void {
  total.findings.push(...part.findings);
  for (const count of ["schedules", "virtualSeconds", "written", "confirmed", "excused"] as const)
    total[count] += part[count];
}
