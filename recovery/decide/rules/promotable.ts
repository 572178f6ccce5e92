/** Rules 3 and 4 as a question: why may this server not become master? */
import { serverId } from "../../observe/facts.ts";
import { counterpartOf, type RedisMachine } from "../../topology.ts";
import { offsetToHave, shardIn } from "../memory/memory.ts";
import { isInSync, isSurpassed } from "../view/in-sync.ts";
import { isUsed } from "../view/mastership.ts";
import { otherOf, type ServerView, type ShardView } from "../view/view.ts";
import { describeCopy, isBetterCopy } from "./copies.ts";
import { isPatienceOver } from "./data-volume.ts";

/**
 * The reason why the server must not be promoted now, or undefined.
 *
 * A server is not promoted while a better copy may exist. That is so if it loads its data or receives a full copy; if its data are of an
 * earlier epoch than the shard has reached; if it lagged behind when its master was lost, and that master may come back with more; or if
 * it is a restarted master whose replica had everything and may come back.
 */
export function whyNotPromotable(view: ShardView, machine: RedisMachine): string | undefined {
  if (view.servers[machine].answers && view.servers[machine].condemned) return `${machine} is being replaced`;
  return whyUnfit(view, machine);
}

/** The same without rule 4: why the server and its copy are not fit to serve, condemned or not. */
export function whyUnfit(view: ShardView, machine: RedisMachine): string | undefined {
  const server = view.servers[machine];
  const { copy, info } = server;
  if (!server.answers || !info || !copy) return `${machine} does not answer`;
  if (info.loading) return `${machine} is still loading its data`;
  if (info.follows?.syncing) return `${machine} was still receiving its copy`;
  // Half of a promotion would take effect: it becomes master, and refuses the new epoch.
  if (info.refusesWrites) return `${machine}'s disk is full, so that it refuses the new epoch`;
  if (info.epoch === undefined) return unreadable(machine);
  if (info.epoch < view.epoch) {
    return `${machine}'s data are of epoch ${info.epoch}, but the shard has reached epoch ${view.epoch}`;
  }
  const other = otherOf(view, server);
  // Nobody remembers a master of this shard, and this copy never had one: the other may hold data of any epoch.
  if (info.epoch === 0 && other.answers && other.info?.epoch === undefined) return unreadable(other.machine);
  return whyOtherIsBetter(view, server);
}

const unreadable = (machine: RedisMachine) =>
  `${machine}'s epoch cannot be read, or is not a whole number (key barton:epoch)`;

function whyOtherIsBetter(view: ShardView, server: ServerView): string | undefined {
  const other = otherOf(view, server);
  if (other.answers && other.copy && server.copy && isBetterCopy(other.copy, server.copy)) {
    return `the copy of ${describeCopy(other.copy)} is newer than that of ${describeCopy(server.copy)}`;
  }
  const doubt = whyIncomplete(view, server);
  if (!doubt) return undefined;
  if (other.answers)
    return other.info?.loading ? `${doubt}, and ${other.machine} still loads its data` : undefined;
  if (isPatienceOver(view.known, other)) return undefined;
  const seconds = view.known.limits.dataPatienceMs / 1000;
  return `${doubt}; ${other.machine}, which may have it, is waited for, for up to ${seconds} s`;
}

/** Why the counterpart's data may have what this copy lacks, or undefined. */
function whyIncomplete(view: ShardView, server: ServerView): string | undefined {
  const { machine, info } = server;
  if (isOfUnknownAge(view, server)) {
    const link = server.followsCounterpart ? "was never linked with it" : "does not follow it";
    return `nobody remembers how far the data of ${counterpartOf(machine)} reached, and ${machine} ${link}: its copy may be old`;
  }
  if (info && isSurpassed(view.known.memory, machine, view.shard.index, info)) {
    return `${machine}'s process is new and its file may lack what it wrote last`;
  }
  return lagged(view, server) ? `${machine} lagged behind when its master was lost` : undefined;
}

/**
 * Memory is lost (monit's machine was replaced, or its disk is damaged), and nothing shows that this copy is the last one that was
 * used. A replica that follows its counterpart, and was linked with it, has every confirmed write. Any other server may have been
 * fenced long ago, or may have started from a file that lacks the last second.
 */
function isOfUnknownAge(view: ShardView, { machine, info, followsCounterpart }: ServerView): boolean {
  const { index } = view.shard;
  if (shardIn(view.known.memory, index).master !== undefined || view.epoch === 0) return false;
  const { linkUp, downSeconds } = info?.follows ?? {};
  const wasLinked = linkUp === true || downSeconds !== undefined;
  if (followsCounterpart) return !wasLinked;
  return info?.role !== "master" || !isUsed(view.known.facts, index, machine);
}

/** Was it behind its master when that was last seen? What it lacks is lost when it is promoted all the same. */
export function lagged(view: ShardView, server: ServerView): boolean {
  const { memory, facts } = view.known;
  const shard = view.shard.index;
  const master = counterpartOf(server.machine);
  if (view.lastMaster?.machine !== master) return false;
  if (shardIn(memory, shard).master && !isInSync(memory, facts, server.machine, shard)) return true;
  const needed = offsetToHave(memory, serverId(master, shard));
  return needed !== undefined && server.copy !== undefined && server.copy.offset < needed;
}
