/**
 * Decide: facts and memory in; situations, steps and sentences out. Pure: no socket, no clock, no file.
 *
 * Every shard, machine and proxy is a subject of its own with one decision per cycle, so trouble with one never delays another. The
 * replacement is one subject, because Pulumi has one lock.
 */
import type { Facts } from "../observe/facts.ts";
import type { Limits } from "../settings.ts";
import { type MachineName, machineNames, proxyMachines, redisMachines } from "../topology.ts";
import { type Attempt, type Fault, isolation } from "./isolate.ts";
import { rememberLooks, withPatience } from "./memory/flapping.ts";
import { isGivenUp, type Memory, replacementOf, verdictOn } from "./memory/memory.ts";
import { remember } from "./memory/remember.ts";
import { appSituations, monitSituations } from "./policy/app-and-monit.ts";
import {
  type ProxyMachineView,
  proxySituations,
  type RedisMachineView,
  redisSituations,
} from "./policy/redis-machine.ts";
import { replacementSituations } from "./policy/replacement.ts";
import { type ShardRow, shardSituations } from "./policy/shard.ts";
import { type About, findRow, nothingToDo, type Row, UnknownSituation } from "./policy/table.ts";
import { writeSituations } from "./policy/writes.ts";
import { detoursOf } from "./rules/detour.ts";
import { whySteppedBack } from "./rules/one-monitor.ts";
import { changesFor, defectsOf, type ShardIntent } from "./rules/proxy-changes.ts";
import type { OrderedShardView, Switches } from "./rules/switchover.ts";
import type { Step } from "./steps.ts";
import { soleMaster } from "./view/mastership.ts";
import { asSeen, rememberSight, whyBlind } from "./view/sight.ts";
import { type Known, type ShardView, viewShard } from "./view/view.ts";
import { list } from "./view/words.ts";

/** What a decision is about: `shard N`, a machine, or the replacement. */
export type Subject = `shard ${number}` | MachineName | "replacement";

export interface Decision {
  subject: Subject;
  situation: string;
  steps: Step[];
  /** One sentence, without the subject's name where the subject is a shard. */
  because: string;
  /** What a person should do. */
  operator?: string;
  /** Nothing is left to do about this subject. */
  settled: boolean;
  /** Of a shard: what keeps writes from being acknowledged, or soon will, beside the situation. */
  writes?: Finding;
  /** Whose incident the steps belong to, if one is open. */
  about?: About;
  /** Opens an incident if there is none. */
  opens: boolean;
  /** Waits for a person or for another machine to come back. */
  holds?: boolean;
  /** When the first sign of the trouble was seen (monotonic milliseconds). */
  sinceMs?: number;
}

/** What the second table says of a subject whose first situation is not settled either. */
export type Finding = Pick<Decision, "situation" | "because" | "operator" | "about" | "opens" | "holds">;

/** All that a decision says of its subject, each with its own sentence. */
export function findingsOf(decision: Decision): Finding[] {
  return decision.writes ? [decision, decision.writes] : [decision];
}

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
  const { topology, app, machines } = known.facts;
  const isolated = (subject: Subject, work: () => Decision) => attempt(subject, work) ?? bug(subject);
  const intents: ShardIntent[] = [];
  const shardDecisions = topology.shards.map(({ index }) => {
    const subject: Subject = `shard ${index}`;
    const view = shards.find(({ shard }) => shard.index === index);
    const decided = view && attempt(subject, () => decideShard(view));
    if (view) {
      const intent = decided?.intent ?? { view, traffic: "as it is" };
      intents.push({ ...intent, busy: busy.has(subject) });
    }
    return decided?.decision ?? bug(subject);
  });
  return [
    ...shardDecisions,
    ...redisMachines.map((machine) =>
      isolated(machine, () => decideRedis(viewRedis(known, machine, shards))),
    ),
    ...proxyMachines.map((machine) =>
      isolated(machine, () => decideProxy(viewProxy(known, machine, shards, intents))),
    ),
    isolated("app", () => ({
      ...decision("app", appSituations, { machine: "app", known }, () => "app"),
      sinceMs: app.look.sinceMs,
    })),
    isolated("monit", () =>
      decision("monit", monitSituations, { machine: "monit", facts: machines.monit }, () => "monit"),
    ),
    isolated("replacement", () => decideReplacement(known, shards)),
  ];
}

function decideShard(view: OrderedShardView): { decision: Decision; intent: Omit<ShardIntent, "busy"> } {
  const { redis1, redis2 } = view.servers;
  const describe = () =>
    `shard ${view.shard.index}: redis1 ${redis1.condition} (${redis1.info?.role}), redis2 ${redis2.condition} (${redis2.info?.role}), last master ${view.lastMaster?.machine}`;
  const subject: Subject = `shard ${view.shard.index}`;
  const sinceMs = earliest([redis1, redis2].filter(({ out }) => out).map((server) => server.sinceMs));
  try {
    const row: ShardRow = findRow(shardSituations, view, describe);
    const writes: ShardRow = findRow(writeSituations, view, describe);
    const told = row.settled && !writes.settled ? writes : row;
    const decided = { ...toDecision(subject, told, view), sinceMs };
    const isBoth = !row.settled && !writes.settled;
    return {
      decision: isBoth ? { ...decided, writes: toDecision(subject, writes, view) } : decided,
      intent: { view, traffic: told.traffic },
    };
  } catch (error) {
    return { decision: unknown(subject, error), intent: { view, traffic: "as it is" } };
  }
}

function viewRedis(
  known: Known,
  machine: RedisMachineView["machine"],
  shards: ShardView[],
): RedisMachineView {
  needAll(known, shards);
  return { known, machine, shards, servers: shards.map((view) => view.servers[machine]) };
}

/**
 * Rule 5 asks about every shard: a redis machine is not judged by some of them.
 *
 * @throws when a shard's view could not be made.
 */
function needAll({ facts }: Known, shards: ShardView[]): void {
  if (shards.length < facts.topology.shards.length)
    throw new Error("not every shard can be seen, so nobody knows what the machine still serves");
}

function decideRedis(view: RedisMachineView): Decision {
  const describe = () => `${view.machine}: ${view.servers.map(({ condition }) => condition).join(", ")}`;
  const sinceMs = earliest(view.servers.filter(({ out }) => out).map((server) => server.sinceMs));
  return { ...decision(view.machine, redisSituations, view, describe), sinceMs };
}

function viewProxy(
  known: Known,
  machine: ProxyMachineView["machine"],
  shards: ShardView[],
  intents: ShardIntent[],
): ProxyMachineView {
  const somethingToServe = shards.some((view) => soleMaster(view) !== undefined);
  const changes = changesFor(machine, intents);
  const detours = detoursOf(machine, shards);
  return { machine, known, shards, changes, defects: defectsOf(known, machine), detours, somethingToServe };
}

function decideProxy(view: ProxyMachineView): Decision {
  const { look } = view.known.facts.proxies[view.machine];
  const describe = () => `${view.machine}: ${JSON.stringify(look)}`;
  return { ...decision(view.machine, proxySituations, view, describe), sinceMs: look.sinceMs };
}

function decideReplacement(known: Known, shards: ShardView[]): Decision {
  const pending = machineNames.flatMap((machine) => {
    const replacement = replacementOf(known.memory, machine);
    return replacement ? [{ machine, replacement }] : [];
  });
  if (pending.some(({ machine }) => redisMachines.some((name) => name === machine))) needAll(known, shards);
  return decision("replacement", replacementSituations, { known, shards, pending }, () =>
    JSON.stringify(pending),
  );
}

function decision<View>(subject: Subject, rows: Row<View>[], view: View, describe: () => string): Decision {
  try {
    return toDecision(subject, findRow(rows, view, describe), view);
  } catch (error) {
    return unknown(subject, error);
  }
}

/** Reports one subject in an unknown situation by name. The others are healed nevertheless. */
function unknown(subject: Subject, error: unknown): Decision {
  if (!(error instanceof UnknownSituation)) throw error;
  return {
    subject,
    situation: "UNKNOWN",
    steps: [],
    because: error.message,
    operator: reportIt,
    settled: false,
    opens: false,
    holds: true,
  };
}

const reportIt = "Report it with the sentence of `barton status`, and look at the subject yourself.";

/** A bug in recovery stopped the decision about this subject; the others are healed all the same. */
function bug(subject: Subject): Decision {
  const because = `a bug in recovery: it cannot decide about ${subject}, does nothing about it, and goes on with all others`;
  return {
    subject,
    situation: "BUG",
    steps: [],
    because,
    operator: reportIt,
    settled: false,
    opens: false,
    holds: true,
  };
}

function toDecision<View>(subject: Subject, row: Row<View>, view: View): Decision {
  return {
    subject,
    situation: row.situation,
    steps: row.steps?.(view) ?? [],
    because: row.because(view),
    operator: row.operator ?? nothingToDo,
    settled: row.settled ?? false,
    about: row.about?.(view),
    opens: row.opens ?? false,
    holds: row.holds,
  };
}

/** True if a verdict may come soon. Servers that are out already do not count. */
function isDoubtful({ facts, memory }: Known): boolean {
  const servers = Object.entries(facts.servers).filter(([id]) => !verdictOn(memory, id));
  const proxies = proxyMachines.filter((proxy) => !isGivenUp(facts, memory, proxy));
  const looks = [
    ...servers.flatMap(([, server]) => Object.values(server.looks)),
    ...proxies.map((proxy) => facts.proxies[proxy].look),
  ];
  return looks.some(({ state }) => state === "failing" || state === "down");
}

/** One sentence for all decisions: everything that is not in the desired state, or that all is well. */
export function sentenceOf(decisions: Decision[]): string {
  const unsettled = decisions.filter(({ settled }) => !settled);
  // For a machine of which some servers have not answered, the shards say the same.
  const telling = unsettled.filter(({ situation }) => situation !== "not-seen-whole");
  const open = telling.length > 0 ? telling : unsettled;
  if (open.length === 0)
    return `all is well: ${sayings(decisions.filter(({ subject }) => subject.startsWith("shard ")))}`;
  return sayings(open);
}

/** Joins shards with the same sentence: "shards 1 and 2: …". */
function sayings(decisions: Decision[]): string {
  const shardsBySaying = new Map<string, string[]>();
  for (const decision of decisions) {
    const { subject } = decision;
    for (const { because } of findingsOf(decision).reverse()) {
      const shards = shardsBySaying.get(because) ?? [];
      if (subject.startsWith("shard ")) shards.push(subject.slice("shard ".length));
      shardsBySaying.set(because, shards);
    }
  }
  return [...shardsBySaying]
    .map(([because, shards]) => {
      if (shards.length === 0) return because;
      return `${shards.length > 1 ? "shards" : "shard"} ${list(shards)}: ${because}`;
    })
    .join("; ");
}

function earliest(moments: (number | undefined)[]): number | undefined {
  const known = moments.filter((moment) => moment !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
