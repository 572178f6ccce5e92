/** The journals of all machines, followed from the beginning of a run: those of machines that are replaced, too. */
import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";
import { execCommand } from "../../../lab/exec.ts";
import type { Lab } from "../../../lab/lab.ts";
import { machineNames } from "../../../recovery/topology.ts";
import { keepAlive } from "./kept-alive.ts";

export class Logs {
  readonly #stopping = new AbortController();
  readonly #files: WriteStream[] = [];
  readonly #work: Promise<void>[];

  /** `hide` takes out what no log may hold. */
  constructor(lab: Lab, folder: string, hide: (line: string) => string) {
    this.#work = machineNames.map((machine) => {
      const file = createWriteStream(join(folder, `${machine}.log`), { mode: 0o600 });
      this.#files.push(file);
      return keepAlive(
        {
          lab,
          machine,
          // Of a new machine everything, from its boot on.
          command: (leader, again) =>
            execCommand(
              leader,
              [
                ...["journalctl", "--follow", "--no-pager", "--output=short-iso-precise"],
                again ? "--lines=all" : "--lines=20",
              ],
              false,
            ),
          onLine: (line) => void (this.#stopping.signal.aborted || file.write(`${hide(line)}\n`)),
        },
        this.#stopping.signal,
      );
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#work);
    await Promise.all(this.#files.map((file) => new Promise<void>((resolve) => file.end(resolve))));
  }
}

/** Takes secrets out of a line. */
export function hideIn(secrets: readonly string[]): (line: string) => string {
  return (line) => secrets.reduce((text, secret) => text.replaceAll(secret, "(hidden)"), line);
}
