/**
 * Asks app's local haproxy how it sees the two proxies. It stands for all clients, so it is the second vantage point in a
 * verdict on a proxy: a proxy that only monit cannot see may serve everybody.
 */
import type { ProxyMachine } from "../topology.ts";
import type { AppFacts, ClientLook } from "./facts.ts";
import { InTouchSince } from "./hearing.ts";
import { type Knock, knockAny } from "./knock.ts";
import { clientViewOf, parseStat, showStat } from "./proxy-stat.ts";
import { RuntimeApi } from "./runtime-api.ts";
import { FailingSince } from "./since.ts";
import type { Watched } from "./watcher.ts";

/** The answer of app: its view of the proxies, or why the answer cannot be understood. */
export type AppAnswer =
  | {
      view: Record<ProxyMachine, ClientLook>;
      unusedSinceMs?: AppFacts["unusedSinceMs"];
      inTouchSinceMs?: number;
    }
  | { refusal: string };

export interface AppLinkOptions {
  address: string;
  /** Ports to try when app is silent. The first is the runtime API. */
  ports: [runtime: number, ...others: number[]];
  connectTimeoutMs: number;
  nowMs: () => number;
}

export class AppLink implements Watched<AppAnswer> {
  readonly #options: AppLinkOptions;
  readonly #api: RuntimeApi;
  readonly #failing: FailingSince;
  readonly #inTouch: InTouchSince;

  constructor(options: AppLinkOptions) {
    this.#options = options;
    this.#api = new RuntimeApi(options.address, options.ports[0], options.connectTimeoutMs);
    this.#failing = new FailingSince(options.nowMs);
    this.#inTouch = new InTouchSince(options.nowMs);
  }

  async ask(): Promise<AppAnswer> {
    const askedMs = this.#options.nowMs();
    const answer = await this.#api.ask(showStat);
    const inTouchSinceMs = this.#inTouch.answered(this.#api.connections, askedMs);
    try {
      const { servers, leaving } = parseStat(answer);
      // After a reload the old process keeps this connection. The next question must go to its successor.
      if (leaving) this.#api.drop();
      const view = clientViewOf(servers, this.#failing.since);
      const unusedSince = (proxy: ProxyMachine) =>
        this.#failing.since(`${proxy} unused`, !view[proxy].usable);
      const unusedSinceMs = { haproxy1: unusedSince("haproxy1"), haproxy2: unusedSince("haproxy2") };
      return { view, unusedSinceMs, inTouchSinceMs };
    } catch (error) {
      return { refusal: (error as Error).message };
    }
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
}
