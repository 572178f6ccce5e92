/** Waits for a condition that recovery's cycles make true. */
import type { Clock } from "../clock.ts";

const pollMs = 50;

/** Whether the condition came true within `ms`, and before `signal` aborted. */
export async function until(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  condition: () => boolean,
): Promise<boolean> {
  const deadlineMs = clock.now() + ms;
  while (!signal.aborted && clock.now() < deadlineMs) {
    if (condition()) return true;
    await clock.sleep(pollMs, signal);
  }
  return condition();
}
