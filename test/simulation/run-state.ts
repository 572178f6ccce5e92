/** How far a long run of schedules has come, in a file: a run of a million can be interrupted, and goes on where it was. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { replaceFile } from "../../recovery/storage/files.ts";
import type { Summary } from "./many.ts";

const stateSchema = z.object({
  firstSeed: z.number(),
  /** All that was asked for. */
  asked: z.number(),
  /** The seeds before it have run, and are in the summary. */
  nextSeed: z.number(),
  summary: z.object({
    schedules: z.number(),
    findings: z.array(z.object({ seed: z.number(), check: z.string(), atMs: z.number(), text: z.string() })),
    seconds: z.number(),
    virtualSeconds: z.number(),
    written: z.number(),
    confirmed: z.number(),
    excused: z.number(),
  }),
});

export interface RunState {
  firstSeed: number;
  asked: number;
  nextSeed: number;
  summary: Summary;
}

/**
 * What the file holds of this run; undefined when there is no file.
 *
 * @throws when it is damaged, or of another run.
 */
export async function readRunState(
  path: string,
  run: { firstSeed: number; asked: number },
): Promise<RunState | undefined> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const state = stateSchema.safeParse(parsed(text)).data;
  if (!state) throw new Error(`${path} is no state of a run; remove it to begin from the first seed`);
  if (state.firstSeed !== run.firstSeed || state.asked !== run.asked) {
    throw new Error(
      `${path} is of a run with --from ${state.firstSeed} --schedules ${state.asked}; use those, or another file`,
    );
  }
  return state;
}

/** Replaces the file as a whole. */
export function keepRunState(path: string, state: RunState): Promise<void> {
  return replaceFile(path, `${JSON.stringify(state)}\n`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
