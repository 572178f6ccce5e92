/** Asks a person before something that cannot be undone. */
import { createInterface } from "node:readline/promises";

/** True if the person types exactly `word`. @throws without a terminal; `instead` tells the person what to do then. */
export async function isTyped(question: string, word: string, instead: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new Error(`nobody can be asked here: ${instead}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${question} Type "${word}": `)).trim() === word;
  } finally {
    terminal.close();
  }
}
