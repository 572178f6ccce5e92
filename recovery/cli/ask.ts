/** Asking a person before something irreversible. */
import { createInterface } from "node:readline/promises";

/** Whether the person types exactly `word`. @throws when nobody can be asked; `instead` says what to do then. */
export async function isTyped(question: string, word: string, instead: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new Error(`nobody can be asked here: ${instead}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`${question} Type "${word}": `)).trim() === word;
  } finally {
    terminal.close();
  }
}
