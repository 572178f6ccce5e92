/**
 * Does a replica have everything its master has acknowledged? Redis's own word for it, "link up", comes too
 * early: after a full copy the stream of writes begins up to a second later, with the replica's next
 * acknowledgement. So a replica is in sync when its offset was seen to move on a link that is up (the
 * master's pings move it every second, writes or not).
 */
import { type Facts, serverId } from "../observe/facts.ts";
import { counterpartOf, type RedisMachine } from "../topology.ts";
import type { Memory } from "./memory.ts";

/** A link must be down this long while the master answers, before the replica counts as behind. */
const linkDownPatienceMs = 1_000;

/**
 * Takes in the link of the shard's replica while `master` serves.
 *
 * A dying master breaks the replica's link a moment before monit notices the death itself; so a link that
 * is down makes the replica one that lags behind only when the master goes on answering.
 */
export function rememberSync(memory: Memory, facts: Facts, master: RedisMachine, shard: number): void {
  const { inSync, out } = memory.durable;
  const id = serverId(counterpartOf(master), shard);
  const replica = facts.servers[id];
  const server = facts.servers[serverId(master, shard)];
  if (out[id]) delete inSync[shard];
  if (replica?.looks.monit.state !== "up" || !replica.info || !server?.info) return;
  const { info } = replica;
  const before = memory.links[id];
  const up = info.follows?.linkUp === true && !info.loading;
  const link = before?.up === up ? before : { up, sinceMs: facts.nowMs, offset: info.offset };
  memory.links[id] = link;
  const isNewLink = up && before?.up === false;
  const isLongDown = !up && (server.askedMs ?? 0) - link.sinceMs > linkDownPatienceMs;
  if (isNewLink || isLongDown) delete inSync[shard];
  if (up && info.offset > link.offset) inSync[shard] = { master: server.info.runId, replica: info.runId };
}

/**
 * Was this server master until its process ended, with a replica that had everything of it? Its file may lack the
 * last second (`appendfsync everysec`, a loss of power), also of what that replica had confirmed. Known from
 * durable memory alone: the replica need not have been seen since recovery started.
 */
export function isSurpassed(
  { durable }: Memory,
  machine: RedisMachine,
  shard: number,
  runId: string,
): boolean {
  const last = durable.masters[shard];
  return last?.machine === machine && last.runId !== runId && durable.inSync[shard]?.master === last.runId;
}

/** Was this replica's present process seen to receive everything from its master's last known process? */
export function isInSync(memory: Memory, facts: Facts, machine: RedisMachine, shard: number): boolean {
  const seen = memory.durable.inSync[shard];
  const master = memory.durable.masters[shard];
  const runId = facts.servers[serverId(machine, shard)]?.info?.runId;
  return (
    seen !== undefined &&
    master?.machine === counterpartOf(machine) &&
    seen.master === master.runId &&
    seen.replica === runId
  );
}
