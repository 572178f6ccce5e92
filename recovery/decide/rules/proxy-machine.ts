/** Questions about one proxy machine, by which the rows of its table are written (policy/proxy.ts). */
import { clientLookAt, type Facts } from "../../observe/facts.ts";
import { counterpartOf, type MachineName, type ProxyMachine, type RedisMachine } from "../../topology.ts";
import { failingMs } from "../memory/flapping.ts";
import { isCondemned, orderFor, replacementOf } from "../memory/memory.ts";
import { isPoweredOff } from "../memory/replacement.ts";
import { frontendName, holdName, lineName, type ServerChange, type Step } from "../steps.ts";
import { soleMaster } from "../view/mastership.ts";
import type { Known, ShardView } from "../view/view.ts";
import { list, seconds } from "../view/words.ts";
import { isOrdered, orderOf, whyGoneForCloud } from "./condemn.ts";
import { detoursOf } from "./detour.ts";
import { takesCommands } from "./fence.ts";
import { changesFor, type Defects, defectsOf, type ShardIntent } from "./proxy-changes.ts";

/** One proxy machine, and what is wrong with its configuration. */
export interface ProxyMachineView {
  machine: ProxyMachine;
  known: Known;
  shards: ShardView[];
  /** Corrections that its server lines need. */
  changes: ServerChange[];
  /** Settings that recovery never changes and a person has changed. */
  defects: Defects;
  /** Machines with masters that it alone cannot reach, so that its traffic goes there through its twin. */
  detours: RedisMachine[];
  /** Some shard has a master that it could serve. */
  somethingToServe: boolean;
}

export function viewProxyMachine(
  known: Known,
  machine: ProxyMachine,
  shards: ShardView[],
  intents: ShardIntent[],
): ProxyMachineView {
  const somethingToServe = shards.some((view) => soleMaster(view) !== undefined);
  const changes = changesFor(machine, intents);
  const detours = detoursOf(machine, shards);
  return { machine, known, shards, changes, defects: defectsOf(known, machine), detours, somethingToServe };
}

/** Is it condemned, does it answer again, and are its server lines not as they should be? */
export const isBackAndDrifted = (view: ProxyMachineView) => isBack(view) && view.changes.length > 0;

/** Is it condemned, does it answer again, and may app go to its twin instead? */
export const isBackInUse = (view: ProxyMachineView) =>
  isBack(view) && isRegistered(view) && doesTwinServe(view);

/** Does a condemned proxy answer again before it is powered off? */
function isBack({ known: { facts, memory }, machine }: ProxyMachineView): boolean {
  const replacement = replacementOf(memory, machine);
  const mayServe = replacement !== undefined && !isPoweredOff(replacement);
  return mayServe && isCondemned(facts, memory, machine) && takesCommands(facts, machine);
}

/**
 * Is the proxy gone for monit and for app, which has cut what it had with the proxy, and do masters still have sessions with it? While a
 * witness sees it work it is not gone.
 */
export function areSessionsLeft(view: ProxyMachineView): boolean {
  const { facts } = view.known;
  const { look } = facts.proxies[view.machine];
  if (look.state !== "down" || look.silence !== "silent" || isSeenByWitness(view)) return false;
  return clientLookAt(facts, view.machine)?.usable === false && mastersWithSessions(view).length > 0;
}

export const endSessions = (view: ProxyMachineView): Step[] =>
  mastersWithSessions(view).map(({ shard, machine }) => ({
    do: "end sessions",
    shard,
    machine,
    proxy: view.machine,
  }));

function mastersWithSessions({ known, machine, shards }: ProxyMachineView) {
  const address = known.facts.machines[machine].address ?? "";
  return shards.flatMap((shard) =>
    shard.masters
      .filter(({ info }) => info?.sessionsIdleSeconds?.[address] !== undefined)
      .map((master) => ({ shard: shard.shard.index, machine: master.machine })),
  );
}

/** Was its failover ordered while it works, and can its twin carry the traffic? */
export const isLeaving = (view: ProxyMachineView) => isOrderedAlive(view) && !whyTwinIsNoHelp(view);

/**
 * Was its failover ordered while nobody else can carry its traffic? One that is not registered any more (its twin was lost
 * while it drained) is registered first, and one that has drifted is repaired first, by later rows.
 */
export const isNeeded = (view: ProxyMachineView) =>
  isOrderedAlive(view) && isRegistered(view) && !isDrifted(view) && !isShut(view);

const isOrderedAlive = (view: ProxyMachineView) =>
  isOrdered(view) && takesCommands(view.known.facts, view.machine);

/** Why the twin cannot carry the traffic of a proxy that leaves; of two that leave, haproxy2 goes first. */
export function whyTwinIsNoHelp(view: ProxyMachineView): string | undefined {
  const twin = counterpartOf(view.machine);
  if (!doesTwinServe(view)) return `${twin} does not serve`;
  if (isCondemned(view.known.facts, view.known.memory, twin)) return `${twin} is condemned`;
  const defects = defectsOf(view.known, twin);
  if (defects.shut.length > 0) return shutText(twin, defects);
  if (detoursOf(twin, view.shards).length > 0)
    return `${twin} itself needs ${view.machine} to reach a master`;
  const leavesFirst = twin === "haproxy2" && orderFor(view.known.memory, twin) !== undefined;
  return leavesFirst && view.detours.length === 0 ? `${twin} is to be replaced first` : undefined;
}

function doesTwinServe({ known, machine }: ProxyMachineView): boolean {
  const twin = counterpartOf(machine);
  return takesCommands(known.facts, twin) && known.facts.proxies[twin].view?.registered === true;
}

/** Does somebody see a proxy that is silent to monit do what it should? */
export const isSeenByWitness = (view: ProxyMachineView) => witnessOf(view) !== undefined;

/** Idle time is told in whole seconds, so it says nothing before a silence of this length (milliseconds). */
const unseenMinMs = 2_000;

/**
 * The vantage point that sees the proxy do what it should, although monit does not; as part of a sentence. app's word counts for a stall,
 * too: a proxy whose runtime API has no place left for monit may serve all its clients.
 */
export function witnessOf(view: ProxyMachineView): string | undefined {
  const { known, machine } = view;
  const { look } = known.facts.proxies[machine];
  const { limits, facts } = known;
  if (isOrdered(view) || facts.machines[machine].cloud !== "running") return undefined;
  if (look.state !== "down" || look.silence === "refused" || isDrifted(view)) return undefined;
  if (failingMs(look, facts.nowMs) < limits.proxyPatienceMs) return undefined;
  if (clientLookAt(facts, machine)?.usable) return "app does";
  // Sessions of one that stalls may have been active until a moment ago; whether it serves, only its health page tells.
  return look.silence === "silent" && carriesUnseen(view) ? "the redis servers do" : undefined;
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

/** Is the proxy lost? */
export const isProxyLost = (view: ProxyMachineView) => whyProxyLost(view) !== undefined;

/** Why the proxy is to be replaced, or undefined. */
export function whyProxyLost(view: ProxyMachineView): string | undefined {
  const { known, machine } = view;
  const { facts, limits } = known;
  const { look } = facts.proxies[machine];
  if (look.state === "up") return undefined;
  if (isOrdered(view)) return orderOf(known, machine);
  const gone = whyGoneForCloud(facts.machines[machine], machine, false);
  if (gone) return gone;
  const patienceMs = isBooting(view) ? limits.bootMs : patienceWithProxy(view, look.silence);
  const silentMs = failingMs(look, facts.nowMs);
  return look.state === "down" && silentMs >= patienceMs ? silenceText(view) : undefined;
}

/** Was it never well? A machine that boots slowly may answer late once, long before it can serve; until it is registered it boots. */
function isBooting({ known, machine }: ProxyMachineView): boolean {
  const { view } = known.facts.proxies[machine];
  return view === undefined || known.memory.durable.machines[machine]?.newcomer !== undefined;
}

/**
 * How long a failing proxy is left alone, in milliseconds. Refused: the machine lives, and systemd restarts the process (`graceMs`).
 * Stalled: `stallMs`. Silent: `proxyPatienceMs` if app says the same, or if the proxy has drifted, because it sends traffic where it
 * must not go and takes no commands. Silent for monit alone: `graceMs`, because the cut may be monit's own.
 */
function patienceWithProxy(view: ProxyMachineView, silence: string | undefined): number {
  const { known, machine } = view;
  const { facts, limits } = known;
  if (silence === "refused") return limits.graceMs;
  if (silence === "stalled") return facts.topology.detection.stallMs;
  const isAgreed = clientLookAt(facts, machine)?.look.state === "down";
  return isAgreed || isDrifted(view) ? limits.proxyPatienceMs : limits.graceMs;
}

/** Does the proxy fail probes, or has it not been seen, without a verdict? */
export const isProxyDoubted = ({ known, machine }: ProxyMachineView) =>
  known.facts.proxies[machine].look.state !== "up";

export function doubtText(view: ProxyMachineView): string {
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

/** Does it answer what recovery cannot read, so that it takes no commands? */
export const isUnreadable = ({ known, machine }: ProxyMachineView) => !takesCommands(known.facts, machine);

/** After so many failures the new proxy serves with the configuration that the program gave it. */
const configurationAttemptsMax = 8;

/** Is it a new proxy that lacks the configuration of its twin, which serves? */
export function isToBeConfigured(view: ProxyMachineView): boolean {
  const newcomer = view.known.memory.durable.machines[view.machine]?.newcomer;
  const isOpen = newcomer?.configured === false && newcomer.failedAttempts < configurationAttemptsMax;
  return isOpen && doesTwinServe(view);
}

/** Can it alone not reach a master, and does it not send that traffic to its twin yet? */
export const isCutOff = (view: ProxyMachineView) => isOnDetour(view) && isDrifted(view);

/** Does some of its traffic go to a master through its twin? */
export const isOnDetour = ({ detours }: ProxyMachineView) => detours.length > 0;

export function detourText({ machine, detours }: ProxyMachineView): string {
  const twin = counterpartOf(machine);
  return `${machine} cannot reach ${list(detours)}, while ${twin} and monit can: its traffic goes there through ${twin}`;
}

/** Is something not as it should be that commands can repair: a server line, `hold`, a frontend that pauses? */
export function isDrifted({ changes, defects }: ProxyMachineView): boolean {
  return changes.length + defects.paused.length + defects.holds.length > 0;
}

/** The steps that repair a proxy that has drifted. */
export function repair({
  machine: proxy,
  changes,
  defects: { paused: frontends, holds },
}: ProxyMachineView): Step[] {
  return [
    ...(changes.length > 0 ? [{ do: "set servers", proxy, changes } as const] : []),
    ...(frontends.length + holds.length > 0 ? [{ do: "reopen", proxy, frontends, holds } as const] : []),
  ];
}

/** A proxy that starts has all of its lines wrong; a sentence names only the first. */
const wrongLinesMax = 4;

export function wrongLinesOf({ changes, defects }: ProxyMachineView): string {
  const lines = [
    ...changes.map(lineName),
    ...defects.holds.map(holdName),
    ...defects.paused.map(frontendName),
  ];
  const more = lines.length - wrongLinesMax;
  return list(more > 0 ? [...lines.slice(0, wrongLinesMax), `${more} more`] : lines);
}

/** Whose incident a repair belongs to: that of a new proxy, or of the only redis machine that its lines are about. */
export function repairIsAbout({ known, machine, changes }: ProxyMachineView): MachineName | undefined {
  if (known.memory.durable.machines[machine]?.newcomer) return machine;
  const machines = new Set(changes.map((change) => change.machine));
  return machines.size === 1 ? [...machines][0] : undefined;
}

/** Did somebody shut a frontend down, which this process never opens again? */
export const isShut = ({ defects }: ProxyMachineView) => defects.shut.length > 0;

export function shutText(machine: ProxyMachine, { shut }: Defects): string {
  return `${machine}'s ${list(shut.map(frontendName))} ${shut.length > 1 ? "were" : "was"} shut down`;
}

/** App moves to the twin, if that can carry the traffic; then a new process opens every frontend. */
export function reload(view: ProxyMachineView): Step[] {
  return [
    ...(whyTwinIsNoHelp(view) ? [] : setAside(view.machine)),
    { do: "reload proxy", proxy: view.machine },
  ];
}

/** App moves to the twin, new connections first. */
export function setAside(proxy: ProxyMachine): Step[] {
  return [
    { do: "drain proxy", proxy },
    { do: "unregister proxy", proxy },
  ];
}

/** Is it not registered although there is a master to serve? */
export const isToBeRegistered = (view: ProxyMachineView) => !isRegistered(view) && view.somethingToServe;

/** A proxy that is not registered gets no traffic from app. */
export const isIdle = (view: ProxyMachineView) => !isRegistered(view);

/** Is it registered, while app has not used it for `proxyPatienceMs`? Recovery's own word that all is well is not enough. */
export const isUnusedByApp = (view: ProxyMachineView) =>
  isRegistered(view) && unusedMs(view) >= view.known.limits.proxyPatienceMs;

/** How long app has not used the proxy (milliseconds), also because it checks another address; 0 if app does not answer monit. */
function unusedMs({ known: { facts }, machine }: ProxyMachineView): number {
  const sinceMs = facts.app.look.state === "up" ? facts.app.unusedSinceMs?.[machine] : undefined;
  return facts.nowMs - (sinceMs ?? facts.nowMs);
}

export const unusedText = (view: ProxyMachineView) =>
  `${view.machine} is registered, but app has not used it for ${seconds(unusedMs(view))}`;

export function isRegistered({ known, machine }: ProxyMachineView): boolean {
  return known.facts.proxies[machine].view?.registered === true;
}

/** Is it the new machine of a replacement that has not carried traffic yet? */
export const isNewcomer = ({ known, machine }: ProxyMachineView) =>
  known.memory.durable.machines[machine]?.newcomer !== undefined;
