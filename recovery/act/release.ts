/** Sends the waiting traffic to a server, and cuts the remaining sessions with the old one. */
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import { cutEstablished } from "./fence.ts";
import { addressOf, proxyOf, shardOf, type World } from "./world.ts";

interface Target {
  shard: number;
  machine: RedisMachine;
  proxies: ProxyMachine[];
}

/**
 * Makes `machine` the one server that the proxies use. One proxy that fails does not hold up the other;
 * recovery repairs its lines when it answers again.
 *
 * @throws when no proxy took it.
 */
export async function release(world: World, { shard, machine, proxies }: Target): Promise<void> {
  const place = { address: addressOf(world, machine), port: shardOf(world, shard).redisPort };
  const results = await Promise.allSettled(
    proxies.map((proxy) => proxyOf(world, proxy).sendTraffic({ shard, machine }, place)),
  );
  const failures = results.flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : []));
  for (const failure of failures) world.log.warn({ failure }, "a proxy was not released");
  if (proxies.length > 0 && failures.length === proxies.length) throw new Error(failures.join("; "));
}

/**
 * Cuts what is left of the sessions with the old master, after every attempt to connect to it has ended
 * and moved on: one that was connecting during the fence may have got through since.
 */
export async function cut(world: World, { shard, machine, proxies }: Target): Promise<void> {
  await world.clock.sleep(world.topology.detection.connectTimeoutMs + 50);
  await Promise.allSettled(proxies.map((proxy) => cutEstablished(world, proxy, { shard, machine })));
}
