/**
 * Measures what clients feel during a rehearsal: bare PINGs through the proxies, a new connection for each, on every shard. A
 * living redis answers them without a login (`-NOAUTH`), so a probe needs no password and touches no data. While traffic waits
 * at a proxy, the probe waits like a client.
 */
import { connect } from "node:net";
import type { Clock } from "../clock.ts";

/** One path of client traffic: a port of a proxy. */
export interface Path {
  /** Name for people, for example `haproxy1:8001`. */
  name: string;
  address: string;
  port: number;
}

export interface ProbeAccount {
  probes: number;
  /** Probes whose connection was refused, cut or timed out, those under way at the broken server included. */
  errors: number;
  longestWaitMs: number;
  /** The path of the longest wait. */
  slowestPath: string;
}

const pauseMs = 50;
/** A waiting connection is an error only after this time, in milliseconds. */
const giveUpMs = 60_000;

export class Probe {
  readonly #paths: Path[];
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  readonly #account: ProbeAccount = { probes: 0, errors: 0, longestWaitMs: 0, slowestPath: "" };
  readonly #answered = new Set<string>();
  #loops: Promise<void>[] = [];

  constructor(paths: Path[], clock: Clock) {
    this.#paths = paths;
    this.#clock = clock;
  }

  /** Begins, and resolves when every path has answered once. @throws after `deadlineMs`, with the silent paths. */
  async begin(deadlineMs = 5_000): Promise<void> {
    this.#loops = this.#paths.map((path) => this.#loop(path));
    const untilMs = this.#clock.now() + deadlineMs;
    while (this.#answered.size < this.#paths.length) {
      if (this.#clock.now() > untilMs) {
        const silent = this.#paths.filter(({ name }) => !this.#answered.has(name));
        await this.end();
        throw new Error(
          `a probe gets no answer through ${silent.map(({ name }) => name).join(", ")}: without traffic a rehearsal proves nothing`,
        );
      }
      await this.#clock.sleep(pauseMs);
    }
    Object.assign(this.#account, { probes: 0, errors: 0, longestWaitMs: 0, slowestPath: "" });
  }

  /** Ends all probes. Those under way count with the time that they have waited so far. */
  async end(): Promise<ProbeAccount> {
    this.#stop.abort();
    await Promise.all(this.#loops);
    return { ...this.#account };
  }

  async #loop(path: Path): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const beganMs = this.#clock.now();
      // A client whose connection fails tries again. Its wait lasts until an answer.
      for (let answered = false; !answered && !signal.aborted; ) {
        this.#account.probes += 1;
        const outcome = await ping(path, signal);
        answered = outcome === "answered";
        if (outcome === "failed") {
          this.#account.errors += 1;
          await this.#clock.sleep(pauseMs, signal);
        }
      }
      this.#note(path, this.#clock.now() - beganMs);
      await this.#clock.sleep(pauseMs, signal);
    }
  }

  #note({ name }: Path, waitedMs: number): void {
    if (!this.#stop.signal.aborted) this.#answered.add(name);
    if (waitedMs <= this.#account.longestWaitMs) return;
    Object.assign(this.#account, { longestWaitMs: Math.round(waitedMs), slowestPath: name });
  }
}

function ping({ address, port }: Path, signal: AbortSignal): Promise<"answered" | "failed" | "stopped"> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (outcome: "answered" | "failed" | "stopped") => {
      signal.removeEventListener("abort", stop);
      socket.destroy();
      resolve(outcome);
    };
    const stop = () => end("stopped");
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) return stop();
    socket.setTimeout(giveUpMs, () => end("failed"));
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", () => end("answered"));
    socket.once("error", () => end("failed"));
    socket.once("close", () => end("failed"));
  });
}
