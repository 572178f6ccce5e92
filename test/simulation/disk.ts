/** The disk of one monit in the model: each file is replaced as a whole, some moments after it was asked for. */
import { silentLog } from "../../recovery/log.ts";
import { DiskFiles, type Files, type Stored } from "../../recovery/storage/files.ts";
import type { Life } from "./life.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

const writeMs = [1, 4] as const;

export class Disk {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #contents = new Map<string, string>();
  isFull = false;

  constructor({ scheduler, random }: { scheduler: Scheduler; random: Random }) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  /** The disk as one process uses it; what it has asked for when it dies is not written. */
  files(life: Life): Files {
    const replace = (path: string, text: string | undefined) => this.#replace(life, path, text);
    const files = new DiskFiles({ log: silentLog, replace, sleep: (ms) => life.clock.sleep(ms) });
    return Object.assign(files, {
      read: async (path: string) => this.#read(path),
      list: async (folder: string) => this.#list(folder),
    });
  }

  /** What was on it is lost. */
  clear(): void {
    this.#contents.clear();
  }

  /** Something happens to the content of each file: it is damaged. */
  damage(change: (text: string) => string): void {
    for (const [path, text] of this.#contents) this.#contents.set(path, change(text));
  }

  #replace(life: Life, path: string, text: string | undefined): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#scheduler.in(this.#random.int(...writeMs), () =>
        life.reach(() => {
          if (this.isFull) {
            reject(new Error("ENOSPC: no space left on device"));
            return;
          }
          if (text === undefined) this.#contents.delete(path);
          else this.#contents.set(path, text);
          resolve();
        }),
      ),
    );
  }

  #read(path: string): Stored {
    const text = this.#contents.get(path);
    if (text === undefined) return { state: "absent" };
    try {
      return { state: "whole", value: JSON.parse(text) };
    } catch (error) {
      return { state: "damaged", why: (error as Error).message };
    }
  }

  #list(folder: string): string[] {
    const paths = [...this.#contents.keys()].filter((path) => path.startsWith(`${folder}/`));
    return paths.map((path) => path.slice(folder.length + 1));
  }
}
