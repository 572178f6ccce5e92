/**
 * For tests of resumption in a lab (rule 6): recovery dies after each step, once.
 *
 * The program never sets BARTON_LAB_CRASH_POINTS; test/end-to-end/resumption.long.test.ts does, for a while.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { describeStep, type Step } from "./decide/steps.ts";

/** Kills this process, as SIGKILL does, after each step that `file` does not name yet; undefined without a file. */
export function crashPoint(
  file: string | undefined,
  die: () => unknown = () => process.kill(process.pid, "SIGKILL"),
): ((step: Step) => void) | undefined {
  if (!file) return undefined;
  return (step) => {
    const name = describeStep(step);
    const diedAfter = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    if (diedAfter.includes(name)) return;
    appendFileSync(file, `${name}\n`);
    die();
  };
}
