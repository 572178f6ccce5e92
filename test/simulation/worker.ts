/** A thread that runs the chunks of schedules it is given, one after the other. */
import { parentPort } from "node:worker_threads";
import { runMany } from "./many.ts";
import type { Chunk } from "./parallel.ts";

parentPort?.on("message", async (chunk: Chunk) => parentPort?.postMessage(await runMany(chunk)));
