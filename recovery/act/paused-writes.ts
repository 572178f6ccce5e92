/**
 * The pause of writes in a planned switch. The fence closes every way to the old master that recovery knows; the pause makes it
 * certain that nothing is acknowledged after its offset was read, whatever still reaches it: a connection that was on its way, or
 * one past the proxies. Such a write waits at the server, without an answer, until its session is cut.
 */
import type { RedisMachine } from "../topology.ts";
import { answerMaxMs, commandTimeoutMs, redisOf, type World } from "./world.ts";

/**
 * Milliseconds. Longer than the steps up to the old master's `REPLICAOF` take at their slowest: 1.5 s to catch up, and 1 s each for
 * promotion and release. A monitor that dies in between leaves the writes waiting for no longer than this.
 */
export const writesPausedMs = 4_000;

interface Target {
  shard: number;
  machine: RedisMachine;
}

/**
 * Has the server keep clients' writes waiting for `writesPausedMs` at most; reads, probes and replication go on.
 *
 * @throws when it does not answer; it may be paused all the same, until the time is over.
 */
export async function pauseWrites(world: World, { shard, machine }: Target): Promise<void> {
  const command: [string, ...string[]] = ["CLIENT", "PAUSE", String(writesPausedMs), "WRITE"];
  await redisOf(world, machine, shard).run([command], answerMaxMs(world));
}

/** Ends the pause; nothing happens to a server that is not paused. @throws when it does not answer. */
export async function resumeWrites(world: World, { shard, machine }: Target): Promise<void> {
  await redisOf(world, machine, shard).run([["CLIENT", "UNPAUSE"]], commandTimeoutMs);
}
