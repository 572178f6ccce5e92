/**
 * Maintenance: while paused, recovery observes, decides and reports, but begins nothing. Steps under way are finished, because half a
 * takeover would leave traffic waiting.
 *
 * A pause ends by itself. It is stored in a file, so it survives a restart of the monitor and can be ordered while no monitor runs.
 */
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../clock.ts";

/** Nobody means to leave recovery off for longer; whoever does says so again. */
export const pauseMaxMs = 24 * 3_600_000;

const savedSchema = z.object({
  untilAt: z.iso.datetime(),
  forMs: z.number().positive().max(pauseMaxMs),
  why: z.string(),
});

/** What the file holds; null after a pause that was ended. */
export const pauseSchema = savedSchema.nullable();

/** A pause as it is kept in its file. */
export type SavedPause = z.infer<typeof savedSchema>;

/** What `barton status --json` shows of a pause. */
export interface PauseView {
  /** When it ends by itself (ISO 8601). */
  untilAt: string;
  why: string;
}

/** Where the pause is kept. */
export const pauseFile = (stateDir: string) => join(stateDir, "pause.json");

/** The pause of one running recovery. */
export class Pause {
  readonly #clock: Clock;
  readonly #save: (saved: SavedPause | null) => void;
  #current: { saved: SavedPause; untilMs: number } | undefined;

  /**
   * @param saved what the file of an earlier run holds; anything unreadable counts as no pause.
   * @param save keeps the pause for the next run; null when there is none.
   */
  constructor(clock: Clock, save: (saved: SavedPause | null) => void, saved?: unknown) {
    this.#clock = clock;
    this.#save = save;
    const kept = savedSchema.safeParse(saved).data;
    if (!kept) return;
    const leftMs = Date.parse(kept.untilAt) - clock.date().getTime();
    // Measured from here by the monotonic clock: a wall clock that jumps neither ends nor prolongs it.
    if (leftMs > 0) this.#current = { saved: kept, untilMs: clock.now() + Math.min(leftMs, kept.forMs) };
  }

  /** The pause that holds now, if any. */
  get current(): PauseView | undefined {
    if (this.#current && this.#clock.now() >= this.#current.untilMs) this.end();
    if (!this.#current) return undefined;
    const { untilAt, why } = this.#current.saved;
    return { untilAt, why };
  }

  /** Begins a pause, or replaces the present one. */
  begin(forMs: number, why: string): PauseView {
    const saved = newPause(this.#clock, forMs, why);
    this.#current = { saved, untilMs: this.#clock.now() + saved.forMs };
    this.#save(saved);
    return { untilAt: saved.untilAt, why };
  }

  /** Ends the pause; false when there was none. */
  end(): boolean {
    const wasPaused = this.#current !== undefined;
    this.#current = undefined;
    if (wasPaused) this.#save(null);
    return wasPaused;
  }
}

/** A pause of `forMs` milliseconds from now. @throws when that is no sensible time. */
export function newPause(clock: Clock, forMs: number, why: string): SavedPause {
  if (!(forMs > 0 && forMs <= pauseMaxMs)) {
    throw new Error(
      `a pause lasts up to ${pauseMaxMs / 3_600_000} hours, for example 1h, and not ${forMs} ms`,
    );
  }
  return { untilAt: new Date(clock.date().getTime() + forMs).toISOString(), forMs, why };
}

const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of "90s", "30m", "1h" or "1h30m". @throws when the text is none of these. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smh])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) {
    throw new Error(`"${text}" is no duration; expected for example 90s, 30m, 1h or 1h30m`);
  }
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (units[unit] ?? 0), 0);
}

/** Why nothing is begun now, for those who order something. */
export function whyPaused(pause: PauseView | undefined): string | undefined {
  if (!pause) return undefined;
  const why = pause.why === "" ? "" : ` (${pause.why})`;
  return `recovery is paused until ${pause.untilAt}${why}; "barton resume" ends that`;
}
