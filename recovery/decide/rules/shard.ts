/** Questions about one shard, by which the rows of its two tables are written (policy/shard.ts, policy/writes.ts). */
import { soleMaster } from "../view/mastership.ts";
import { progressOf, whyCopyIsStuck } from "../view/reasons.ts";
import { otherOf, type ServerView, type ShardView } from "../view/view.ts";
import { troubleOf } from "../view/words.ts";
import { compareCopies, describeCopy } from "./copies.ts";
import { planFence } from "./fence.ts";
import { lagged, whyNotPromotable } from "./promotable.ts";

// Who is master.

export const hasTwoMasters = ({ masters }: ShardView) => masters.length === 2;

/** Of two masters, the one that stays (view/mastership.ts). @throws when there are not two. */
export function winnerOf(view: ShardView): ServerView {
  if (!view.winner) throw new Error(`shard ${view.shard.index} does not have two masters`);
  return view.winner;
}

export const loserOf = (view: ShardView) => otherOf(view, winnerOf(view));

const isSole = (view: ShardView) => view.masters.length === 1;

/** The only master. @throws when there is none, or more than one. */
export function masterOf(view: ShardView): ServerView {
  const master = soleMaster(view);
  if (!master) throw new Error(`shard ${view.shard.index} has no single master`);
  return master;
}

/** The counterpart of the only master, whether it replicates or not. */
export const replicaOf = (view: ShardView) => otherOf(view, masterOf(view));

export const masterText = (view: ShardView) => `${masterOf(view).machine} serves`;

// The epoch of the only master.

export const epochOf = (server: ServerView | undefined) => server?.info?.epoch ?? 0;

/** Does the master serve again after a promotion of its counterpart that was begun and not answered? */
export const isPromotionUnanswered = (view: ShardView) =>
  isSole(view) && epochOf(masterOf(view)) < view.attempted;

/** The epoch that the data of a master must have at least. */
export const epochToHave = (view: ShardView) => Math.max(view.epoch, 1);

/** Do the master's data lack the epoch that recovery has written? */
export const isEpochMissing = (view: ShardView) =>
  isSole(view) && epochOf(masterOf(view)) < epochToHave(view);

// A master that is to be moved.

/** A condemned machine leaves before one whose failover is only ordered: when both are to leave, one must serve meanwhile. */
const urgencyOf = ({ leaving, condemned }: ServerView) => (condemned ? 2 : leaving ? 1 : 0);
const maySucceed = (server: ServerView, master: ServerView) =>
  server.answers && server.synced && !refusesWrites(server) && urgencyOf(server) < urgencyOf(master);
/** A replica whose copy of the present epoch's first write, the epoch itself, was not seen yet is left to its sync. */
const hasReached = (view: ShardView, server: ServerView) => epochOf(server) >= view.epoch;

/** Is the master's machine to be replaced, and can the replica succeed it? */
export const isMasterToLeave = (view: ShardView) =>
  isSole(view) && maySucceed(replicaOf(view), masterOf(view)) && hasReached(view, replicaOf(view));

/** And can the master be fenced? */
export const mayMasterLeave = (view: ShardView) => isMasterToLeave(view) && !switchTrouble(view);

/** Why the only master cannot be fenced now (rule 2), or undefined. */
export const switchTrouble = (view: ShardView) =>
  planFence(view.known.facts, view.known.memory, masterOf(view).machine).blocked;

// The replica.

/**
 * By address: a redis that starts follows nobody, a name may lead to a machine that is gone. A redis that loads its data refuses the
 * command, so it gets the command later.
 */
export function isReplicaDrifted(view: ShardView): boolean {
  if (!isSole(view)) return false;
  const { answers, followsCounterpart, info } = replicaOf(view);
  return answers && !followsCounterpart && info?.loading !== true;
}

/** Does the replica get no full copy, for a reason that does not end by itself? */
export const isCopyStuck = (view: ShardView) =>
  isSole(view) &&
  replicaOf(view).answers &&
  whyCopyIsStuck(view.known, view.shard.index, replicaOf(view)) !== undefined;

/** What the replica is doing on its way to a full copy. */
export const syncText = (view: ShardView) => progressOf(view.known, view.shard.index, replicaOf(view));

export const isReplicaSyncing = (view: ShardView) =>
  isSole(view) && replicaOf(view).answers && !replicaOf(view).synced;
export const isReplicaAway = (view: ShardView) => isSole(view) && !replicaOf(view).answers;
export const isServed = (view: ShardView) => isSole(view) && replicaOf(view).synced;

// Writes.

/** Does the only master say that it refuses writes, because it cannot write to its disk? */
export const areWritesRefused = (view: ShardView) => isSole(view) && refusesWrites(masterOf(view));

/** And can the replica take over by a planned switch? */
export const isReliefPossible = (view: ShardView) => areWritesRefused(view) && !whyNoRelief(view);

/** Why the replica of a master that refuses writes cannot take over now, or undefined. */
export function whyNoRelief(view: ShardView): string | undefined {
  const other = replicaOf(view);
  if (!other.answers || !other.synced || !hasReached(view, other)) return `${other.machine} has no copy yet`;
  if (other.condemned) return `${other.machine} is being replaced`;
  return refusesWrites(other) ? `${other.machine}'s disk is full too` : switchTrouble(view);
}

/** Does the replica say that it cannot write to its disk? */
export const isReplicaDiskFull = (view: ShardView) =>
  isSole(view) && replicaOf(view).answers && refusesWrites(replicaOf(view));

const refusesWrites = ({ info }: ServerView) => info?.refusesWrites === true;

// A shard without a master.

export const isMasterStalling = ({ lastMaster }: ShardView) => lastMaster?.condition === "stalling";
export const isMasterDoubted = ({ lastMaster }: ShardView) =>
  lastMaster !== undefined && !lastMaster.answers && !lastMaster.out && !lastMaster.succeeded;

/** What is wrong with the server that was last known to serve. */
export const lastMasterTrouble = ({ lastMaster }: ShardView) =>
  lastMaster ? troubleOf(lastMaster) : "no server is known";

/** Never initialised: nobody has ever been promoted, neither the data nor recovery's memory know an epoch. */
function isNeverInitialised({ answering, epoch, masters }: ShardView): boolean {
  return (
    epoch === 0 &&
    masters.length === 0 &&
    answering.length > 0 &&
    answering.every(({ info }) => info?.epoch === 0)
  );
}

export const silentServersOf = ({ servers }: ShardView) =>
  [servers.redis1, servers.redis2].filter(({ answers }) => !answers);

export const mustFirstStartWait = (view: ShardView) =>
  isNeverInitialised(view) && silentServersOf(view).some(({ out }) => !out);
export const isFirstStart = (view: ShardView) => isNeverInitialised(view) && isTakeoverPossible(view);

export const isMasterLost = (view: ShardView) => view.lastMaster?.out === true && isTakeoverPossible(view);

/** Is there a candidate, and can its counterpart be fenced? */
export const isTakeoverPossible = (view: ShardView) => isCandidateThere(view) && !fenceTrouble(view);
export const isCandidateThere = (view: ShardView) => candidateOf(view) !== undefined;

/**
 * The best copy among those that may be promoted. Its counterpart must have been looked at: a server that was not seen yet may be
 * the master.
 */
export function candidateOf(view: ShardView): ServerView | undefined {
  if (view.masters.length > 0) return undefined;
  return view.answering
    .filter((server) => otherOf(view, server).looked && !whyNotPromotable(view, server.machine))
    .sort((a, b) => (a.copy && b.copy ? compareCopies(a.copy, b.copy) : 0))[0];
}

/** The candidate with the inputs of the comparison, and what its promotion loses. */
export function candidateText(view: ShardView): string {
  const candidate = candidateOf(view);
  const loss = candidate && lagged(view, candidate) ? ", which lagged behind: what it lacks is lost," : "";
  return `${copyText(candidate)}${loss}`;
}

export const copyText = (server: ServerView | undefined) =>
  server?.copy ? describeCopy(server.copy) : "nobody";

/** Why the candidate's counterpart cannot be fenced now (rule 2), or undefined. */
export function fenceTrouble(view: ShardView): string | undefined {
  const candidate = candidateOf(view);
  if (!candidate) return undefined;
  return planFence(view.known.facts, view.known.memory, otherOf(view, candidate).machine).blocked;
}

export const doesSomeServerAnswer = ({ answering }: ShardView) => answering.length > 0;
export const doesNoServerAnswer = ({ answering }: ShardView) => answering.length === 0;
export const areBothOut = ({ servers }: ShardView) => servers.redis1.out && servers.redis2.out;

/** Why no server that answers may be promoted (rule 3). */
export const whyNobodyIsPromotable = (view: ShardView) =>
  view.answering
    .map((server) => {
      const unseen = `${otherOf(view, server).machine} has not answered yet`;
      return whyNotPromotable(view, server.machine) ?? unseen;
    })
    .join("; ");
