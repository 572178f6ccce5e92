/** Rules 3 and 4 as a question: why may this server not become master? */
import { type CloudState, serverId } from "../observe/facts.ts";
import { counterpartOf, type RedisMachine } from "../topology.ts";
import { describeCopy, isBetterCopy } from "./copies.ts";
import { isInSync, isSurpassed } from "./in-sync.ts";
import { offsetToHave } from "./memory.ts";
import { otherOf, type ServerView, type ShardView } from "./view.ts";

/**
 * The reason why the server must not be promoted now, or undefined.
 *
 * Never promoted while a better copy may exist: one that is loading or receiving a full copy, one of an
 * earlier term than the shard has reached, one that lagged behind when its master was lost and whose
 * master may come back with more, a restarted master whose replica had everything and may come back.
 */
export function whyNotPromotable(view: ShardView, machine: RedisMachine): string | undefined {
  if (view.servers[machine].answers && view.servers[machine].givenUp) return `${machine} is being replaced`;
  return whyUnfit(view, machine);
}

/** The same without rule 4: why the server and its copy are not fit to serve, given up or not. */
export function whyUnfit(view: ShardView, machine: RedisMachine): string | undefined {
  const server = view.servers[machine];
  const { copy, info } = server;
  if (!server.answers || !info || !copy) return `${machine} does not answer`;
  if (info.loading) return `${machine} is still loading its data`;
  if (info.follows?.syncing) return `${machine} was still receiving its copy`;
  if (info.epoch === undefined) return `${machine}'s epoch cannot be read`;
  if (info.epoch < view.epoch) {
    return `${machine}'s data are of epoch ${info.epoch}, but the shard has reached epoch ${view.epoch}`;
  }
  return whyOtherIsBetter(view, server);
}

function whyOtherIsBetter(view: ShardView, server: ServerView): string | undefined {
  const other = otherOf(view, server);
  if (other.answers && other.copy && server.copy && isBetterCopy(other.copy, server.copy)) {
    return `the copy of ${describeCopy(other.copy)} is newer than that of ${describeCopy(server.copy)}`;
  }
  if (other.answers) return undefined;
  if (isSurpassedBy(view, server, other)) {
    return `${server.machine}'s process is new and its file may lack what it wrote last, which ${other.machine} has`;
  }
  if (!lagged(view, server)) return undefined;
  const { graceMs } = view.known.limits;
  const waitedMs = view.known.facts.nowMs - (other.noticedMs ?? view.known.facts.nowMs);
  if (waitedMs >= graceMs || other.condition === "off") return undefined;
  return `${server.machine} lagged behind when its master was lost, and ${other.machine} may come back within ${graceMs / 1000} s`;
}

/** Confirmed writes may be on the silent counterpart alone: there is no limit to this patience but its end. */
function isSurpassedBy({ shard, known }: ShardView, server: ServerView, other: ServerView): boolean {
  const { facts, memory } = known;
  const { ordered, givenUp } = memory.durable;
  const isTakenAway = ordered[other.machine] || (other.givenUp && givenUp[other.machine]?.powerOffRequested);
  if (isTakenAway || isGoneForGood(facts.machines[other.machine].cloud)) return false;
  return isSurpassed(memory, server.machine, shard.index, server.info?.runId ?? "");
}

/** Unlike a stopped machine, which has its data still. */
const isGoneForGood = (state: CloudState | undefined) =>
  state === "terminated" || state === "shutting-down" || state === "missing";

/** Was it behind its master when that was last seen? What it lacks is lost when it is promoted all the same. */
export function lagged(view: ShardView, server: ServerView): boolean {
  const { memory, facts } = view.known;
  const shard = view.shard.index;
  const master = counterpartOf(server.machine);
  if (view.lastMaster?.machine !== master) return false;
  if (memory.durable.masters[shard] && !isInSync(memory, facts, server.machine, shard)) return true;
  const needed = offsetToHave(memory, serverId(master, shard));
  return needed !== undefined && server.copy !== undefined && server.copy.offset < needed;
}
