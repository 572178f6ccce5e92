/**
 * The log: one readable line per event, `message key=value …`, for the journal.
 * pino handles the levels and the fields. Lines have the journal's priority prefix if systemd reads them.
 */
import { type DestinationStream, type Logger, pino } from "pino";

export type Log = Pick<Logger, "info" | "warn" | "error" | "debug">;

/** A log that writes readable lines to `out` (standard output unless told otherwise). */
export function createLog(out: { write(text: string): unknown } = process.stdout, env = process.env): Logger {
  const underSystemd = env.JOURNAL_STREAM !== undefined;
  const destination: DestinationStream = {
    write: (line) => void out.write(readableLine(line, underSystemd)),
  };
  return pino({ base: null, timestamp: false, level: env.BARTON_LOG_LEVEL ?? "info" }, destination);
}

/** A log that keeps silent, for tests and for commands that only look. */
export const silentLog: Log = pino({ level: "silent" });

/** Turns one of pino's JSON lines into `message key=value …`. */
export function readableLine(json: string, withPriority: boolean): string {
  const { level, msg, err, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const words = Object.entries(fields).map(([key, value]) => `${key}=${fieldText(value)}`);
  const error = err as { message?: string } | undefined;
  if (error?.message) words.push(`error=${JSON.stringify(error.message)}`);
  const prefix = withPriority ? `<${journalPriority(Number(level))}>` : "";
  return `${prefix}${[msg, ...words].filter(Boolean).join(" ")}\n`;
}

function fieldText(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return /^[\w.:@/+-]+$/.test(value) ? value : JSON.stringify(value);
}

function journalPriority(level: number): number {
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  return level >= 30 ? 6 : 7;
}
