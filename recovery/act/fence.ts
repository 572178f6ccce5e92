/**
 * Rule 2, the acting half: takes the failed server out of every proxy, cuts its sessions, and checks that each proxy confirms both.
 * decide/rules/fence.ts has decided before which proxies need no command.
 */
import type { ProxyConnection } from "../observe/links.ts";
import type { Session } from "../observe/proxy-stat.ts";
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import { commandTimeoutMs, proxyOf, type World } from "./world.ts";

/** How often the list of sessions is read until those that were cut are gone. */
const attemptsMax = 50;
const pauseMs = 5;

/** @throws when a proxy does not confirm; then nobody may be promoted. */
export async function fence(
  world: World,
  { shard, machine, proxies }: { shard: number; machine: RedisMachine; proxies: ProxyMachine[] },
): Promise<void> {
  await Promise.all(
    proxies.map(async (proxy) => {
      const link = proxyOf(world, proxy);
      await link.tell([`set server shard${shard}/${machine} state maint`], commandTimeoutMs);
      await cutEstablished(world, link, shard, machine, proxy);
      await confirmOut(link, shard, machine, proxy);
    }),
  );
}

/**
 * Cuts the sessions that are connected to the server. Those that are still trying to connect are spared:
 * they move to the new master by themselves, and a client that connects anew sees no error.
 */
export async function cutEstablished(
  world: World,
  link: ProxyConnection,
  shard: number,
  machine: RedisMachine,
  proxy: ProxyMachine,
): Promise<void> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const sessions = (await link.sessions(commandTimeoutMs)).filter(isOf(shard, machine));
    if (sessions.length === 0) return;
    await link.cut(sessions, commandTimeoutMs);
    await world.clock.sleep(pauseMs);
  }
  throw new Error(
    `${proxy} still has sessions with ${machine} for shard ${shard} after ${attemptsMax} attempts to cut them`,
  );
}

async function confirmOut(
  link: ProxyConnection,
  shard: number,
  machine: RedisMachine,
  proxy: ProxyMachine,
): Promise<void> {
  const answer = await link.ask();
  if ("view" in answer && answer.view.shards[shard]?.[machine].traffic.maintenance) return;
  throw new Error(`${proxy} did not confirm that ${machine} is out for shard ${shard}`);
}

const isOf = (shard: number, machine: RedisMachine) => (session: Session) =>
  session.established && session.backend === `shard${shard}` && session.server === machine;
