/**
 * Patience with a party that flaps. A server in a crash loop answers for a moment after each restart ("LOADING"). If each answer
 * began patience again, patience would never end, and nothing would be done. So a trouble pauses while the party is well, and
 * ends when it has been well for `graceMs` without a break: the time that a process gets to come back is also the time for
 * which it must stay. Whether the party can be used now is another question, and not answered here.
 */
import { type Facts, type Look, type Silence, serverId, type Vantage } from "../../observe/facts.ts";
import { type MachineName, proxyMachines, redisMachines } from "../../topology.ts";

/** A trouble with its pauses. */
export interface Spell {
  /**
   * When it began, moved on by the length of its pauses (monotonic milliseconds): so the time since then is how long it has
   * lasted in all.
   */
  sinceMs: number;
  /** Since when it pauses. */
  pausedMs?: number;
  /** Since when all is well, without a break. */
  wellMs?: number;
}

/** `unclear`: not well, but it does not count as trouble either, for example a process that lives and loads its data. */
export type Health = "bad" | "unclear" | "well";

/** The trouble after one more look; `badSinceMs` is when this stretch of it began. */
export function continued(
  before: Spell | undefined,
  health: Health,
  badSinceMs: number,
  nowMs: number,
  restMs: number,
): Spell | undefined {
  if (health === "bad") return resumed(before, badSinceMs);
  if (!before) return undefined;
  const paused = { sinceMs: before.sinceMs, pausedMs: before.pausedMs ?? nowMs };
  if (health === "unclear") return paused;
  const wellMs = before.wellMs ?? nowMs;
  return nowMs - wellMs >= restMs ? undefined : { ...paused, wellMs };
}

function resumed(before: Spell | undefined, badSinceMs: number): Spell {
  if (!before) return { sinceMs: badSinceMs };
  const { sinceMs, pausedMs } = before;
  if (pausedMs === undefined) return before;
  return { sinceMs: sinceMs + Math.max(badSinceMs - pausedMs, 0) };
}

/** By instance, name of the look, and kind of silence. */
export type Spells = Record<string, Spell>;

/** All spells pause from this moment: monit is blind, or this process stood still. */
export function pausedAll(spells: Spells, atMs: number): Spells {
  const entries = Object.entries(spells).map(([name, { sinceMs, pausedMs = atMs }]) => [
    name,
    { sinceMs, pausedMs },
  ]);
  return Object.fromEntries(entries);
}

/** The spells of all looks after this cycle. A look that only fails some probes neither begins a spell nor ends one. */
export function rememberLooks(before: Spells, facts: Facts, restMs: number): Spells {
  const next: Spells = {};
  for (const [machine, name, look] of looksOf(facts)) {
    for (const silence of ["refused", "silent", "stalled"] as const) {
      const key = keyOf(facts, machine, name, silence);
      const isBad = look.state === "down" && look.silence === silence;
      if (!isBad && !before[key]) continue;
      const health = isBad ? "bad" : look.state === "up" ? "well" : "unclear";
      const spell = continued(before[key], health, look.sinceMs ?? facts.nowMs, facts.nowMs, restMs);
      if (spell) next[key] = spell;
    }
  }
  return next;
}

/** The facts with `patienceFromMs` in every look that is down. */
export function withPatience(facts: Facts, spells: Spells): Facts {
  if (Object.keys(spells).length === 0) return facts;
  const next = { ...facts, servers: { ...facts.servers }, proxies: { ...facts.proxies } };
  const patient = (machine: MachineName, name: string, look: Look): Look => {
    const spell = look?.state === "down" ? spells[keyOf(facts, machine, name, look.silence)] : undefined;
    if (!spell) return look;
    return { ...look, patienceFromMs: Math.min(spell.sinceMs, look.sinceMs ?? spell.sinceMs) };
  };
  for (const machine of redisMachines) {
    for (const { index } of facts.topology.shards) {
      const id = serverId(machine, index);
      const server = facts.servers[id];
      if (!server?.looks) continue;
      const of = (vantage: Vantage) => patient(machine, `${id} ${vantage}`, server.looks[vantage]);
      const looks = { haproxy1: of("haproxy1"), haproxy2: of("haproxy2"), monit: of("monit") };
      next.servers[id] = { ...server, looks };
    }
  }
  for (const proxy of proxyMachines)
    next.proxies[proxy] = { ...facts.proxies[proxy], look: patient(proxy, proxy, facts.proxies[proxy].look) };
  next.app = { ...facts.app, look: patient("app", "app", facts.app.look) };
  return next;
}

/** By instance: a new machine does not inherit the trouble of the one whose place it takes. */
function keyOf(facts: Facts, machine: MachineName, name: string, silence: Silence | undefined): string {
  return `${facts.machines[machine].instanceId} ${name} ${silence}`;
}

/** How long the failures that this look shows have lasted in all (milliseconds), short breaks not counted. */
export function failingMs({ patienceFromMs, sinceMs }: Look, nowMs: number): number {
  return nowMs - (patienceFromMs ?? sinceMs ?? nowMs);
}

/** Looks that make no sense are left out. The decision about that subject throws and is reported (isolate.ts). */
function looksOf(facts: Facts): [MachineName, string, Look][] {
  const looks: [MachineName, string, Look][] = [["app", "app", facts.app.look]];
  for (const proxy of proxyMachines) looks.push([proxy, proxy, facts.proxies[proxy].look]);
  for (const machine of redisMachines) {
    for (const { index } of facts.topology.shards) {
      const id = serverId(machine, index);
      for (const [vantage, look] of Object.entries(facts.servers[id]?.looks ?? {}))
        looks.push([machine, `${id} ${vantage}`, look]);
    }
  }
  return looks.filter(([, , look]) => look);
}
