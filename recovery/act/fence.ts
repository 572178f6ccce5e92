/**
 * Rule 2, the acting half: takes the failed server out of every proxy, cuts its sessions, and checks that each proxy confirms both.
 * decide/rules/fence.ts has decided before which proxies need no command.
 */
import { within } from "../clock.ts";
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import type { Line } from "./proxy.ts";
import { commandTimeoutMs, proxyOf, type World } from "./world.ts";

/** How often the list of sessions is read until those that were cut are gone, and for how long (milliseconds): a list may take a second. */
const attemptsMax = 50;
const cutMaxMs = 3_000;
const pauseMs = 5;
/** So many are cut one by one. For each one haproxy takes a command and a search through its sessions. */
const fewSessions = 200;
/** For haproxy itself, after `connectTimeoutMs`, on a busy machine. */
const movedMs = 20;

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
 * Cuts the sessions that are connected to the server, which is out of the proxy. Those that are still trying to connect are spared:
 * they move to the new master by themselves, and a client that connects again sees no error.
 *
 * Thousands of sessions are cut by one command. It would cut connecting ones as well. So, if there are any, it waits until each of
 * them has failed and moved, or is connected: no new one chooses a server that is out.
 *
 * @throws when some are left after 50 attempts, or after 3 s.
 */
export async function cutEstablished(
  world: World,
  proxy: ProxyMachine,
  { shard, machine }: Line,
): Promise<void> {
  const told = proxyOf(world, proxy);
  const startMs = world.clock.now();
  let attempt = 0;
  for (; attempt < attemptsMax && world.clock.now() - startMs <= cutMaxMs; attempt += 1) {
    const sessions = await told.sessionsWith({ shard, machine });
    const established = sessions.filter((session) => session.established);
    if (established.length === 0) return;
    if (established.length <= fewSessions) await told.cut(established);
    else {
      if (established.length < sessions.length) await untilMoved(world, startMs);
      await told.cutAll({ shard, machine });
    }
    await world.clock.sleep(pauseMs);
  }
  throw new Error(
    `${proxy} still has sessions with ${machine} for shard ${shard} after ${attempt} attempts to cut them`,
  );
}

/** Waits until nobody who was connecting at `outMs` is connecting any more. */
async function untilMoved({ clock, topology }: World, outMs: number): Promise<void> {
  const restMs = outMs + topology.detection.connectTimeoutMs + movedMs - clock.now();
  if (restMs > 0) await clock.sleep(restMs);
}

/** Asked last: a command that came late before the proxy was barred shows here, and none comes after it. */
async function confirmOut(world: World, proxy: ProxyMachine, { shard, machine }: Line): Promise<void> {
  const isOut = proxyOf(world, proxy).isOut({ shard, machine });
  if (await within(world.clock, commandTimeoutMs, isOut, false)) return;
  throw new Error(`${proxy} did not confirm that ${machine} is out for shard ${shard}`);
}
