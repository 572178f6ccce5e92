/** What the commands and the monitor share towards whoever runs them: Ctrl-C, and progress beside a result. */

/** Aborts when the process is told to stop: by Ctrl-C, or by systemd. A second Ctrl-C ends it at once. */
export function abortOnSignals(stop: AbortController): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
}

/** Says a line of progress beside a result that a machine reads: to standard error. */
export const sayBeside = (text: string) => void process.stderr.write(`${text}\n`);
