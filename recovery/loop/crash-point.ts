/**
 * For tests of resumption in a lab (rule 6): recovery dies after each step, once.
 *
 * The program never sets these variables; test/end-to-end/resumption.long.test.ts does, for a while.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { describeStep, type Step } from "../decide/steps.ts";

/**
 * Kills this process, as SIGKILL does, after each step that the file BARTON_LAB_CRASH_POINTS does not name yet; only after
 * those of the kinds in BARTON_LAB_CRASH_AFTER (separated by commas), if that is set. Undefined without a file.
 */
export function crashPoint(
  env: NodeJS.ProcessEnv,
  die: () => unknown = () => process.kill(process.pid, "SIGKILL"),
): ((step: Step) => void) | undefined {
  const file = env.BARTON_LAB_CRASH_POINTS;
  const kinds = env.BARTON_LAB_CRASH_AFTER?.split(",");
  if (!file) return undefined;
  return (step) => {
    const name = describeStep(step);
    const diedAfter = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    if (diedAfter.includes(name) || (kinds && !kinds.includes(step.do))) return;
    appendFileSync(file, `${name}\n`);
    die();
  };
}
