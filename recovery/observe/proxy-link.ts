/** The connection to one proxy's runtime API: reads its state and changes it. */
import { systemClock, within } from "../clock.ts";
import type { ProxyView } from "./facts.ts";
import { InTouchSince, parseClients, showClients } from "./hearing.ts";
import { type Knock, knockAny } from "./knock.ts";
import {
  parseMonitors,
  parseSessions,
  parseStat,
  proxyViewOf,
  type Session,
  type Stat,
  showMonitors,
  showStat,
} from "./proxy-stat.ts";
import { RuntimeApi } from "./runtime-api.ts";
import { FailingSince } from "./since.ts";
import type { Watched } from "./watcher.ts";

/** The answer of a proxy: its view, or why the answer cannot be understood. */
export type ProxyAnswer = { view: ProxyView } | { refusal: string };

const keepCommand = "keep servers";
/** One line for each shard: `shard1 1764282010000`; see infra/roles/haproxy/keep.lua. */
const showGenerations = "generation now";

export interface ProxyLinkOptions {
  address: string;
  /** Ports to try when the proxy is silent: any open port proves that the machine lives. The first is the runtime API. */
  ports: [runtime: number, ...others: number[]];
  shards: number[];
  connectTimeoutMs: number;
  nowMs: () => number;
}

export class ProxyLink implements Watched<ProxyAnswer> {
  readonly #options: ProxyLinkOptions;
  readonly #api: RuntimeApi;
  readonly #failing: FailingSince;
  readonly #inTouch: InTouchSince;
  #listing: Promise<Session[]> | undefined;
  #nextListing: Promise<Session[]> | undefined;
  /** Of each shard's lines, as this proxy said last. */
  readonly #generations = new Map<number, string>();
  /** The heartbeat that was not answered yet. */
  #introduction: Promise<void> | undefined;

  constructor(options: ProxyLinkOptions) {
    this.#options = options;
    this.#api = new RuntimeApi(options.address, options.ports[0], options.connectTimeoutMs);
    this.#failing = new FailingSince(options.nowMs);
    this.#inTouch = new InTouchSince(options.nowMs);
  }

  async ask(): Promise<ProxyAnswer> {
    const askedMs = this.#options.nowMs();
    const [csv, generations, monitors, clients] = await Promise.all([
      this.#api.ask(showStat),
      this.#api.ask(showGenerations),
      this.#api.ask(showMonitors),
      this.#api.ask(showClients),
    ]);
    const sinceMs = this.#inTouch.answered(this.#api.connections, askedMs);
    this.#learn(generations);
    const stat = this.#parse(csv);
    if ("refusal" in stat) return stat;
    if (stat.leaving) {
      // After a reload the old process keeps this connection. The next question must go to its successor.
      this.#api.drop();
      throw new Error(`haproxy at ${this.#options.address} is being reloaded`);
    }
    try {
      const view = proxyViewOf(stat, this.#options.shards, this.#failing.since);
      const lately = parseClients(clients);
      return {
        view: {
          ...view,
          monitors: parseMonitors(monitors),
          hearing: lately && { lately, sinceMs },
          inTouchSinceMs: sinceMs,
        },
      };
    } catch (error) {
      return { refusal: (error as Error).message };
    }
  }

  /** Id of the process that answers. It changes with a restart or a reload. */
  async processId(timeoutMs: number): Promise<string | undefined> {
    return /^Pid: (\d+)$/m.exec(await this.#api.ask("show info", timeoutMs))?.[1];
  }

  /**
   * Leaves or renews a monitor's heartbeat (decide/rules/one-monitor.ts). A process that restarts need not know it. A proxy that is
   * slow to take it keeps its connection, on which a fence may be under way. It gets no second heartbeat before it has taken the first.
   *
   * @throws when it is not taken within `timeoutMs`; it may be taken later.
   */
  async introduce(monitor: string, timeoutMs: number): Promise<void> {
    this.#introduction ??= this.#api.tell([`set table monitors key ${monitor} data.gpt0 1`]).finally(() => {
      this.#introduction = undefined;
    });
    const isTaken = this.#introduction.then(() => true);
    if (await within(systemClock, timeoutMs, isTaken, false)) return;
    throw new Error(`haproxy at ${this.#options.address} did not take the heartbeat within ${timeoutMs} ms`);
  }

  /**
   * The generation of a shard's lines, as this proxy said last; undefined from one of an older build, which has none. A command that
   * lets traffic go to a server names it, and is refused when it has ended meanwhile (act/haproxy.ts).
   */
  generation(shard: number): string | undefined {
    return this.#generations.get(shard);
  }

  /** Ends the generation of a shard's lines. @throws when the proxy does not answer. */
  async nextGeneration(shard: number, timeoutMs: number): Promise<void> {
    this.#learn(await this.#api.ask(`generation next shard${shard}`, timeoutMs));
  }

  /**
   * Changes the proxy (see `RuntimeApi.tell`), and makes it store the new state for a process that restarts. So a fenced
   * server is never used again, whenever the process dies (infra/roles/haproxy/keep.lua).
   */
  async tell(commands: string[], timeoutMs: number): Promise<void> {
    const told = this.#api.tell(commands, timeoutMs);
    const [, answer] = await Promise.all([told, this.#api.ask(keepCommand, timeoutMs)]);
    const complaint = answer.trim();
    // A proxy of an older program stores nothing and restores nothing.
    if (complaint === "" || complaint.startsWith("Unknown command")) return;
    // Another process has taken over: the next command must reach that one.
    this.#api.drop();
    throw new Error(`haproxy at ${this.#options.address} did not keep what it was told: ${complaint}`);
  }

  /**
   * The sessions, as listed after this call. Callers that ask at the same time share one listing, so ten shards that fail at
   * once do not list all sessions ten times.
   */
  sessions(timeoutMs: number): Promise<Session[]> {
    if (!this.#listing) {
      this.#listing = this.#list(timeoutMs).finally(() => {
        this.#listing = undefined;
      });
      return this.#listing;
    }
    this.#nextListing ??= this.#listing
      .catch(() => [])
      .then(() => {
        this.#nextListing = undefined;
        return this.sessions(timeoutMs);
      });
    return this.#nextListing;
  }

  /** Cuts single sessions. A session that has ended meanwhile is no error. */
  async cut(sessions: Session[], timeoutMs: number): Promise<void> {
    await Promise.all(sessions.map(({ id }) => this.#api.ask(`shutdown session ${id}`, timeoutMs)));
  }

  /** Cuts all sessions with a server line, `shard1/redis1`. @throws when the proxy refuses or does not answer. */
  async cutAll(server: string, timeoutMs: number): Promise<void> {
    await this.#api.tell([`shutdown sessions server ${server}`], timeoutMs);
  }

  knock(): Promise<Knock> {
    return knockAny(this.#options.address, this.#options.ports, this.#options.connectTimeoutMs);
  }

  drop(): void {
    this.#api.drop();
  }

  close(): void {
    this.#api.close();
  }

  #learn(generations: string): void {
    for (const [, shard, generation = ""] of generations.matchAll(/^shard(\d+) (\d+)$/gm))
      this.#generations.set(Number(shard), generation);
  }

  async #list(timeoutMs: number): Promise<Session[]> {
    return parseSessions(await this.#api.ask("show sess", timeoutMs));
  }

  #parse(csv: string): Stat | { refusal: string } {
    try {
      return parseStat(csv);
    } catch (error) {
      return { refusal: (error as Error).message };
    }
  }
}
