/**
 * Probes one party (a redis server, a proxy, app) from monit, in a loop of its own. So a silent machine delays no other
 * probe, and no cycle waits for it.
 *
 * A probe asks over the persistent connection. If no answer comes, a bare TCP connection attempt tells the kind of silence. The
 * question stays open meanwhile, so a stalled server that wakes up is heard at once.
 */
import { type Clock, within } from "../clock.ts";
import type { Detection } from "../topology.ts";
import type { Look } from "./facts.ts";
import type { Knock } from "./knock.ts";
import { count, doubted, freshTally, lookOf, type Outcome, type Tally } from "./tally.ts";

/** The party that is probed. */
export interface Watched<T> {
  /** Asks over the persistent connection, making it if needed; rejects when the connection fails. */
  ask(): Promise<T>;
  knock(): Promise<Knock>;
  drop(): void;
  /** Drops the connection for good: every later question fails. */
  close(): void;
}

export interface WatcherOptions<T> {
  watched: Watched<T>;
  clock: Clock;
  detection: Detection;
  /** Milliseconds until the next probe of a party that answers. */
  paceMs: () => number;
  /** Called after each probe. */
  onLook: () => void;
}

type Asked = "answered" | "broken";

/** A party that has been down this long (milliseconds) is probed less often. */
const longDownMs = 5_000;
/** A probe takes up to two connect timeouts. One that took longer than this many was held up by this process itself. */
const probesMax = 3;

export class Watcher<T> {
  readonly #options: WatcherOptions<T>;
  readonly #stop = new AbortController();
  #tally: Tally = freshTally;
  #asking: Promise<Asked> | undefined;
  #connected = false;
  /** When the last answer in time came, and when failures were last forgiven: a probe that began before proves nothing against it. */
  #answeredMs = Number.NEGATIVE_INFINITY;
  #forgivenMs = Number.NEGATIVE_INFINITY;
  /** The latest answer, and when its question was asked. */
  latest: { value: T; askedMs: number } | undefined;

  constructor(options: WatcherOptions<T>) {
    this.#options = options;
  }

  /** Begins to probe, until `stop`. */
  start(): void {
    void this.#loop();
  }

  /** Ends the loop and drops the connection. */
  stop(): void {
    this.#stop.abort();
    this.#options.watched.close();
  }

  /** How monit sees the party now. */
  get look(): Look {
    return lookOf(this.#tally, this.#options.detection.failures);
  }

  /** Forgets failures in a row. Recovery itself was not running for a while, so they prove nothing. */
  forgive(): void {
    const nowMs = this.#options.clock.now();
    this.#forgivenMs = nowMs;
    if (this.#tally.failures > 0) this.#tally = doubted(this.#tally, nowMs);
  }

  /** Probes again now (rule 7). Resolves after `timeoutMs` at the latest; the loop continues by itself. */
  async refresh(timeoutMs: number): Promise<void> {
    // Only a party that fails probes is not waited for. A connection that broke a moment ago is simply made again.
    if (!this.#connected && (this.#tally.failures > 0 || !this.latest)) return;
    // The question under way may be older than the lock, so another one follows it.
    const again = (this.#asking ?? Promise.resolve()).then(() => this.#ask());
    await within(this.#options.clock, timeoutMs, again, undefined);
  }

  async #loop(): Promise<void> {
    const { clock, onLook } = this.#options;
    while (!this.#stop.signal.aborted) {
      const startedMs = clock.now();
      const outcome = await this.#look();
      if (this.#stop.signal.aborted) return;
      if (outcome === "ok" || this.#proves(startedMs)) this.#tally = count(this.#tally, outcome, startedMs);
      onLook();
      await clock.sleep(this.#pauseMs(), this.#stop.signal);
    }
  }

  /**
   * Does a failed probe that began at `startedMs` prove anything? Not if an answer came meanwhile, nor if this process itself
   * stood still: then its time ran out before the answer could be read.
   */
  #proves(startedMs: number): boolean {
    const { clock, detection } = this.#options;
    if (startedMs <= this.#answeredMs || startedMs < this.#forgivenMs) return false;
    return clock.now() - startedMs <= probesMax * detection.connectTimeoutMs;
  }

  async #look(): Promise<Outcome> {
    const { clock, detection, watched } = this.#options;
    const limitMs = detection.connectTimeoutMs;
    const firstMs = this.#connected ? limitMs / 2 : 0;
    let asked = await this.#answerWithin(firstMs);
    // A broken connection alone is no failure: the server may just have closed it.
    if (asked === "broken") asked = await this.#answerWithin(limitMs / 2);
    if (asked === "answered") return "ok";
    const knockedMs = clock.now();
    const door = await watched.knock();
    if (door !== "open") return this.#lost(door);
    const rest = await this.#answerWithin(Math.max(limitMs - (clock.now() - knockedMs) - firstMs, 1));
    return rest === "answered" ? "ok" : "stalled";
  }

  /** Drops the connection. An answer that came just before still counts. */
  #lost(door: "refused" | "silent"): Outcome {
    this.#connected = false;
    this.#options.watched.drop();
    return door;
  }

  #answerWithin(ms: number): Promise<Asked | "waiting"> {
    return within(this.#options.clock, ms, this.#ask(), "waiting");
  }

  /** The question under way, or a new one. */
  #ask(): Promise<Asked> {
    this.#asking ??= this.#askAgain().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askAgain(): Promise<Asked> {
    const askedMs = this.#options.clock.now();
    try {
      this.latest = { value: await this.#options.watched.ask(), askedMs };
      this.#connected = true;
      this.#heard(askedMs);
      return "answered";
    } catch {
      // Why the connection failed does not matter: the knock that follows tells what kind of silence it is.
      this.#connected = false;
      return "broken";
    }
  }

  /** An answer in time counts at once, whoever asked: also one that the look under the lock brings (rule 7). */
  #heard(askedMs: number): void {
    const nowMs = this.#options.clock.now();
    if (nowMs - askedMs > this.#options.detection.connectTimeoutMs) return;
    this.#answeredMs = nowMs;
    this.#tally = count(this.#tally, "ok", askedMs);
  }

  #pauseMs(): number {
    const { clock, detection, paceMs } = this.#options;
    const { failures, sinceMs } = this.#tally;
    if (failures === 0) return paceMs();
    if (failures < detection.failures) return detection.fastIntervalMs;
    return clock.now() - (sinceMs ?? 0) > longDownMs ? detection.intervalMs * 2 : detection.intervalMs;
  }
}
