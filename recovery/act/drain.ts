/** The gentle beginning of a planned switch: no new sessions for the old master, and time for short ones to end. */
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import { commandTimeoutMs, proxyOf, type World } from "./world.ts";

/** Long enough for a client that connects for one command; traffic that connects anew waits meanwhile. */
const drainMs = 100;
const pauseMs = 5;

/**
 * Takes the server out of the proxies and waits until its sessions have ended, for 0.1 s at most: clients that
 * keep their connection go on writing until the fence cuts it.
 */
export async function drain(
  world: World,
  { shard, machine, proxies }: { shard: number; machine: RedisMachine; proxies: ProxyMachine[] },
): Promise<void> {
  const { clock } = world;
  await Promise.all(
    proxies.map(async (proxy) => {
      const link = proxyOf(world, proxy);
      await link.tell([`set server shard${shard}/${machine} state maint`], commandTimeoutMs);
      const deadlineMs = clock.now() + drainMs;
      while (clock.now() < deadlineMs) {
        const sessions = await link.sessions(commandTimeoutMs);
        if (!sessions.some(({ backend, server }) => backend === `shard${shard}` && server === machine))
          return;
        await clock.sleep(pauseMs);
      }
    }),
  );
}
