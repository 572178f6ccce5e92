/**
 * Ends the sessions that a redis server still has with a proxy that is gone. Redis would keep them until TCP gives up. Meanwhile a
 * blocked client among them (BLPOP) would be handed the next job, which nobody would ever do.
 */
import { sessionIdsFrom } from "../observe/redis-info.ts";
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import { addressOf, commandTimeoutMs, redisOf, type World } from "./world.ts";

/** @throws when the server does not answer, or refuses. */
export async function endSessions(
  world: World,
  { shard, machine, proxy }: { shard: number; machine: RedisMachine; proxy: ProxyMachine },
): Promise<void> {
  const link = redisOf(world, machine, shard);
  const address = addressOf(world, proxy);
  const [list] = await link.run([["CLIENT", "LIST"]], commandTimeoutMs);
  const ids = sessionIdsFrom(String(list), address);
  // The reply is the number of ended sessions: 0 for one that has ended meanwhile.
  if (ids.length > 0)
    await link.run(
      ids.map((id) => ["CLIENT", "KILL", "ID", id]),
      commandTimeoutMs,
    );
}
