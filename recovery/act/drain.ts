/** The gentle beginning of a planned switch: no new sessions for the old master, and time for short ones to end. */
import type { Session } from "../observe/proxy-stat.ts";
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import { proxyOf, type World } from "./world.ts";

/** Long enough for a client that connects for one command; a new connection waits meanwhile. */
const drainMs = 100;
const pauseMs = 5;

/**
 * Takes the server out of the proxies and waits until its sessions have ended, for 0.1 s at most: clients that keep their
 * connection go on writing until the fence cuts it. A session whose connection to the server is still on its way gets the same
 * time once it is there, or moves on when haproxy's time to connect is over: so when this ends, nobody is connecting any more.
 */
export async function drain(
  world: World,
  { shard, machine, proxies }: { shard: number; machine: RedisMachine; proxies: ProxyMachine[] },
): Promise<void> {
  await Promise.all(
    proxies.map(async (proxy) => {
      const told = proxyOf(world, proxy);
      await told.takeOut([{ shard, machine }]);
      await untilEnded(world, () => told.sessionsWith({ shard, machine }));
    }),
  );
}

async function untilEnded({ clock, topology }: World, list: () => Promise<Session[]>): Promise<void> {
  const lastMs = clock.now() + topology.detection.connectTimeoutMs + drainMs;
  let deadlineMs = clock.now() + drainMs;
  while (clock.now() < deadlineMs) {
    const sessions = await list();
    if (sessions.length === 0) return;
    if (sessions.some(({ established }) => !established))
      deadlineMs = Math.min(clock.now() + drainMs, lastMs);
    await clock.sleep(pauseMs);
  }
}
