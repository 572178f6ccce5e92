/** Small files that are replaced atomically, so that a crash leaves the old content or the new one. */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes files in the background, one after the other per path; only the newest content of a path is written. */
export class BackgroundFiles {
  readonly #pending = new Map<string, string>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #onError: (error: Error) => void;

  constructor(onError: (error: Error) => void) {
    this.#onError = onError;
  }

  /** Asks for `value` to be written as JSON; returns at once: a cycle never waits for a disk. */
  write(path: string, value: unknown): void {
    this.#pending.set(path, `${JSON.stringify(value, null, 2)}\n`);
    if (!this.#writing.has(path)) this.#writing.set(path, this.#writeAll(path));
  }

  /** Resolves when everything asked for so far, or for one path, is written (or has failed, which is reported). */
  async settled(path?: string): Promise<void> {
    await (path === undefined ? Promise.all(this.#writing.values()) : this.#writing.get(path));
  }

  async #writeAll(path: string): Promise<void> {
    for (let text = this.#pending.get(path); text !== undefined; text = this.#pending.get(path)) {
      this.#pending.delete(path);
      await replaceFile(path, text).catch((cause: Error) => {
        this.#onError(new Error(`cannot write ${path}: ${cause.message}`, { cause }));
      });
    }
    this.#writing.delete(path);
  }
}

/** Replaces a file atomically; only root may read it. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.part`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

/** The JSON in a file; undefined when there is no such file or it is not JSON. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}
