/** What `scripts/mutate` says at the end: the survivors, and the score of each target. */
import { covers, type Target } from "./targets.ts";

/** One mutant and what became of it, as Stryker reports it. */
export interface Mutant {
  /** From the repository's root. */
  file: string;
  line: number;
  mutator: string;
  /** The text that was replaced, and the text in its place. */
  original: string;
  replacement: string;
  status: "killed" | "survived" | "not covered" | "not counted";
}

/** Percent of the mutants that a test killed; undefined if there is none. */
export function scoreOf(mutants: Mutant[]): number | undefined {
  const killed = mutants.filter(({ status }) => status === "killed").length;
  const counted = mutants.filter(({ status }) => status !== "not counted").length;
  return counted === 0 ? undefined : (100 * killed) / counted;
}

/** The survivors, file by file. */
export function survivorsText(mutants: Mutant[]): string {
  return mutants
    .filter(({ status }) => status === "survived" || status === "not covered")
    .sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line))
    .map(({ file, line, status, mutator, original, replacement }) => {
      const change = `${shortened(original)}  =>  ${shortened(replacement)}`;
      return `${file}:${line} ${status} (${mutator}): ${change}`;
    })
    .join("\n");
}

const lengthMax = 120;

function shortened(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > lengthMax ? `${line.slice(0, lengthMax)}…` : line;
}

/** Each target's score; `isEnough` when all of them reach the threshold. */
export function verdictOn(
  targets: Target[],
  mutants: Mutant[],
  threshold: number,
): { text: string; isEnough: boolean } {
  const lines = targets.map((target) => {
    const mine = mutants.filter((mutant) => covers(target, mutant));
    const score = scoreOf(mine);
    const count = (status: Mutant["status"]) => mine.filter((mutant) => mutant.status === status).length;
    const isEnough = score === undefined || score >= threshold;
    const text =
      score === undefined
        ? `${target.path}: nothing to mutate`
        : `${target.path}: ${score.toFixed(1)} %${isEnough ? "" : `, which is below ${threshold} %`} ` +
          `(${count("killed")} killed, ${count("survived")} survived, ${count("not covered")} not covered)`;
    return { text, isEnough };
  });
  return {
    text: lines.map(({ text }) => text).join("\n"),
    isEnough: lines.every(({ isEnough }) => isEnough),
  };
}
