/**
 * Decide: facts and memory in; situations, steps and sentences out. Pure: no socket, no clock, no file.
 *
 * Every shard, machine and proxy is a subject of its own with one decision per cycle, so trouble with one never delays another. The
 * replacement is one subject, because Pulumi has one lock.
 */
import type { Facts } from "../observe/facts.ts";
import type { Limits } from "../settings.ts";
import { proxyMachines, redisMachines } from "../topology.ts";
import {
  bugDecision,
  type Decision,
  decisionOf,
  type NamedRow,
  type Subject,
  toDecision,
  unknownDecision,
} from "./decision.ts";
import { type Attempt, type Fault, isolation } from "./isolate.ts";
import { rememberLooks, withPatience } from "./memory/flapping.ts";
import { isCondemned, type Memory, verdictOn } from "./memory/memory.ts";
import { remember } from "./memory/remember.ts";
import { appSituations, monitSituations } from "./policy/app-and-monit.ts";
import { proxySituations } from "./policy/proxy.ts";
import { redisSituations } from "./policy/redis-machine.ts";
import { replacementSituations } from "./policy/replacement.ts";
import { type ShardRow, shardSituations } from "./policy/shard.ts";
import { findRow } from "./policy/table.ts";
import { writeSituations } from "./policy/writes.ts";
import { whySteppedBack } from "./rules/one-monitor.ts";
import type { ShardIntent } from "./rules/proxy-changes.ts";
import { type ProxyMachineView, viewProxyMachine } from "./rules/proxy-machine.ts";
import { type RedisMachineView, viewRedisMachine } from "./rules/redis-machine.ts";
import { viewReplacement } from "./rules/replacement.ts";
import type { OrderedShardView, Switches } from "./rules/switchover.ts";
import { sentenceOf } from "./sentence.ts";
import { asSeen, rememberSight, whyBlind } from "./view/sight.ts";
import { type Known, type ServerView, type ShardView, viewShard } from "./view/view.ts";

export interface Outcome {
  decisions: Decision[];
  memory: Memory;
  /** One English sentence for all of it. */
  sentence: string;
  /** The desired state (docs/architecture.md, "Recovery is a reconciler"). */
  settled: boolean;
  /** Somebody fails probes without a verdict: look faster. */
  doubt: boolean;
  /** Without a shard whose view could not be made. */
  shards: ShardView[];
  /** Exceptions that nobody expected: what they stopped was not decided, all else was. */
  faults: Fault[];
}

/**
 * One cycle.
 *
 * @param busy subjects with steps under way; a proxy's lines of a busy shard are left alone.
 * @param switches planned switches that somebody ordered.
 */
export function decide(
  given: Facts,
  memory: Memory,
  limits: Limits,
  busy: ReadonlySet<Subject> = new Set(),
  switches: Switches = {},
): Outcome {
  const { attempt, faults } = isolation();
  const sighted = rememberSight(memory, given);
  const seen = asSeen(given, sighted);
  const blind = whyBlind(seen);
  const spells = blind ? (sighted.spells ?? {}) : rememberLooks(sighted.spells ?? {}, seen, limits.graceMs);
  const facts = withPatience(seen, spells);
  // A verdict that a blind monitor reached (after `bootMs` it needs no second witness) would stand when it sees again.
  const remembered = blind ? sighted : remember({ ...sighted, spells }, facts, limits, attempt);
  const known: Known = { facts, memory: remembered, limits };
  const shards = facts.topology.shards.flatMap((shard): OrderedShardView[] => {
    const view = attempt(`shard ${shard.index}`, () => viewShard(known, shard));
    return view ? [{ ...view, switchTo: switches[shard.index] }] : [];
  });
  const doubt = attempt("the pace", () => isDoubtful(known)) ?? true;
  const base = { memory: known.memory, doubt, shards, faults };
  const restraint = blind ?? whySteppedBack(facts);
  if (restraint) return { ...base, decisions: [], sentence: restraint, settled: false };
  const decisions = decideAll(known, shards, busy, attempt);
  return {
    ...base,
    decisions,
    sentence: sentenceOf(decisions),
    settled: decisions.every(({ settled }) => settled) && faults.length === 0,
  };
}

/**
 * The decision about one subject as it would be now (rule 7: look again under the lock), and the memory behind it. The caller must
 * store the memory: when recovery acts on a verdict, the server goes out of the proxies, they do not probe it any more, and nobody
 * could reach that verdict a second time.
 *
 * @throws when there is no such subject.
 */
export function reconsider(
  facts: Facts,
  memory: Memory,
  limits: Limits,
  subject: Subject,
  busy: ReadonlySet<Subject>,
  switches: Switches = {},
): { decision: Decision | undefined; memory: Memory } {
  const others = new Set([...busy].filter((one) => one !== subject));
  const outcome = decide(facts, memory, limits, others, switches);
  return {
    decision: outcome.decisions.find((decision) => decision.subject === subject),
    memory: outcome.memory,
  };
}

function decideAll(
  known: Known,
  shards: OrderedShardView[],
  busy: ReadonlySet<Subject>,
  attempt: Attempt,
): Decision[] {
  const { topology } = known.facts;
  const isolated = (subject: Subject, work: () => Decision) => attempt(subject, work) ?? bugDecision(subject);
  const intents: ShardIntent[] = [];
  const shardDecisions = topology.shards.map(({ index }) => {
    const subject: Subject = `shard ${index}`;
    const view = shards.find(({ shard }) => shard.index === index);
    const decided = view && attempt(subject, () => decideShard(view));
    if (view) intents.push({ view, traffic: decided?.traffic ?? "as it is", busy: busy.has(subject) });
    return decided?.decision ?? bugDecision(subject);
  });
  return [
    ...shardDecisions,
    ...redisMachines.map((machine) =>
      isolated(machine, () => decideRedis(viewRedisMachine(known, machine, shards))),
    ),
    ...proxyMachines.map((machine) =>
      isolated(machine, () => decideProxy(viewProxyMachine(known, machine, shards, intents))),
    ),
    isolated("app", () => decideApp(known)),
    isolated("monit", () => decideMonit(known)),
    isolated("replacement", () => decideReplacement(known, shards)),
  ];
}

interface ShardDecision extends Pick<ShardIntent, "traffic"> {
  decision: Decision;
}

/** Both tables of a shard. The row that tells decides about the traffic; where neither is settled, both tell. */
function decideShard(view: OrderedShardView): ShardDecision {
  const { redis1, redis2 } = view.servers;
  const subject: Subject = `shard ${view.shard.index}`;
  const describe = () =>
    `${subject}: redis1 ${redis1.condition} (${redis1.info?.role}), redis2 ${redis2.condition} (${redis2.info?.role}), last master ${view.lastMaster?.machine}`;
  const sinceMs = sinceOf([redis1, redis2]);
  try {
    const row = findRow<OrderedShardView, NamedRow<OrderedShardView> & ShardRow>(
      shardSituations,
      view,
      describe,
    );
    const writes = findRow<OrderedShardView, NamedRow<OrderedShardView> & ShardRow>(
      writeSituations,
      view,
      describe,
    );
    const told = row.settled && !writes.settled ? writes : row;
    const decided = { ...toDecision(subject, told, view), sinceMs };
    const isBoth = !row.settled && !writes.settled;
    const decision = isBoth ? { ...decided, writes: toDecision(subject, writes, view) } : decided;
    return { decision, traffic: told.traffic };
  } catch (error) {
    return { decision: unknownDecision(subject, error), traffic: "as it is" };
  }
}

function decideRedis(view: RedisMachineView): Decision {
  const describe = () => `${view.machine}: ${view.servers.map(({ condition }) => condition).join(", ")}`;
  return { ...decisionOf(view.machine, redisSituations, view, describe), sinceMs: sinceOf(view.servers) };
}

function decideProxy(view: ProxyMachineView): Decision {
  const { look } = view.known.facts.proxies[view.machine];
  const describe = () => `${view.machine}: ${JSON.stringify(look)}`;
  return { ...decisionOf(view.machine, proxySituations, view, describe), sinceMs: look.sinceMs };
}

function decideApp(known: Known): Decision {
  const { sinceMs } = known.facts.app.look;
  return { ...decisionOf("app", appSituations, { machine: "app", known }, () => "app"), sinceMs };
}

function decideMonit({ facts }: Known): Decision {
  const view = { machine: "monit", facts: facts.machines.monit } as const;
  return decisionOf("monit", monitSituations, view, () => "monit");
}

/** @throws when a redis machine is to be replaced and not every shard can be seen. */
function decideReplacement(known: Known, shards: ShardView[]): Decision {
  const view = viewReplacement(known, shards);
  return decisionOf("replacement", replacementSituations, view, () => JSON.stringify(view.pending));
}

/** True if a verdict may come soon. Servers that are out already do not count. */
function isDoubtful({ facts, memory }: Known): boolean {
  const servers = Object.entries(facts.servers).filter(([id]) => !verdictOn(memory, id));
  const proxies = proxyMachines.filter((proxy) => !isCondemned(facts, memory, proxy));
  const looks = [
    ...servers.flatMap(([, server]) => Object.values(server.looks)),
    ...proxies.map((proxy) => facts.proxies[proxy].look),
  ];
  return looks.some(({ state }) => state === "failing" || state === "down");
}

/** When the first sign of trouble with servers that are out was seen; undefined while none is out. */
function sinceOf(servers: ServerView[]): number | undefined {
  const moments = servers.flatMap(({ out, sinceMs }) => (out && sinceMs !== undefined ? [sinceMs] : []));
  return moments.length > 0 ? Math.min(...moments) : undefined;
}
