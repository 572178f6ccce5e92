/**
 * What recovery keeps on disk: small JSON files, each replaced atomically and flushed, so that a crash or a power loss leaves
 * the old content or the new one. The simulation brings a storage of its own.
 */
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { z } from "zod";
import type { Log } from "../log.ts";

/** A file whose newest content is not on disk. */
export interface FailedWrite {
  path: string;
  why: string;
  /** How often it was tried in vain. */
  failures: number;
}

/** What a file holds. A damaged one cannot be read, or is not JSON. */
export type Stored =
  | { state: "absent" }
  | { state: "damaged"; why: string }
  | { state: "whole"; value: unknown };

/** Where recovery keeps what must outlive its process. */
export interface Files {
  /** Asks for `value` to be written as JSON; returns at once: a cycle never waits for a disk. */
  write(path: string, value: unknown): void;
  /** Asks for the file to be removed; returns at once. */
  remove(path: string): void;
  /**
   * Resolves when all that was asked for before, or what was asked for one path, is on disk (true), or cannot be written
   * (false). It does not wait for the next try of a write that failed.
   */
  settled(path?: string): Promise<boolean>;
  /** What is on disk; what was only asked for does not count. */
  read(path: string): Promise<Stored>;
  /** The names of the files in a folder; none when there is no such folder. */
  list(folder: string): Promise<string[]>;
  /** What could not be written and is tried again. */
  readonly failing: FailedWrite[];
}

/** For programs that only look. */
export const diskReader: Pick<Files, "read" | "list"> = { read: readStored, list: listFolder };

/** The value in a file, if it is what `schema` expects; a damaged file is skipped with one warning that names it. */
export async function readKept<T>(
  files: Pick<Files, "read">,
  path: string,
  schema: z.ZodType<T>,
  log: Pick<Log, "warn">,
): Promise<T | undefined> {
  const stored = await files.read(path);
  if (stored.state === "absent") return undefined;
  const parsed = stored.state === "whole" ? schema.safeParse(stored.value) : undefined;
  if (parsed?.success) return parsed.data;
  log.warn(`${path} is damaged and is not used: ${stored.state === "damaged" ? stored.why : why(parsed)}`);
  return undefined;
}

function why(parsed: z.ZodSafeParseResult<unknown> | undefined): string {
  const [issue] = parsed?.error?.issues ?? [];
  return issue ? `${issue.path.join(".") || "content"}: ${issue.message}` : "unexpected content";
}

/** Pauses between two tries of a write that failed, in milliseconds: the first, and the longest. */
const retryMs = { first: 1_000, longest: 60_000 };

/** A write that takes longer shows like a failed one. */
const stallMs = 10_000;

export interface DiskFilesOptions {
  log: Pick<Log, "warn" | "info">;
  /** Only for tests: how a content reaches the disk, and how a retry is waited for. */
  replace?: typeof replaceFile;
  sleep?: (ms: number) => Promise<unknown>;
  /** Monotonic milliseconds. */
  nowMs?: () => number;
}

/** Files on this machine's disk, written in the background; of several contents of one path only the newest is written. */
export class DiskFiles implements Files {
  readonly #options: DiskFilesOptions;
  readonly #unwritten = new Map<string, Writing>();

  constructor(options: DiskFilesOptions) {
    this.#options = options;
  }

  write(path: string, value: unknown): void {
    this.#writing(path).want(`${JSON.stringify(value, null, 2)}\n`);
  }

  remove(path: string): void {
    this.#writing(path).want(undefined);
  }

  async settled(path?: string): Promise<boolean> {
    if (path !== undefined) return (await this.#unwritten.get(path)?.settled()) ?? true;
    const all = await Promise.all([...this.#unwritten.values()].map((writing) => writing.settled()));
    return all.every(Boolean);
  }

  readonly read = readStored;
  readonly list = listFolder;

  get failing(): FailedWrite[] {
    return [...this.#unwritten.values()].flatMap((writing) => writing.failure ?? writing.stall ?? []);
  }

  #writing(path: string): Writing {
    const writing = this.#unwritten.get(path) ?? new Writing(path, this.#options);
    this.#unwritten.set(path, writing);
    writing.onWritten = () => this.#unwritten.delete(path);
    return writing;
  }
}

/** The contents of one path on their way to the disk. */
class Writing {
  readonly #path: string;
  readonly #options: DiskFilesOptions;
  /** Undefined: the file is to be removed. */
  #text: string | undefined;
  #asked = 0;
  #written = 0;
  #attempt: Promise<boolean> | undefined;
  #isWaiting = false;
  #begunMs: number | undefined;
  failure: FailedWrite | undefined;
  onWritten = () => {};

  constructor(path: string, options: DiskFilesOptions) {
    this.#path = path;
    this.#options = options;
  }

  want(text: string | undefined): void {
    this.#text = text;
    this.#asked += 1;
    this.#attempt ??= this.#try();
  }

  /** Is what was asked for before this call on disk? Later contents are not waited for. */
  async settled(): Promise<boolean> {
    const asked = this.#asked;
    while (this.#written < asked) {
      if (!(await this.#attempt)) return false;
    }
    return true;
  }

  /** A write that does not end: the disk hangs. */
  get stall(): FailedWrite | undefined {
    if (this.#begunMs === undefined || this.#nowMs() - this.#begunMs < stallMs) return undefined;
    return { path: this.#path, why: `no end of the write within ${stallMs / 1_000} s`, failures: 0 };
  }

  #nowMs(): number {
    return this.#options.nowMs?.() ?? performance.now();
  }

  async #try(): Promise<boolean> {
    const { replace = replaceFile } = this.#options;
    const asked = this.#asked;
    this.#begunMs = this.#nowMs();
    const isWritten = await replace(this.#path, this.#text).then(
      () => this.#succeeded(asked),
      (error: Error) => this.#failed(error),
    );
    this.#begunMs = undefined;
    this.#attempt = isWritten && this.#asked > asked ? this.#try() : undefined;
    if (isWritten && !this.#attempt) this.onWritten();
    return isWritten;
  }

  #succeeded(asked: number): boolean {
    this.#written = asked;
    if (this.failure) this.#options.log.info(`${this.#path} is written again`);
    this.failure = undefined;
    return true;
  }

  #failed(error: Error): boolean {
    const failures = (this.failure?.failures ?? 0) + 1;
    const isNews = this.failure?.why !== error.message;
    this.failure = { path: this.#path, why: error.message, failures };
    if (isNews) this.#options.log.warn(`cannot write ${this.#path}, which is tried again: ${error.message}`);
    if (!this.#isWaiting) void this.#tryLater(failures);
    return false;
  }

  async #tryLater(failures: number): Promise<void> {
    // A retry must not keep a process alive that has nothing else to do.
    const { sleep = (ms: number) => delay(ms, undefined, { ref: false }) } = this.#options;
    this.#isWaiting = true;
    await sleep(Math.min(retryMs.first * 2 ** (failures - 1), retryMs.longest));
    this.#isWaiting = false;
    if (this.#written < this.#asked) this.#attempt ??= this.#try();
  }
}

/**
 * Replaces a file atomically, and flushes it and its folder; removes it when `text` is undefined. Only root may read it.
 *
 * Not by the package write-file-atomic: it ignores that a disk that becomes full takes a part of the text only, and puts that
 * part in the place of the whole file (test/recovery/storage/files.test.ts has the case).
 *
 * @throws when it cannot; the old content is still there then.
 */
export async function replaceFile(path: string, text: string | undefined): Promise<void> {
  const folder = dirname(path);
  if (text === undefined) {
    await rm(path, { force: true });
    return;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}${temporarySuffix}`;
  try {
    await writeAndFlush(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await flushFolder(folder);
}

const temporarySuffix = ".part";

async function writeAndFlush(path: string, text: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Removes what processes that were killed in the middle of a write have left in a folder. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const left = names.filter((name) => name.endsWith(temporarySuffix));
  await Promise.all(left.map((name) => rm(join(folder, name), { force: true }).catch(() => {})));
}

function listFolder(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function readStored(path: string): Promise<Stored> {
  try {
    return { state: "whole", value: JSON.parse(await readFile(path, "utf8")) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? { state: "absent" } : { state: "damaged", why: message };
  }
}
