/**
 * Rule 2, the acting half: takes the failed server out of every proxy, cuts its sessions, and checks that each proxy confirms both.
 * decide/rules/fence.ts has decided before which proxies need no command.
 */
import { within } from "../clock.ts";
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import type { Line } from "./proxy.ts";
import { commandTimeoutMs, proxyOf, type World } from "./world.ts";

/** How often the list of sessions is read until those that were cut are gone. */
const attemptsMax = 50;
const pauseMs = 5;

/** @throws when a proxy does not confirm; then nobody may be promoted. */
export async function fence(
  world: World,
  { shard, machine, proxies }: { shard: number; machine: RedisMachine; proxies: ProxyMachine[] },
): Promise<void> {
  const line = { shard, machine };
  await Promise.all(
    proxies.map(async (proxy) => {
      await proxyOf(world, proxy).bar(line);
      await cutEstablished(world, proxy, line);
      await confirmOut(world, proxy, line);
    }),
  );
}

/**
 * Cuts the sessions that are connected to the server. Those that are still trying to connect are spared:
 * they move to the new master by themselves, and a client that connects again sees no error.
 */
export async function cutEstablished(
  world: World,
  proxy: ProxyMachine,
  { shard, machine }: Line,
): Promise<void> {
  const told = proxyOf(world, proxy);
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const sessions = await told.sessionsWith({ shard, machine });
    const established = sessions.filter((session) => session.established);
    if (established.length === 0) return;
    await told.cut(established);
    await world.clock.sleep(pauseMs);
  }
  throw new Error(
    `${proxy} still has sessions with ${machine} for shard ${shard} after ${attemptsMax} attempts to cut them`,
  );
}

/** Asked last: a command that came late before the proxy was barred shows here, and none comes after it. */
async function confirmOut(world: World, proxy: ProxyMachine, { shard, machine }: Line): Promise<void> {
  const isOut = proxyOf(world, proxy).isOut({ shard, machine });
  if (await within(world.clock, commandTimeoutMs, isOut, false)) return;
  throw new Error(`${proxy} did not confirm that ${machine} is out for shard ${shard}`);
}
