/** What an earlier run of recovery left on disk of its memory. */
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../clock.ts";
import { type Memory, revive } from "../decide/memory/memory.ts";
import type { Log } from "../log.ts";
import { type Files, readKept } from "../storage/files.ts";

export const memoryFile = (stateDir: string) => join(stateDir, "memory.json");

/** The memory that is on disk, as far as it is whole: there is a warning for each part that is left out. */
export async function keptMemory(
  files: Pick<Files, "read">,
  stateDir: string,
  clock: Pick<Clock, "now">,
  log: Pick<Log, "warn">,
): Promise<Memory> {
  const path = memoryFile(stateDir);
  const { memory, dropped } = revive(await readKept(files, path, z.unknown(), log), clock.now());
  for (const what of dropped) log.warn(`a part of ${path} is damaged and is not used: ${what}`);
  return memory;
}
