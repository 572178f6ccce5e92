/** Rule 8: the replacement of a machine that was replaced too often within an hour is blocked, and the operator is notified. */
import type { MachineName } from "../../topology.ts";
import type { Durable } from "../memory/memory.ts";

const hourMs = 3_600_000;

/** The machine's replacements within the hour before `wallMs`. */
export function recentReplacements(
  replacements: Durable["replacements"],
  machine: MachineName,
  wallMs: number,
): Durable["replacements"] {
  // After a jump back of the wall clock some entries are in the future. They count, so rather too few machines are replaced.
  return replacements.filter((one) => one.machine === machine && wallMs - one.wallMs < hourMs);
}

/** Why the budget forbids to replace the machine once more, or undefined. */
export function whyBudgetSpent(
  durable: Durable,
  machine: MachineName,
  wallMs: number,
  perHourMax: number,
): string | undefined {
  const recent = recentReplacements(durable.replacements, machine, wallMs);
  if (recent.length < perHourMax) return undefined;
  return (
    `${machine} was replaced ${recent.length} times within an hour, which is the limit (${perHourMax}); ` +
    `find out why ("barton incidents"), then run "barton forgive ${machine}" on monit: it is replaced at once`
  );
}
