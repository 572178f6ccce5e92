/**
 * Notifications: a JSON POST for the start, hold and end of an incident (`BARTON_WEBHOOK_URL`).
 *
 * They are sent in the background and never delay recovery. Each one waits, on disk too, until the receiver takes it: a restart
 * of the monitor goes on with the same queue. They arrive in their order; one that arrives twice has the same id.
 */
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Files } from "../storage/files.ts";

const notificationSchema = z.object({
  /** The same for each try to deliver it: a receiver may ignore what it has already. */
  id: z.string(),
  event: z.enum(["incident-start", "incident-hold", "incident-end", "hold-end", "bug"]),
  /** When it was noticed (ISO 8601). */
  at: z.string(),
  stack: z.string(),
  /** The machine, "first start", `shard N`, "replacement" or "recovery". */
  about: z.string(),
  /** One English sentence. */
  sentence: z.string(),
  /** What a person should do. */
  operator: z.string().optional(),
  incidentId: z.string().optional(),
  situation: z.string().optional(),
  /** Of an end: how long it took. */
  tookMs: z.number().optional(),
});

/** What the receiver gets; and `missed`, how many before it were dropped because too many waited. */
export type Notification = z.infer<typeof notificationSchema>;

/** The queue as it is kept on disk. */
export const queueSchema = z.object({
  waiting: z.array(notificationSchema),
  /** How many were dropped since the last delivery. */
  missed: z.int().nonnegative(),
});
export type SavedQueue = z.infer<typeof queueSchema>;

export const queueFile = (stateDir: string) => join(stateDir, "notifications.json");

/** What the status shows; the counts are since the monitor began. */
export interface NotificationsView {
  waiting: number;
  /** Dropped, because more than the queue holds were waiting. */
  dropped: number;
  /** The receiver answered that it will never take them. */
  refused: number;
  /** Why the last try failed; null when it did not. */
  trouble: string | null;
}

/** How long the receiver may take for one answer. */
const answerMs = 30_000;
/** Between two tries: the first pause and the longest. */
const pausesMs = { first: 1_000, longest: 300_000 };
/** Beyond this the oldest is dropped: an incident storm must fill neither the memory nor the disk. */
const waitingMax = 100;

/** One line for the status; undefined while all is well. */
export function describeNotifications({
  waiting,
  dropped,
  refused,
  trouble,
}: NotificationsView): string | undefined {
  if (trouble === null && dropped + refused === 0) return undefined;
  const counts = `${waiting} wait, ${dropped} dropped, ${refused} refused since the monitor began`;
  return `notifications: ${counts}${trouble === null ? "" : `; ${trouble}`}`;
}

export interface WebhookOptions {
  url: string;
  clock: Clock;
  log: Log;
  files: Pick<Files, "write">;
  /** Where the queue is kept. */
  path: string;
  /** What an earlier run left there. */
  saved?: SavedQueue;
  /** Ends the sending; what waits stays on disk. */
  signal?: AbortSignal;
  limits?: { answerMs?: number; firstPauseMs?: number; longestPauseMs?: number };
}

export class Webhook {
  readonly #options: WebhookOptions;
  readonly #host: string;
  #waiting: Notification[];
  #missed: number;
  #isSending = false;
  #sending: Promise<void> | undefined;
  #pause: AbortController | undefined;
  #dropped = 0;
  #refused = 0;
  #failures = 0;
  #trouble: string | undefined;

  constructor(options: WebhookOptions) {
    this.#options = options;
    // The address may carry a token: only its host is told.
    this.#host = new URL(options.url).host;
    this.#waiting = (options.saved?.waiting ?? []).slice(-waitingMax);
    this.#missed = options.saved?.missed ?? 0;
    this.#begin();
  }

  get view(): NotificationsView {
    const [waiting, dropped, refused] = [this.#waiting.length, this.#dropped, this.#refused];
    return { waiting, dropped, refused, trouble: this.#trouble ?? null };
  }

  /** Returns at once. One that waits already is not sent twice. */
  send(notification: Notification): void {
    if (this.#waiting.some(({ id }) => id === notification.id)) return;
    this.#waiting.push(notification);
    if (this.#waiting.length - Number(this.#isSending) > waitingMax) this.#drop();
    this.#save();
    // News are a reason to try again before the pause ends.
    this.#pause?.abort();
    this.#begin();
  }

  /** Resolves when nothing waits any more, or the signal has ended the sending. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  /** The oldest, but not the one that is on its way this moment. */
  #drop(): void {
    const [dropped] = this.#waiting.splice(this.#isSending ? 1 : 0, 1);
    this.#missed += 1;
    this.#dropped += 1;
    this.#options.log.warn(
      { id: dropped?.id },
      `a notification is dropped, because ${waitingMax} wait for ${this.#host}: ${dropped?.sentence}`,
    );
  }

  #save(): void {
    this.#options.files.write(this.#options.path, { waiting: this.#waiting, missed: this.#missed });
  }

  #begin(): void {
    if (this.#sending || this.#waiting.length === 0 || this.#options.signal?.aborted) return;
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined;
      this.#begin();
    });
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting[0]; next && !this.#options.signal?.aborted; next = this.#waiting[0]) {
      await this.#try(next);
    }
  }

  async #try(next: Notification): Promise<void> {
    const missed = this.#missed;
    this.#isSending = true;
    const answer = await this.#post(missed > 0 ? { ...next, missed } : next);
    this.#isSending = false;
    if (this.#options.signal?.aborted) return;
    if (answer.kind === "failed") return this.#failed(answer.why);
    this.#waiting = this.#waiting.filter((one) => one !== next);
    this.#failures = 0;
    if (answer.kind === "taken") {
      this.#missed -= missed;
      this.#trouble = undefined;
    } else {
      this.#refused += 1;
      this.#trouble = `${this.#host} refuses notifications for good: ${answer.why}`;
      this.#options.log.warn({ id: next.id }, `${this.#trouble}; not sent again: ${next.sentence}`);
    }
    this.#save();
  }

  async #failed(why: string): Promise<void> {
    const { clock, log, signal, limits = {} } = this.#options;
    this.#failures += 1;
    const trouble = `notifications are not taken by ${this.#host}: ${why}`;
    if (this.#trouble !== trouble) log.warn(`${trouble}; they wait and are sent again`);
    this.#trouble = trouble;
    const { firstPauseMs = pausesMs.first, longestPauseMs = pausesMs.longest } = limits;
    const pause = new AbortController();
    this.#pause = pause;
    const ends = signal ? AbortSignal.any([pause.signal, signal]) : pause.signal;
    await clock.sleep(Math.min(firstPauseMs * 2 ** (this.#failures - 1), longestPauseMs), ends);
    this.#pause = undefined;
  }

  async #post(body: unknown): Promise<Answer> {
    const { url, limits, signal } = this.#options;
    const limit = AbortSignal.timeout(limits?.answerMs ?? answerMs);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: signal ? AbortSignal.any([limit, signal]) : limit,
      });
      await response.body?.cancel();
      const why = `HTTP ${response.status}`;
      return response.ok
        ? { kind: "taken" }
        : { kind: isForGood(response.status) ? "refused" : "failed", why };
    } catch (thrown) {
      const { cause, message } = thrown as Error;
      return { kind: "failed", why: cause instanceof Error ? cause.message : message };
    }
  }
}

type Answer = { kind: "taken" } | { kind: "refused" | "failed"; why: string };

/** A message that a receiver takes for wrong will not become right; "too late" (408) and "too many" (429) pass. */
const isForGood = (status: number) => status >= 400 && status < 500 && status !== 408 && status !== 429;

/** @throws when the address is none, without repeating it: it may carry a token. */
export function checkWebhookUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (protocol === "https:" || protocol === "http:") return url;
  throw new Error("BARTON_WEBHOOK_URL is no address; expected for example https://hooks.example.com/barton");
}
