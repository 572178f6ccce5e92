/** Rule 8: a machine that was replaced too often within an hour is held, loudly. */
import type { MachineName } from "../topology.ts";
import type { Durable } from "./memory.ts";

const hourMs = 3_600_000;

/** Why the budget forbids to replace the machine once more, or undefined. */
export function whyBudgetSpent(
  durable: Durable,
  machine: MachineName,
  wallMs: number,
  perHourMax: number,
): string | undefined {
  // A wall clock that jumped back leaves entries in the future; they count, which errs on the calm side.
  const recent = durable.replacements.filter(
    (one) => one.machine === machine && wallMs - one.wallMs < hourMs,
  );
  if (recent.length < perHourMax) return undefined;
  return (
    `${machine} was replaced ${recent.length} times within an hour, which is the limit (${perHourMax}); ` +
    `find out why, then run "failover ${machine}" on monit`
  );
}
