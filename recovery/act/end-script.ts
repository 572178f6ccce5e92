/** Ends a client's script or function that does not end by itself. While it runs, the server answers everybody with -BUSY. */
import { isReply } from "../observe/redis-link.ts";
import type { RedisMachine } from "../topology.ts";
import { commandTimeoutMs, redisOf, type World } from "./world.ts";

const pauseMs = 200;

/**
 * Kills the script. One that has written cannot be killed: half of its writes would stay. It gets `stallMs` more to end. Then the
 * process is ended. Nothing that was acknowledged is lost by that: the process writes its append-only file to disk first, and the
 * script's own writes, which nobody was told of, are in no file and on no replica. systemd starts the server again.
 *
 * @throws when the server does not answer, or refuses.
 */
export async function endScript(
  world: World,
  { shard, machine }: { shard: number; machine: RedisMachine },
): Promise<void> {
  const link = redisOf(world, machine, shard);
  const deadlineMs = world.clock.now() + world.topology.detection.stallMs;
  do {
    const replies = [
      await errorOf(link.run([["SCRIPT", "KILL"]], commandTimeoutMs)),
      await errorOf(link.run([["FUNCTION", "KILL"]], commandTimeoutMs)),
    ];
    const failure = replies.find((error) => error && !/BUSY|UNKILLABLE/.test(error.message));
    if (failure) throw failure;
    if (replies.includes(undefined)) return;
    if (replies.every((error) => /NOTBUSY/.test(error?.message ?? ""))) return;
    await world.clock.sleep(pauseMs);
  } while (world.clock.now() < deadlineMs);
  world.log.error({ shard, machine }, "the script has written and cannot be killed: its process is ended");
  // One that ends closes the connection, or does not answer in time. An error reply says that it goes on.
  const refusal = await errorOf(link.run([["SHUTDOWN", "NOSAVE"]], commandTimeoutMs));
  if (isReply(refusal?.cause)) throw refusal;
}

async function errorOf(answer: Promise<unknown>): Promise<Error | undefined> {
  try {
    await answer;
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
