/** Running `scripts/chaos` on the lab of the end-to-end tests. */
import { join } from "node:path";
import { execa } from "execa";
import { inject } from "vitest";
import type { Results } from "../consistency/report/results.ts";

const script = join(import.meta.dirname, "../../scripts/chaos");

/** Runs it to its end; gives its results, whatever the verdict. Rejects when there are none. */
export async function chaos(out: string, ...args: string[]): Promise<Results & { folder: string }> {
  const { stdout, stderr } = await execa(
    script,
    ["--name", inject("labName"), "--json", "--out", out, ...args],
    { stdin: "ignore", reject: false },
  );
  try {
    return JSON.parse(stdout) as Results & { folder: string };
  } catch {
    throw new Error(`scripts/chaos ${args.join(" ")} gave no results:\n${stderr}`);
  }
}
