/** Signals and output that the commands and the monitor share. */

/** Aborts `stop` at the first Ctrl-C, or when systemd stops the process. A second Ctrl-C ends the process at once. */
export function abortOnSignals(stop: AbortController): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
}

/** Writes a line of progress to standard error, because standard output has a result that a machine reads. */
export const sayBeside = (text: string) => void process.stderr.write(`${text}\n`);
