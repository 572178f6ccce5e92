/**
 * Does a replica have everything its master has acknowledged? Redis's own word for it, "link up", comes too
 * early: after a full copy the stream of writes begins up to a second later, with the replica's next
 * acknowledgement. So a replica is in sync when its offset was seen to move on a link that is up (the
 * master's pings move it every second, writes or not).
 */
import { type Facts, type RedisInfo, serverId } from "../../observe/facts.ts";
import { counterpartOf, type RedisMachine } from "../../topology.ts";
import { entryOf, type Memory, shardIn, verdictOn } from "../memory/memory.ts";

/** A link must be down this long while the master answers, before the replica counts as behind. */
const linkDownPatienceMs = 1_000;

/**
 * Takes in the link of the shard's replica while `master` serves.
 *
 * A dying master breaks the replica's link a moment before monit notices the death itself; so a link that
 * is down makes the replica one that lags behind only when the master goes on answering.
 */
export function rememberSync(memory: Memory, facts: Facts, master: RedisMachine, shard: number): void {
  const remembered = entryOf(memory.durable.shards, shard, { epoch: 0, attempted: 0 });
  const id = serverId(counterpartOf(master), shard);
  const replica = facts.servers[id];
  const server = facts.servers[serverId(master, shard)];
  if (verdictOn(memory, id)) delete remembered.inSync;
  if (replica?.looks.monit.state !== "up" || !replica.info || !server?.info) return;
  const { info } = replica;
  const seen = entryOf(memory.seen, id, {});
  const before = seen.link;
  const up = info.follows?.linkUp === true && !info.loading;
  const { counters } = server.info;
  const link =
    before?.up === up ? before : { up, sinceMs: facts.nowMs, offset: info.offset, master: counters };
  seen.link = link;
  const isNewLink = up && before?.up === false;
  const isLongDown = !up && (server.askedMs ?? 0) - link.sinceMs > linkDownPatienceMs;
  if (isNewLink || isLongDown) delete remembered.inSync;
  if (up && info.offset > link.offset) remembered.inSync = { master: server.info.runId, replica: info.runId };
}

/** Between two looks a copy may have received so many beats unseen. */
const beatsUnseenMax = 2;

/**
 * Was this server master until its process ended, and may its replica have something that its file lacks? A file may lack the
 * last second (`appendfsync everysec`, a loss of power), also of what the replica had confirmed; not so when the replica
 * was seen last with an earlier beat than the file has. A replica that was not seen since recovery started may have anything.
 */
export function isSurpassed(memory: Memory, machine: RedisMachine, shard: number, info: RedisInfo): boolean {
  const last = shardIn(memory, shard).master;
  if (last?.machine !== machine || last.runId === info.runId) return false;
  const other = memory.seen[serverId(counterpartOf(machine), shard)]?.reached;
  if (!other) return true;
  const epoch = info.epoch ?? 0;
  return other.epoch > epoch || (other.epoch === epoch && other.beat + beatsUnseenMax >= (info.beat ?? 0));
}

/** Was this replica's present process seen to receive everything from its master's last known process? */
export function isInSync(memory: Memory, facts: Facts, machine: RedisMachine, shard: number): boolean {
  const { inSync: seen, master } = shardIn(memory, shard);
  const runId = facts.servers[serverId(machine, shard)]?.info?.runId;
  return (
    seen !== undefined &&
    master?.machine === counterpartOf(machine) &&
    seen.master === master.runId &&
    seen.replica === runId
  );
}
