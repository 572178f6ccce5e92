/** Ctrl-C and SIGTERM: a run that is told to end heals its faults and writes what there is, whoever tells it. */
import { exitStatusOf } from "./checkers/verdict.ts";

/** Aborts with the first of the signals, after `onFirst`. A second Ctrl-C ends the process at once. */
export function interruption(onFirst: () => void): AbortSignal {
  const interrupted = new AbortController();
  const interrupt = () => {
    if (interrupted.signal.aborted) return;
    onFirst();
    interrupted.abort();
  };
  process.on("SIGINT", () => {
    if (interrupted.signal.aborted) process.exit(exitStatusOf.unknown);
    interrupt();
  });
  // timeout(1) sends it to the process and once more to its group: a second one means nothing.
  process.on("SIGTERM", interrupt);
  return interrupted.signal;
}
