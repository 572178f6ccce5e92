/** The gate before each fault: only a healthy and loaded system is injured, anything else would prove nothing. Pure. */
import { loadMin } from "../checkers/traffic.ts";
import type { Tick } from "../workload/spec.ts";

/** How far the gate looks back, in milliseconds. */
export const lookBackMs = 2000;
/** An answer slower than this is not calm, in milliseconds. */
const calmMsMax = 500;

/** Writes per second of each shard in the ticks; empty without ticks. */
export function loadOf(ticks: readonly Tick[]): Record<string, number> {
  const seconds = ticks.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  const shards = [...new Set(ticks.flatMap((tick) => Object.keys(tick.shards)))];
  return Object.fromEntries(
    shards.map((shard) => [
      shard,
      ticks.reduce((sum, tick) => sum + (tick.shards[shard]?.writes ?? 0), 0) / seconds,
    ]),
  );
}

/** Why no fault may be injected now, or undefined. `shards`: how many there are. */
export function whyNotReady(
  status: { healthy: boolean; sentence: string },
  ticks: readonly Tick[],
  shards: number,
): string | undefined {
  if (!status.healthy) return status.sentence;
  const covered = ticks.reduce((sum, { ms }) => sum + ms, 0);
  if (covered < lookBackMs * 0.8) return "the load has only just begun";
  const load = loadOf(ticks);
  const [idle] = Object.entries(load).filter(([, perSecond]) => perSecond < loadMin);
  if (Object.keys(load).length < shards) return "not every shard has traffic";
  if (idle) return `shard ${idle[0]} has only ${idle[1].toFixed(0)} writes a second`;
  const slowest = Math.max(
    ...ticks.flatMap((tick) => Object.values(tick.shards).map((each) => each.slowestMs)),
  );
  if (slowest > calmMsMax) return `an answer took ${slowest} ms`;
  return undefined;
}
