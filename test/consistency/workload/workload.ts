/**
 * The workload as the host sees it: a process of this host inside app's network namespace.
 *
 * So its traffic begins where that of every client on app begins, at app's 127.0.0.1:7001, and takes the same way, while
 * Node, the packages and the history stay on the host: nothing has to be installed on app, the machine under test stays
 * as it is, and the record survives whatever happens to machines. It ends with its standard input, so with whoever
 * started it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { askMachine } from "../../../lab/exec.ts";
import type { Lab } from "../../../lab/lab.ts";
import { runningMachine } from "../../../lab/machines.ts";
import { waitFor } from "../../../lab/operate.ts";
import { type Order, patienceMs, type Tick, type Told, tickMs, type WorkloadSpec } from "./spec.ts";

/** How long the load may take to stop: the last operation may wait for as long as it has patience. */
const stopMsMax = patienceMs + 10_000;
const readBackMsMax = 300_000;
/** How far back ticks are kept: farther than the longest fault lasts. */
const keptMs = 300_000;

/** The clients' credentials, as they stand on app. */
export async function clientCredentials(lab: Lab): Promise<{ username: string; password: string }> {
  const text = (await askMachine(lab, "app", ["cat", "/etc/barton/client.env"], 10_000)) ?? "";
  const value = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(text)?.[1];
  const username = value("BARTON_CLIENT_USER");
  const password = value("BARTON_CLIENT_PASSWORD");
  if (!username || !password)
    throw new Error("/etc/barton/client.env on app holds no credentials of clients");
  return { username, password };
}

/** The port of each shard on app, as its local proxy listens. */
export async function clientPorts(lab: Lab): Promise<{ index: number; port: number }[]> {
  const text = (await askMachine(lab, "app", ["cat", "/etc/haproxy/haproxy.cfg"], 10_000)) ?? "";
  const ports = [...text.matchAll(/^listen shard(\d+)\n\s*bind \S*:(\d+)$/gm)].map(([, index, port]) => ({
    index: Number(index),
    port: Number(port),
  }));
  if (ports.length === 0) throw new Error("app's haproxy.cfg has no shards");
  return ports;
}

/** The command line that enters app's network, as its processes see it. */
export function insideApp(lab: Lab): string[] {
  return ["nsenter", `--target=${runningMachine(lab, "app").leader}`, "--net", "--"];
}

export class Workload {
  readonly #child: ChildProcess;
  readonly #ticks: Tick[] = [];
  readonly #waiting = new Map<Order, { resolve: (operations: number) => void; reject: (e: Error) => void }>();
  #ended: string | undefined;
  #errors = "";

  /** Starts the load at once; `inside`: the command line that enters the network from which it is sent. */
  constructor(inside: readonly string[], spec: WorkloadSpec) {
    const [file = "", ...args] = [...inside, process.execPath, join(import.meta.dirname, "main.ts")];
    // Detached: a Ctrl-C at the terminal is for the run, which then ends the load in order.
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#child.on("error", (error) => this.#fail(`could not be started: ${error.message}`));
    this.#child.on("close", (code, signal) =>
      this.#fail(`ended (${signal ?? code}): ${this.#errors.trim()}`),
    );
    this.#child.stdin?.on("error", () => {}); // its end is told by `close`
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = `${this.#errors}${text}`.slice(-2000);
    });
    if (this.#child.stdout) {
      createInterface({ input: this.#child.stdout }).on("line", (line) =>
        this.#hear(JSON.parse(line) as Told),
      );
    }
    this.#child.stdin?.write(`${JSON.stringify(spec)}\n`);
  }

  #hear(told: Told): void {
    if ("tick" in told) {
      this.#ticks.push(told.tick);
      if (this.#ticks.length > keptMs / tickMs) this.#ticks.shift();
      return;
    }
    if ("trouble" in told) {
      this.#reject(told.trouble);
      return;
    }
    this.#waiting.get(told.done)?.resolve(told.operations);
    this.#waiting.delete(told.done);
  }

  #fail(why: string): void {
    this.#ended ??= `the workload ${why}`;
    this.#reject(this.#ended);
  }

  #reject(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(why));
    this.#waiting.clear();
  }

  /** Why there is no load any more, or undefined while there is. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** The latest ticks, which cover `ms`, oldest first. */
  recent(ms: number): Tick[] {
    const from = (this.#ticks.at(-1)?.at ?? 0) - ms + tickMs / 2;
    return this.#ticks.filter(({ at }) => at > from);
  }

  /** Ends the load; resolves with the number of operations when the last one has its answer. */
  stop(): Promise<number> {
    return this.#order("stop", stopMsMax);
  }

  /** Reads back what there is. */
  async readBack(): Promise<void> {
    await this.#order("read back", readBackMsMax);
  }

  /** Removes what the load wrote. */
  async clean(): Promise<void> {
    await this.#order("clean", readBackMsMax);
  }

  /** Ends the process. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    await waitFor("the workload's end", 10_000, async () => this.#ended).catch(() =>
      this.#child.kill("SIGKILL"),
    );
  }

  #order(order: Order, deadlineMs: number): Promise<number> {
    if (this.#ended !== undefined) return Promise.reject(new Error(this.#ended));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#reject(`the workload did not ${order} within ${deadlineMs} ms`),
        deadlineMs,
      );
      const settle =
        <T>(f: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          f(value);
        };
      this.#waiting.set(order, { resolve: settle(resolve), reject: settle(reject) });
      this.#child.stdin?.write(`${order}\n`);
    });
  }
}
