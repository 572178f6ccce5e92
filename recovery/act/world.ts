/** The dependencies of acting: connections to servers and proxies, the cloud, the engine, the clock, and recovery's memory. */
import type { Clock } from "../clock.ts";
import type { Cloud } from "../cloud/cloud.ts";
import type { Engine } from "../cloud/engine.ts";
import type { Remote } from "../cloud/remote.ts";
import type { Remembered } from "../decide/memory/events.ts";
import type { Log } from "../log.ts";
import type { Board } from "../observe/board.ts";
import type { RedisConnection } from "../observe/links.ts";
import type { ProxyMachine, RedisMachine, Shard, Topology } from "../topology.ts";
import { haproxy } from "./haproxy.ts";
import type { ProxyVerbs } from "./proxy.ts";

export interface World {
  board: Board;
  topology: Topology;
  cloud: Cloud;
  engine: Engine;
  remote: Remote;
  clock: Clock;
  log: Log;
  /** Puts what was done into recovery's memory. */
  remember: (event: Remembered) => void;
}

/** How long one command to a redis server or a proxy may take; both answer in well under a millisecond when well. */
export const commandTimeoutMs = 1_000;

/**
 * How long the traffic waits for a redis server's answer in a planned switch: a machine that loses its power in this moment never
 * answers, and monit takes no longer to find it silent.
 */
export function answerMaxMs({ topology }: Pick<World, "topology">): number {
  return topology.detection.failures * topology.detection.connectTimeoutMs;
}

/** The connection to a redis server. @throws when its machine has no address. */
export function redisOf(world: Pick<World, "board">, machine: RedisMachine, shard: number): RedisConnection {
  const link = world.board.redis(machine, shard);
  if (!link) throw new Error(`${machine} has no address yet`);
  return link;
}

/** What a proxy can be told and asked. @throws when its machine has no address. */
export function proxyOf(world: World, machine: ProxyMachine): ProxyVerbs {
  const link = world.board.proxy(machine);
  if (!link) throw new Error(`${machine} has no address yet`);
  return haproxy(link, commandTimeoutMs);
}

/** The shard with this index. @throws when the topology has none. */
export function shardOf(world: World, index: number): Shard {
  const shard = world.topology.shards.find((one) => one.index === index);
  if (!shard) throw new Error(`the topology has no shard ${index}`);
  return shard;
}

/** Where a redis server is now. @throws when its machine has no address. */
export function addressOf(world: World, machine: RedisMachine | ProxyMachine): string {
  const { address } = world.board.facts().machines[machine];
  if (!address) throw new Error(`${machine} has no address yet`);
  return address;
}
