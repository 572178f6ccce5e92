/** Questions about one redis machine, by which the rows of its table are written (policy/redis-machine.ts). */
import type { RedisMachine } from "../../topology.ts";
import { isCondemned, orderFor, replacementOf } from "../memory/memory.ts";
import { isOnItsWayOut } from "../memory/replacement.ts";
import type { Step } from "../steps.ts";
import type { Known, ServerView, ShardView } from "../view/view.ts";
import { list, seconds, troubleOf } from "../view/words.ts";
import { orderOf, whyGoneForCloud } from "./condemn.ts";
import { isDead } from "./data-volume.ts";
import { whyCounterpartCannotServe, whyNeededAgain } from "./redundancy.ts";

/** One redis machine: the facts of its servers, one for each shard. */
export interface RedisMachineView {
  machine: RedisMachine;
  known: Known;
  shards: ShardView[];
  servers: ServerView[];
}

/**
 * Rule 5 asks about every shard: a redis machine is not judged by some of them.
 *
 * @throws when a shard's view could not be made.
 */
export function needAllShards({ facts }: Known, shards: ShardView[]): void {
  if (shards.length < facts.topology.shards.length)
    throw new Error("not every shard can be seen, so nobody knows what the machine still serves");
}

/** @throws when a shard's view could not be made. */
export function viewRedisMachine(known: Known, machine: RedisMachine, shards: ShardView[]): RedisMachineView {
  needAllShards(known, shards);
  return { known, machine, shards, servers: shards.map((view) => view.servers[machine]) };
}

/** Is the machine used again although it was condemned? */
export const isTakenBack = (view: RedisMachineView) => whyTakenBack(view) !== undefined;

/** Why the machine is used again although it was condemned, or undefined. */
export function whyTakenBack({ known, machine, shards }: RedisMachineView): string | undefined {
  const { facts, memory, limits } = known;
  const replacement = replacementOf(memory, machine);
  if (!replacement || !isCondemned(facts, memory, machine)) return undefined;
  if (isOnItsWayOut(replacement, facts.nowMs, limits.bootMs)) return undefined;
  if (whyGoneForCloud(facts.machines[machine], machine, true)) return undefined;
  return whyNeededAgain(machine, shards);
}

/** Is the machine lost? */
export const isRedisLost = (view: RedisMachineView) => whyRedisLost(view) !== undefined;

/** Is the machine lost, and does its counterpart serve every shard, or can take over every shard (rule 5)? */
export const isLostAndSpare = (view: RedisMachineView) => isRedisLost(view) && !whyNotSpare(view);

/** Is the machine lost, and does nothing of it serve anybody any more (rule 5, data-volume.ts)? */
export const isLostAndDead = (view: RedisMachineView) =>
  isRedisLost(view) && isDead(view.known, view.machine, view.servers);

/** Why the machine must not be condemned: its counterpart could not take over every shard. */
export const whyNotSpare = (view: RedisMachineView) => whyCounterpartCannotServe(view.machine, view.shards);

/** Why the redis machine is to be replaced, or undefined. */
export function whyRedisLost({ known, machine, servers }: RedisMachineView): string | undefined {
  const { facts, limits, memory } = known;
  if (orderFor(memory, machine)) return orderOf(known, machine);
  const gone = whyGoneForCloud(
    facts.machines[machine],
    machine,
    servers.some(({ answers }) => answers),
  );
  if (gone) return gone;
  const first = servers[0];
  if (first && servers.every(({ condition }) => condition === "silent")) return troubleOf(first);
  const late = servers.find(
    ({ out, noticedMs }) => out && facts.nowMs - (noticedMs ?? facts.nowMs) >= limits.graceMs,
  );
  return late && `${troubleOf(late)} and did not come back within ${seconds(limits.graceMs)}`;
}

/** Does a client's script keep one of its servers busy for longer than redis waits for it (busy-reply-threshold)? */
export const isScriptEndless = ({ servers }: RedisMachineView) => servers.some(isBusy);
export const troubleOfBusyServers = ({ servers }: RedisMachineView) => troubles(servers, isBusy);

export const endScripts = ({ shards, machine }: RedisMachineView): Step[] =>
  shards
    .filter(({ servers }) => isBusy(servers[machine]))
    .map(({ shard }) => ({ do: "end script", shard: shard.index, machine }));

const isBusy = ({ heard, refusal }: ServerView) => heard && refusal?.kind === "busy";

/** Is one of its servers out, while the machine itself is not lost? */
export const isProcessLost = ({ servers }: RedisMachineView) => servers.some(({ out }) => out);
export const troubleOfLostProcesses = ({ servers }: RedisMachineView) => troubles(servers, ({ out }) => out);

/** Does one of its servers live, but refuse recovery for a reason that a person must look at? */
export const isRecoveryRefused = ({ servers }: RedisMachineView) => servers.some(refusesRecovery);
export const refusalsOf = ({ servers }: RedisMachineView) => troubles(servers, refusesRecovery);

/** Has one of its servers not answered? */
export const isNotSeenWhole = ({ servers }: RedisMachineView) => servers.some(isSilent);
export const troubleOfSilentServers = ({ servers }: RedisMachineView) => troubles(servers, isSilent);

/** Do all of its servers answer? */
export const isPresent = ({ servers }: RedisMachineView) => servers.every(({ answers }) => answers);

const isSilent = ({ answers }: ServerView) => !answers;

/** One that loads or runs a script answers again by itself. */
function refusesRecovery({ refusal, out }: ServerView): boolean {
  return !out && refusal !== undefined && refusal.kind !== "loading" && refusal.kind !== "busy";
}

/** The troubles of the servers that are meant, each sentence once. */
function troubles(servers: ServerView[], isMeant: (server: ServerView) => boolean): string {
  return list([...new Set(servers.filter(isMeant).map(troubleOf))]);
}
