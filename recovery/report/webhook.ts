/**
 * Notifications: a JSON POST at the start, hold and end of an incident (`BARTON_WEBHOOK_URL`).
 *
 * Never in the way of acting: sent in the background, in bounded time, few at once. A receiver that fails is
 * logged once, until it takes a message again.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";

/** What the receiver gets. */
export interface Notification {
  event: "incident-start" | "incident-hold" | "incident-end" | "hold-end" | "bug";
  /** When it was noticed (ISO 8601). */
  at: string;
  stack: string;
  /** The machine, "first start", `shard N` or "replacement". */
  about: string;
  /** One English sentence. */
  sentence: string;
  incidentId?: string;
  situation?: string;
  /** Of an end: how long it took. */
  tookMs?: number;
}

const timeoutMs = 3_000;
const attemptsMax = 3;
const pauseMs = 2_000;
/** More cannot be waiting: a receiver that hangs must not fill the memory; the oldest are dropped. */
const waitingMax = 100;

export interface WebhookOptions {
  url: string;
  clock: Clock;
  log: Log;
  /** Only for tests. */
  post?: (url: string, body: string, timeoutMs: number) => Promise<void>;
}

export class Webhook {
  readonly #options: WebhookOptions;
  #waiting: Notification[] = [];
  #sending: Promise<void> | undefined;
  #isFailing = false;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  /** Returns at once. Messages arrive in their order. */
  send(notification: Notification): void {
    this.#waiting = [...this.#waiting, notification].slice(-waitingMax);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Resolves when everything was sent or given up. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      await this.#sendOne(JSON.stringify(next));
    }
  }

  async #sendOne(body: string): Promise<void> {
    const { url, clock, post = postJson } = this.#options;
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      try {
        await post(url, body, timeoutMs);
        this.#isFailing = false;
        return;
      } catch (error) {
        this.#failed(error as Error);
        if (attempt < attemptsMax) await clock.sleep(pauseMs);
      }
    }
  }

  #failed(error: Error): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    // The address may carry a token: only its host is told.
    const { host } = new URL(this.#options.url);
    this.#options.log.warn(`notifications are not taken by ${host}: ${why}`);
  }
}

/** @throws when the address is none, without repeating it: it may carry a token. */
export function checkWebhookUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (protocol === "https:" || protocol === "http:") return url;
  throw new Error("BARTON_WEBHOOK_URL is no address; expected for example https://hooks.example.com/barton");
}

async function postJson(url: string, body: string, limitMs: number): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal: AbortSignal.timeout(limitMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
}
