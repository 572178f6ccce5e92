/** The tables of situations of a redis machine and of a proxy. */
import { clientLookAt, type Facts, type MachineFacts } from "../../observe/facts.ts";
import { counterpartOf, type MachineName, type ProxyMachine, type RedisMachine } from "../../topology.ts";
import { failingMs } from "../memory/flapping.ts";
import { isGivenUp, orderFor, replacementOf } from "../memory/memory.ts";
import { isOnItsWayOut, isPoweredOff } from "../memory/replacement.ts";
import { isDead } from "../rules/data-volume.ts";
import { detoursOf } from "../rules/detour.ts";
import { takesCommands } from "../rules/fence.ts";
import { type Defects, defectsOf } from "../rules/proxy-changes.ts";
import { whyCounterpartCannotServe, whyNeededAgain } from "../rules/redundancy.ts";
import { frontendName, holdName, lineName, type ServerChange, type Step } from "../steps.ts";
import type { Known, ServerView, ShardView } from "../view/view.ts";
import { list, seconds, troubleOf } from "../view/words.ts";
import type { Row } from "./table.ts";

export interface RedisMachineView {
  machine: RedisMachine;
  known: Known;
  shards: ShardView[];
  servers: ServerView[];
}

export const redisSituations: Row<RedisMachineView>[] = [
  {
    situation: "needed-again",
    leadsTo: ["present"],
    meaning:
      "It was given up, but lives, and nobody else can serve some shard: it is used again, unless its power-off was begun.",
    when: (view) => whyTakenBack(view) !== undefined,
    steps: (view) => [
      { do: "take back", machine: view.machine, because: `taken back: ${whyTakenBack(view)}` },
    ],
    because: (view) =>
      `${view.machine} was given up, but ${whyTakenBack(view)}: ${view.machine} is taken back`,
    about: ({ machine }) => machine,
  },
  {
    situation: "given-up",
    leadsTo: ["needed-again", "present"],
    meaning: "The machine is out of use; it is being replaced (see the replacement).",
    when: ({ known, machine }) => isGivenUp(known.facts, known.memory, machine),
    because: ({ known, machine }) =>
      `${machine} was given up: ${replacementOf(known.memory, machine)?.because}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "machine-lost",
    leadsTo: ["given-up"],
    opens: true,
    meaning: "The machine is gone, a process did not come back, or its failover was ordered: it is given up.",
    when: (view) => whyRedisLost(view) !== undefined && !whyCounterpartCannotServe(view.machine, view.shards),
    steps: ({ known, machine, ...view }) => [
      stopMonitoring(known, machine, String(whyRedisLost({ known, machine, ...view }))),
    ],
    because: (view) => `${whyRedisLost(view)}: ${view.machine} is given up`,
    about: ({ machine }) => machine,
  },
  {
    situation: "machine-dead",
    leadsTo: ["given-up"],
    opens: true,
    meaning:
      "The machine is lost and its counterpart cannot serve alone. Nothing of the machine serves any more, so it is condemned, and its data come back with its volume. After a total loss that is both machines.",
    when: (view) => whyRedisLost(view) !== undefined && isDead(view.known, view.machine, view.servers),
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyRedisLost(view)))],
    because: (view) =>
      `${whyRedisLost(view)}, and ${whyCounterpartCannotServe(view.machine, view.shards)}: ` +
      `${view.machine} is given up, and its data come back with its volume`,
    about: ({ machine }) => machine,
  },
  {
    situation: "machine-needed",
    operator: "Look at the counterpart: when it has a full copy of every shard, recovery goes on by itself.",
    leadsTo: ["machine-lost", "machine-dead"],
    holds: true,
    opens: true,
    meaning:
      "The machine is failing, but some of it still serves, or may in a moment, and its counterpart cannot take over (rule 5): not replaced, operator notified.",
    when: (view) => whyRedisLost(view) !== undefined,
    because: (view) =>
      `${whyRedisLost(view)}, but it is not replaced: ${whyCounterpartCannotServe(view.machine, view.shards)}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "process-lost",
    leadsTo: ["present", "machine-lost"],
    opens: true,
    meaning: "A redis process is gone or hangs while its machine lives: it gets some time to come back.",
    when: ({ servers }) => servers.some(({ out }) => out),
    because: ({ servers, known }) =>
      `${list([...new Set(servers.filter(({ out }) => out).map(troubleOf))])}; ` +
      `it has ${seconds(known.limits.graceMs)} to come back`,
    about: ({ machine }) => machine,
  },
  {
    situation: "recovery-refused",
    operator:
      "Look at that redis server: its recovery user, its number of clients, or what it answers to INFO.",
    leadsTo: ["present", "process-lost"],
    holds: true,
    meaning:
      "A redis server of the machine lives, but refuses recovery: a wrong password, missing rights, no room for one more client, or an answer that recovery cannot read.",
    when: ({ servers }) => servers.some(refusesRecovery),
    because: ({ servers }) => list([...new Set(servers.filter(refusesRecovery).map(troubleOf))]),
    about: ({ machine }) => machine,
  },
  {
    situation: "not-seen-whole",
    leadsTo: ["present", "process-lost"],
    meaning: "Some of its servers have not answered, without a verdict.",
    when: ({ servers }) => servers.some(({ answers }) => !answers),
    because: ({ servers }) => list([...new Set(servers.filter(({ answers }) => !answers).map(troubleOf))]),
  },
  {
    situation: "present",
    leadsTo: ["not-seen-whole", "process-lost", "machine-lost"],
    meaning: "All of its servers answer.",
    settled: true,
    when: ({ servers }) => servers.every(({ answers }) => answers),
    because: ({ machine }) => `${machine} is present`,
  },
];

export interface ProxyMachineView {
  machine: ProxyMachine;
  known: Known;
  shards: ShardView[];
  /** Corrections that its server lines need. */
  changes: ServerChange[];
  /** What a person has changed that recovery never does. */
  defects: Defects;
  /** Machines with masters that it alone cannot reach, so that its traffic goes there through its twin. */
  detours: RedisMachine[];
  /** Some shard has a master that it could serve. */
  somethingToServe: boolean;
}

export const proxySituations: Row<ProxyMachineView>[] = [
  {
    situation: "given-up-back",
    leadsTo: ["given-up"],
    meaning:
      "It is given up and answers again, while its replacement waits: its servers are put right, for clients may use it.",
    when: (view) => isBack(view) && view.changes.length > 0,
    steps: ({ machine, changes }) => [{ do: "set servers", proxy: machine, changes }],
    because: ({ machine }) => `${machine} was given up and answers again: its servers are put right`,
    about: ({ machine }) => machine,
  },
  {
    situation: "given-up-in-use",
    leadsTo: ["given-up"],
    meaning:
      "It is condemned and answers again, and its server lines are right: app is sent to its twin before it is powered off.",
    when: (view) => isBack(view) && isRegistered(view) && twinServes(view),
    steps: ({ machine }) => [{ do: "unregister proxy", proxy: machine }],
    because: ({ machine }) =>
      `${machine} was given up and answers again: ${counterpartOf(machine)} carries the traffic`,
    about: ({ machine }) => machine,
  },
  {
    situation: "given-up",
    leadsTo: ["given-up-back", "unconfigured"],
    meaning: "The proxy is out of use; it is being replaced.",
    when: ({ known, machine }) => isGivenUp(known.facts, known.memory, machine),
    because: ({ known, machine }) =>
      `${machine} was given up: ${replacementOf(known.memory, machine)?.because}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "leaves",
    leadsTo: ["given-up"],
    opens: true,
    meaning:
      "Its failover was ordered while it works: app moves to its twin, new connections first; then it is given up.",
    when: (view) =>
      isOrdered(view) && takesCommands(view.known.facts, view.machine) && !whyTwinIsNoHelp(view),
    steps: ({ known, machine }) => [
      ...setAside(machine),
      stopMonitoring(known, machine, orderOf(known, machine)),
    ],
    because: ({ known, machine }) =>
      `${orderOf(known, machine)}: ${counterpartOf(machine)} carries the traffic`,
    about: ({ machine }) => machine,
  },
  {
    situation: "needed",
    operator: "Look at the twin; give the order again when it serves.",
    leadsTo: ["leaves"],
    holds: true,
    // One that is not registered (any more: its twin was lost while it drained) first becomes so, by the rows below; and one
    // that is not as it should be is put right.
    meaning: "Its failover was ordered, but its twin does not serve, or leaves first.",
    when: (view) =>
      isOrdered(view) &&
      takesCommands(view.known.facts, view.machine) &&
      isRegistered(view) &&
      !isAstray(view) &&
      view.defects.shut.length === 0,
    because: (view) => `${view.machine} is not replaced: ${whyTwinIsNoHelp(view)}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "carries-unseen",
    operator: "Repair the network between monit and that proxy.",
    leadsTo: ["serving", "lost"],
    opens: true,
    meaning:
      "Monit cannot see the proxy, but the clients or the redis servers do, and it sends them where it should: a cut between it and monit. Kept.",
    when: (view) => witnessOf(view) !== undefined,
    because: (view) => `monit cannot see ${view.machine}, but ${witnessOf(view)}: it is kept`,
    about: ({ machine }) => machine,
  },
  {
    situation: "lost",
    leadsTo: ["given-up"],
    opens: true,
    meaning: "The proxy is gone, or did not come back in time: it is given up.",
    when: (view) => whyProxyLost(view) !== undefined,
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyProxyLost(view)))],
    because: (view) => `${whyProxyLost(view)}: ${view.machine} is given up`,
    about: ({ machine }) => machine,
  },
  {
    situation: "doubt",
    leadsTo: ["serving", "lost"],
    meaning: "The proxy fails probes or has not been seen, without a verdict.",
    when: ({ known, machine }) => known.facts.proxies[machine].look.state !== "up",
    because: (view) => doubtText(view),
  },
  {
    situation: "unreadable",
    operator: "Look at the configuration of that proxy; `failover MACHINE` replaces it.",
    leadsTo: ["serving"],
    meaning: "The proxy answers something that makes no sense: its configuration is not barton's.",
    when: ({ known, machine }) => !takesCommands(known.facts, machine),
    because: ({ known, machine }) => `${machine}: ${known.facts.proxies[machine].refusal}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "unconfigured",
    leadsTo: ["astray"],
    meaning: "A new proxy gets the running proxy's configuration.",
    when: (view) => isToBeConfigured(view) && twinServes(view),
    steps: ({ machine }) => [{ do: "copy configuration", proxy: machine, from: counterpartOf(machine) }],
    because: ({ machine }) => `${machine} is new: it is configured like ${counterpartOf(machine)}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "cut-off",
    operator: "Repair the network between that proxy and the redis machine.",
    leadsTo: ["detour"],
    opens: true,
    meaning:
      "It alone cannot reach a master: there is a cut between these two. It sends the traffic to its twin, which sends it on.",
    when: (view) => view.detours.length > 0 && isAstray(view),
    steps: (view) => putRight(view),
    because: detourText,
    about: ({ machine }) => machine,
  },
  {
    situation: "astray",
    leadsTo: ["unregistered", "serving"],
    meaning:
      "Its servers are not as they should be (it restarted, somebody changed it, a machine is new), or a frontend does not listen: put right.",
    when: isAstray,
    steps: (view) => putRight(view),
    because: (view) => `${view.machine} is put right: ${wrongLinesOf(view)}`,
    about: ({ known, machine, changes }) =>
      known.memory.durable.machines[machine]?.newcomer ? machine : onlyMachineOf(changes),
  },
  {
    situation: "shut",
    leadsTo: ["unregistered"],
    opens: true,
    meaning:
      "Somebody shut a frontend down, which this process never opens again: it is reloaded; app moves to its twin before.",
    when: ({ defects }) => defects.shut.length > 0,
    steps: (view) => [
      ...(whyTwinIsNoHelp(view) ? [] : setAside(view.machine)),
      { do: "reload proxy", proxy: view.machine },
    ],
    because: ({ machine, defects }) => `${shutText(machine, defects)}: it is reloaded`,
    about: ({ machine }) => machine,
  },
  {
    situation: "unregistered",
    leadsTo: ["serving"],
    meaning: "Its servers are right: it is registered, and app may use it.",
    when: (view) => !isRegistered(view) && view.somethingToServe,
    steps: ({ machine }) => [{ do: "register proxy", proxy: machine }],
    because: ({ machine }) => `${machine} is ready to serve`,
    about: ({ known, machine }) => (known.memory.durable.machines[machine]?.newcomer ? machine : undefined),
  },
  {
    situation: "detour",
    operator: "Repair the network between that proxy and the redis machine.",
    leadsTo: ["astray", "doubt"],
    holds: true,
    opens: true,
    meaning:
      "The proxy alone cannot reach a master, and its traffic goes there through its twin. The direct way is used again when it reaches the master.",
    when: ({ detours }) => detours.length > 0,
    because: detourText,
    about: ({ machine }) => machine,
  },
  {
    situation: "idle",
    leadsTo: ["astray", "unregistered"],
    meaning: "No shard has a master: it is not registered yet.",
    when: (view) => !isRegistered(view),
    because: ({ machine }) => `${machine} waits until there is a master`,
  },
  {
    situation: "serving",
    leadsTo: ["doubt", "astray", "shut", "cut-off", "leaves"],
    meaning: "Registered, with the right servers.",
    settled: true,
    when: isRegistered,
    because: ({ machine }) => `${machine} serves`,
  },
];

/** The step by which a machine is given up; the rest of its replacement follows from that. */
export function stopMonitoring(known: Known, machine: MachineName, because: string): Step {
  return { do: "stop monitoring", machine, instanceId: known.facts.machines[machine].instanceId, because };
}

/** App moves to the twin, new connections first. */
function setAside(proxy: ProxyMachine): Step[] {
  return [
    { do: "drain proxy", proxy },
    { do: "unregister proxy", proxy },
  ];
}

function isAstray({ changes, defects }: ProxyMachineView): boolean {
  return changes.length + defects.paused.length + defects.holds.length > 0;
}

function putRight({
  machine: proxy,
  changes,
  defects: { paused: frontends, holds },
}: ProxyMachineView): Step[] {
  return [
    ...(changes.length > 0 ? [{ do: "set servers", proxy, changes } as const] : []),
    ...(frontends.length + holds.length > 0 ? [{ do: "reopen", proxy, frontends, holds } as const] : []),
  ];
}

/** A proxy that starts has all of its lines wrong: the first tell enough. */
const wrongLinesMax = 4;

function wrongLinesOf({ changes, defects }: ProxyMachineView): string {
  const lines = [
    ...changes.map(lineName),
    ...defects.holds.map(holdName),
    ...defects.paused.map(frontendName),
  ];
  const more = lines.length - wrongLinesMax;
  return list(more > 0 ? [...lines.slice(0, wrongLinesMax), `${more} more`] : lines);
}

function detourText({ machine, detours }: ProxyMachineView): string {
  const twin = counterpartOf(machine);
  return `${machine} cannot reach ${list(detours)}, while ${twin} and monit can: its traffic goes there through ${twin}`;
}

function shutText(machine: ProxyMachine, { shut }: Defects): string {
  return `${machine}'s ${list(shut.map(frontendName))} ${shut.length > 1 ? "were" : "was"} shut down`;
}

/** Refuses recovery for a reason that a person must look at: one that loads or runs a script answers again by itself. */
function refusesRecovery({ refusal, out }: ServerView): boolean {
  return !out && refusal !== undefined && refusal.kind !== "loading" && refusal.kind !== "busy";
}

/** Why the machine is used again although it was given up, or undefined. */
function whyTakenBack({ known, machine, shards }: RedisMachineView): string | undefined {
  const { facts, memory, limits } = known;
  const replacement = replacementOf(memory, machine);
  if (!replacement || !isGivenUp(facts, memory, machine)) return undefined;
  if (isOnItsWayOut(replacement, facts.nowMs, limits.bootMs)) return undefined;
  if (whyGoneForCloud(facts.machines[machine], machine, true)) return undefined;
  return whyNeededAgain(machine, shards);
}

/** Why the redis machine is to be replaced, or undefined. */
function whyRedisLost({ known, machine, servers }: RedisMachineView): string | undefined {
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

/** Does a given-up proxy answer again that nobody has powered off yet? */
function isBack({ known: { facts, memory }, machine }: ProxyMachineView): boolean {
  const replacement = replacementOf(memory, machine);
  const mayServe = replacement !== undefined && !isPoweredOff(replacement);
  return mayServe && isGivenUp(facts, memory, machine) && takesCommands(facts, machine);
}

/** Why the proxy is to be replaced, or undefined. */
function whyProxyLost(view: ProxyMachineView): string | undefined {
  const { known, machine } = view;
  const { facts, limits, memory } = known;
  const { look } = facts.proxies[machine];
  if (look.state === "up") return undefined;
  if (orderFor(memory, machine)) return orderOf(known, machine);
  const gone = whyGoneForCloud(facts.machines[machine], machine, false);
  if (gone) return gone;
  const wasNeverSeen = facts.proxies[machine].view === undefined;
  const patienceMs = wasNeverSeen ? limits.bootMs : patienceWithProxy(view, look.silence);
  const silentMs = failingMs(look, facts.nowMs);
  return look.state === "down" && silentMs >= patienceMs ? silenceText(view) : undefined;
}

/**
 * A refusing proxy machine lives, and systemd restarts the process; a stalled one gets the stall's patience. Silence is
 * a verdict when app says the same: with monit's word alone there is time to see whether the cut is monit's own. There
 * is none when the proxy sends traffic where it must not go, and cannot be told.
 */
function patienceWithProxy(view: ProxyMachineView, silence: string | undefined): number {
  const { known, machine } = view;
  const { facts, limits } = known;
  if (silence === "refused") return limits.graceMs;
  if (silence === "stalled") return facts.topology.detection.stallMs;
  const isAgreed = clientLookAt(facts, machine)?.look.state === "down";
  return isAgreed || isAstray(view) ? limits.proxyPatienceMs : limits.graceMs;
}

/** Why the machine counts as gone by the cloud's word, or undefined; a lost tag alone does not take away who answers. */
export function whyGoneForCloud(
  { cloud }: MachineFacts,
  machine: MachineName,
  answers: boolean,
): string | undefined {
  if (cloud === "missing" && answers) return undefined;
  if (cloud === undefined || cloud === "running" || cloud === "pending") return undefined;
  return `${machine} is ${cloud}, says the cloud`;
}

/** Idle time is told in whole seconds, so it says nothing before a silence of this length. */
const unseenMinMs = 2_000;

/** Who sees a silent proxy do what it should, although monit does not; in words. */
function witnessOf(view: ProxyMachineView): string | undefined {
  const { known, machine } = view;
  const { look } = known.facts.proxies[machine];
  const { limits, facts } = known;
  if (orderFor(known.memory, machine) || facts.machines[machine].cloud !== "running") return undefined;
  if (look.state !== "down" || look.silence !== "silent" || isAstray(view)) return undefined;
  if (failingMs(look, facts.nowMs) < limits.proxyPatienceMs) return undefined;
  if (clientLookAt(facts, machine)?.usable) return "app does";
  return carriesUnseen(view) ? "the redis servers do" : undefined;
}

/** Was some session from this proxy active on a redis server after monit lost sight of the proxy? */
function carriesUnseen({ known, machine }: ProxyMachineView): boolean {
  const { facts } = known;
  const { look } = facts.proxies[machine];
  const address = facts.machines[machine].address ?? "";
  const silentMs = facts.nowMs - (look.sinceMs ?? facts.nowMs);
  if (silentMs < unseenMinMs) return false;
  return Object.values(facts.servers).some(({ info, askedMs, looks }) => {
    const idleSeconds = info?.sessionsIdleSeconds?.[address];
    if (idleSeconds === undefined || looks.monit.state !== "up") return false;
    const activeMs = (askedMs ?? 0) - (idleSeconds + 1) * 1000;
    return activeMs > (look.sinceMs ?? 0);
  });
}

function doubtText(view: ProxyMachineView): string {
  const { state } = view.known.facts.proxies[view.machine].look;
  return state === "failing" ? `${view.machine} fails probes, which is no verdict yet` : silenceText(view);
}

function silenceText({ known, machine }: ProxyMachineView): string {
  const { look, view } = known.facts.proxies[machine];
  if (look.state === "none" || !view) return `${machine} has not answered yet`;
  if (look.silence === "refused") return `${machine}'s proxy process is gone`;
  return look.silence === "stalled"
    ? `${machine}'s proxy accepts but does not reply`
    : `${machine} does not answer on any port (${sayersOf(known.facts, machine)})`;
}

function sayersOf(facts: Facts, machine: ProxyMachine): string {
  return clientLookAt(facts, machine)?.look.state === "down" ? "say app and monit" : "says monit";
}

/** After so many failures the new proxy serves with the configuration that the program gave it. */
const configurationAttemptsMax = 8;

function isToBeConfigured({ known, machine }: ProxyMachineView): boolean {
  const newcomer = known.memory.durable.machines[machine]?.newcomer;
  return newcomer?.configured === false && newcomer.failedAttempts < configurationAttemptsMax;
}

/** The redis machine that all of these changes are about, if there is one. */
function onlyMachineOf(changes: ServerChange[]): MachineName | undefined {
  const machines = new Set(changes.map(({ machine }) => machine));
  return machines.size === 1 ? [...machines][0] : undefined;
}

function isRegistered({ known, machine }: ProxyMachineView): boolean {
  return known.facts.proxies[machine].view?.registered === true;
}

const isOrdered = ({ known, machine }: ProxyMachineView) => orderFor(known.memory, machine) !== undefined;
/** The order of the machine's failover, in words. */
export const orderOf = ({ memory }: Known, machine: MachineName) =>
  `failover of ${machine} ordered (${orderFor(memory, machine)})`;

/** Why the twin cannot carry the traffic of a proxy that leaves; of two that leave, the backup goes first. */
function whyTwinIsNoHelp(view: ProxyMachineView): string | undefined {
  const twin = counterpartOf(view.machine);
  if (!twinServes(view)) return `${twin} does not serve`;
  if (isGivenUp(view.known.facts, view.known.memory, twin)) return `${twin} was given up`;
  const defects = defectsOf(view.known, twin);
  if (defects.shut.length > 0) return shutText(twin, defects);
  if (detoursOf(twin, view.shards).length > 0)
    return `${twin} itself needs ${view.machine} to reach a master`;
  const leavesFirst = twin === "haproxy2" && orderFor(view.known.memory, twin) !== undefined;
  return leavesFirst && view.detours.length === 0 ? `${twin} is to be replaced first` : undefined;
}

function twinServes({ known, machine }: ProxyMachineView): boolean {
  const twin = counterpartOf(machine);
  return takesCommands(known.facts, twin) && known.facts.proxies[twin].view?.registered === true;
}
