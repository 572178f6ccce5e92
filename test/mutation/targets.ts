/** What a person may name on the command line of `scripts/mutate`. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

/** The folders that are mutated when nothing is named, and for each of which a score is asked. */
export const folders = ["decide", "act"];

/** A file or folder to mutate, from the repository's root; with `lines` only these lines of a file. */
export interface Target {
  path: string;
  isFolder: boolean;
  lines?: { first: number; last: number };
}

/**
 * `decide`, `decide/view`, `act/promote.ts`, `recovery/act/promote.ts`, each file with lines (`act/promote.ts:12-20`) if wanted.
 *
 * @throws when it is not there, or not in one of the two folders.
 */
export function targetOf(root: string, name: string): Target {
  const [, plain = "", first, last] = /^(.*?)(?::(\d+)-(\d+))?$/.exec(name) ?? [];
  const path = plain.replace(/^(\.\/)?(recovery\/)?/, "recovery/").replace(/\/+$/, "");
  if (!folders.some((folder) => path === `recovery/${folder}` || path.startsWith(`recovery/${folder}/`)))
    throw new Error(`${name} is not in recovery/${folders.join(" or recovery/")}: only their tests are run`);
  if (!existsSync(join(root, path))) throw new Error(`there is no ${path}`);
  const isFolder = statSync(join(root, path)).isDirectory();
  if (!first) return { path, isFolder };
  if (isFolder) throw new Error(`${name}: a folder has no lines`);
  return { path, isFolder, lines: { first: Number(first), last: Number(last) } };
}

/** The target as Stryker names it. */
export function globOf({ path, isFolder, lines }: Target): string {
  if (isFolder) return `${path}/**/*.ts`;
  return lines ? `${path}:${lines.first}-${lines.last}` : path;
}

/** Is this place, in a file named from the repository's root, part of the target? */
export function covers(
  { path, isFolder, lines }: Target,
  { file, line }: { file: string; line: number },
): boolean {
  if (isFolder) return file.startsWith(`${path}/`);
  return file === path && (!lines || (line >= lines.first && line <= lines.last));
}
