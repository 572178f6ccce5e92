/** From what recovery does to notifications: incidents as they start and end, and holds that last. */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../clock.ts";
import { type Decision, findingsOf, reportIt } from "../decide/decision.ts";
import type { JournalEvent } from "../incidents/journal.ts";
import { type Bug, describeBug } from "./bugs.ts";
import type { Notification } from "./webhook.ts";

/** A hold is told after this time: many end within moments, as when the cloud confirms a power-off. */
const holdMs = 5_000;

/**
 * A monitor that starts sees everybody and compares the program again before it knows what is blocked: a hold that an earlier run
 * told does not end before this time.
 */
const restartMs = 60_000;

interface Hold {
  sinceMs: number;
  told: boolean;
  situation: string;
  endsNotBeforeMs?: number;
}

/** The holds that were told and have not ended, as they are kept on disk: the situation of each subject. */
export const holdsSchema = z.record(z.string(), z.string());
export type SavedHolds = z.infer<typeof holdsSchema>;

export const holdsFile = (stateDir: string) => join(stateDir, "holds.json");

export interface NotifierOptions {
  send: (notification: Notification) => void;
  clock: Clock;
  stack: string;
  /** What an earlier run had told, and how to keep what this one tells. */
  saved?: SavedHolds;
  save?: (holds: SavedHolds) => void;
}

/** Ends the key of a subject's second hold. */
const second = ", writes";
const subjectOf = (key: string) => (key.endsWith(second) ? key.slice(0, -second.length) : key);

/** Remembers what was told, so that nothing is told twice. */
export class Notifier {
  readonly #send: (notification: Notification) => void;
  readonly #clock: Clock;
  readonly #stack: string;
  readonly #holds = new Map<string, Hold>();

  readonly #save: (holds: SavedHolds) => void;

  constructor({ send, clock, stack, saved = {}, save = () => {} }: NotifierOptions) {
    this.#send = send;
    this.#clock = clock;
    this.#stack = stack;
    this.#save = save;
    const sinceMs = clock.now();
    for (const [subject, situation] of Object.entries(saved)) {
      this.#holds.set(subject, { sinceMs, told: true, situation, endsNotBeforeMs: sinceMs + restartMs });
    }
  }

  /** Takes in an event of the journal. */
  readonly take = (event: JournalEvent): void => {
    if (event.event === "step") return;
    const { id, machine, because, operator, situation, tookMs } = event.incident;
    const isStart = event.event === "start";
    this.#tell({
      event: isStart ? "incident-start" : "incident-end",
      about: machine,
      sentence: isStart ? because : `${machine} is well again`,
      operator: isStart ? operator : undefined,
      incidentId: id,
      situation,
      tookMs: isStart ? undefined : tookMs,
    });
  };

  /** Takes in the decisions of a cycle. */
  readonly takeDecisions = (decisions: Decision[]): void => {
    const nowMs = this.#clock.now();
    const holding = decisions.flatMap((decision) =>
      findingsOf(decision).flatMap((finding, place) =>
        // A shard may be blocked for two reasons at once; each is told.
        finding.holds
          ? [{ ...finding, key: place === 0 ? decision.subject : decision.subject + second }]
          : [],
      ),
    );
    for (const { key, situation, because, operator } of holding) {
      const hold = this.#holds.get(key) ?? { sinceMs: nowMs, told: false, situation };
      this.#holds.set(key, hold);
      if (hold.told || nowMs - hold.sinceMs < holdMs) continue;
      hold.told = true;
      this.#saveTold();
      this.#tell({ event: "incident-hold", about: subjectOf(key), sentence: because, operator, situation });
    }
    for (const [key, { told, situation, endsNotBeforeMs = 0 }] of this.#holds) {
      if (holding.some((one) => one.key === key) || nowMs < endsNotBeforeMs) continue;
      this.#holds.delete(key);
      if (!told) continue;
      this.#saveTold();
      const about = subjectOf(key);
      this.#tell({ event: "hold-end", about, sentence: `${about} holds no longer`, situation });
    }
  };

  #saveTold(): void {
    const told = [...this.#holds].filter(([, hold]) => hold.told);
    this.#save(Object.fromEntries(told.map(([subject, { situation }]) => [subject, situation])));
  }

  /** Takes in a bug of recovery itself, each kind once. */
  readonly takeBug = (bug: Bug): void => {
    this.#tell({ event: "bug", about: "recovery", sentence: describeBug(bug), operator: reportIt });
  };

  #tell(notification: Omit<Notification, "id" | "at" | "stack">): void {
    const { event, ...rest } = notification;
    this.#send({
      id: randomUUID(),
      event,
      at: this.#clock.date().toISOString(),
      stack: this.#stack,
      ...rest,
    });
  }
}
