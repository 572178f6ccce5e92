/** The one place that says who is a shard's legitimate master. */
import type { RedisInfo } from "../../observe/facts.ts";
import type { RedisMachine } from "../../topology.ts";
import { type Memory, shardIn } from "../memory/memory.ts";

/**
 * Calls itself master in the very term in which its counterpart was seen to serve: recovery did not promote it, so
 * somebody did by hand. It is no master while the serving one may only be out of sight.
 */
export function isUsurper(memory: Memory, machine: RedisMachine, shard: number, info: RedisInfo): boolean {
  const last = shardIn(memory, shard).master;
  return last !== undefined && last.machine !== machine && info.epoch === last.epoch;
}
