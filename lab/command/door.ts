/** Distinguishes a failed login from a failed command. */
import { randomBytes } from "node:crypto";
import type { ProgramResult } from "./process.ts";

type OnLine = ((stream: "stdout" | "stderr", line: string) => void) | undefined;

/**
 * Waits for a mark in the output of ssh: what comes before it is ssh's own, what comes after is the command's. So it
 * is known whether the machine let us in, which ssh's exit status (255, but the command's may be that too) cannot tell.
 */
export class Door {
  readonly mark = `<${randomBytes(12).toString("hex")}>`;
  isOpen = false;
  readonly #onLine: OnLine;
  readonly #onOpen: () => void;
  #seen = "";
  #held: [stream: "stdout" | "stderr", line: string][] = [];

  constructor(onLine: OnLine, onOpen: () => void) {
    this.#onLine = onLine;
    this.#onOpen = onOpen;
  }

  look(chunk: string): void {
    if (this.isOpen) return;
    this.#seen += chunk;
    this.isOpen = this.#seen.includes(this.mark);
    if (!this.isOpen) return;
    this.#onOpen();
    // Both streams come by themselves: a line of stderr may have overtaken the mark.
    for (const [stream, line] of this.#held) this.#onLine?.(stream, line);
  }

  line(stream: "stdout" | "stderr", line: string): void {
    if (this.isOpen) this.#onLine?.(stream, line.replace(this.mark, ""));
    else this.#held.push([stream, line]);
  }

  withoutMark(result: ProgramResult): ProgramResult {
    const { stdout, output } = result;
    return { ...result, stdout: stdout.replace(this.mark, ""), output: output.replace(this.mark, "") };
  }
}
