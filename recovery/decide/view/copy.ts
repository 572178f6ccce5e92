/** The copy of a shard's data that a server has, as far as its value is concerned (rules/copies.ts compares two of them). */
import { type Facts, type RedisInfo, serverId } from "../../observe/facts.ts";
import { counterpartOf, type RedisMachine } from "../../topology.ts";
import { type Memory, shardIn } from "../memory/memory.ts";
import type { Copy } from "../rules/copies.ts";
import { isInSync } from "./in-sync.ts";

/**
 * A restarted process counts its offset from the beginning although its append-only file holds what it had: until
 * it follows somebody again, the offset of its former self counts. But the file may lack the last second
 * (`appendfsync everysec`, a loss of power), so it never counts against a replica that had everything of
 * that former self.
 */
export function copyOf(
  facts: Facts,
  memory: Memory,
  machine: RedisMachine,
  shard: number,
  info: RedisInfo,
): Copy {
  const former = memory.seen[serverId(machine, shard)]?.offset;
  // Another instance had to be powered off, so that its volume lacks an unknown part of what its former self had.
  const isSameInstance = former?.instanceId === facts.machines[machine].instanceId;
  const isRestarted = former !== undefined && former.runId !== info.runId;
  const isCovered = isRestarted && isInSync(memory, facts, counterpartOf(machine), shard);
  const complete = !info.loading && !info.follows?.syncing && info.epoch !== undefined;
  const isCredited = isSameInstance && !isCovered;
  const offset = isCredited ? Math.max(info.offset, former?.offset ?? 0) : info.offset;
  const wasMaster = shardIn(memory, shard).master?.machine === machine;
  return { machine, complete, epoch: info.epoch ?? 0, beat: info.beat ?? 0, offset, wasMaster };
}
