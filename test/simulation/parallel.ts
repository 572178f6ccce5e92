/** Many schedules on several threads: same seeds, same findings, whoever runs them. */
import { Worker } from "node:worker_threads";
import { emptySummary, type Finding, type Summary } from "./many.ts";

export interface Chunk {
  firstSeed: number;
  schedules: number;
}

export interface ParallelOptions extends Chunk {
  threads: number;
  onProgress?: (summary: Summary) => void;
  onFinding?: (finding: Finding) => void;
  /** No further chunk is begun. */
  signal?: AbortSignal;
}

const chunkSize = 50;

/** Runs the schedules of consecutive seeds; findings come in the order of their seeds. */
export async function runInParallel(options: ParallelOptions): Promise<Summary> {
  const { firstSeed, schedules, threads, onProgress, onFinding, signal } = options;
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
  const add = (part: Summary) => {
    addTo(total, part);
    total.seconds = (performance.now() - startedMs) / 1000;
    for (const finding of part.findings) onFinding?.(finding);
    onProgress?.(total);
  };
  await Promise.all(Array.from({ length: threads }, () => work(take, add)));
  total.findings.sort((a, b) => a.seed - b.seed);
  return total;
}

async function work(take: () => Chunk | undefined, add: (part: Summary) => void): Promise<void> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url));
  try {
    for (let chunk = take(); chunk; chunk = take()) add(await ask(worker, chunk));
  } finally {
    await worker.terminate();
  }
}

function ask(worker: Worker, chunk: Chunk): Promise<Summary> {
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (summary: Summary) => {
      worker.off("error", reject);
      resolve(summary);
    });
    worker.postMessage(chunk);
  });
}

function addTo(total: Summary, part: Summary): void {
  total.findings.push(...part.findings);
  for (const count of ["schedules", "virtualSeconds", "written", "confirmed", "excused"] as const)
    total[count] += part[count];
}
