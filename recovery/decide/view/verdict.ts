/**
 * The verdict on one redis server, from the probes of all vantage points (docs/decisions/005).
 *
 * Three failed probes in a row make a vantage point count the server as down. Two vantage points make a verdict, so a cut cable at the
 * monitor is not a dead redis. Recovery acts at once on a refusal, and on silence of every port of the machine. A stall gets `stallMs`,
 * because the failover of a busy master is the most frequent false alarm of this field.
 */
import { type Facts, type Look, serverId, type Vantage } from "../../observe/facts.ts";
import { isOff } from "../../observe/machines.ts";
import type { RedisMachine } from "../../topology.ts";
import { failingMs } from "../memory/flapping.ts";

/**
 * fine: answers. doubted: failures, but no verdict. stalling: accepts without replying, patience is
 * running. unseen: has never answered (its machine may be booting). The rest are verdicts: refused (the
 * process is gone), silent (the machine is gone), hung (stalled for too long), off (says the cloud).
 */
export type Condition = "fine" | "doubted" | "stalling" | "unseen" | "refused" | "silent" | "hung" | "off";

export interface Judgement {
  condition: Condition;
  /** When the first sign of the trouble was seen (monotonic milliseconds). */
  sinceMs?: number;
  /** The vantage points that say so. */
  by: (Vantage | "the cloud")[];
}

/** How many vantage points must agree. */
const quorum = 2;
const vantages: Vantage[] = ["haproxy1", "haproxy2", "monit"];

/** A verdict, as opposed to a doubt: the server is not used any more until recovery registers it again. */
export function isOut(condition: Condition): boolean {
  return condition === "refused" || condition === "silent" || condition === "hung" || condition === "off";
}

/** Judges one server by the facts of this moment; memory of earlier verdicts is the caller's. */
export function judgeServer(facts: Facts, machine: RedisMachine, shard: number): Judgement {
  if (isOff(facts.machines[machine].cloud))
    return { condition: "off", by: ["the cloud"], sinceMs: facts.nowMs };
  const { looks, info, refusal } = factsOf(facts, machine, shard);
  const seen = vantages.filter((vantage) => looks[vantage].state !== "none");
  const bad = seen.filter((vantage) => looks[vantage].state !== "up");
  const down = bad.filter((vantage) => countsAsDown(facts, vantage, machine, shard));
  const sinceMs = earliest(bad.map((vantage) => looks[vantage]));
  if (down.length >= quorum) return { ...verdict(facts, machine, shard, down), sinceMs };
  if (!info && !refusal && bad.length === seen.length) return { condition: "unseen", by: [] };
  if (bad.length === 0) return { condition: seen.length > 0 ? "fine" : "unseen", by: seen };
  const stalls = bad.some((vantage) => looks[vantage].silence === "stalled");
  return { condition: stalls ? "stalling" : "doubted", by: bad, sinceMs };
}

/** By enough failures of this server or, if the whole machine is silent, of any of its servers. */
function countsAsDown(facts: Facts, vantage: Vantage, machine: RedisMachine, shard: number): boolean {
  if (factsOf(facts, machine, shard).looks[vantage].state === "down") return true;
  return (
    silentOnAllPorts(facts, vantage, machine) &&
    facts.topology.shards.some(({ index }) => factsOf(facts, machine, index).looks[vantage].state === "down")
  );
}

/** The verdict of two or more vantage points that count the server as down. */
function verdict(facts: Facts, machine: RedisMachine, shard: number, down: Vantage[]): Judgement {
  const { looks } = factsOf(facts, machine, shard);
  const refused = down.filter((vantage) => looks[vantage].silence === "refused");
  const silent = down.filter((vantage) => silentOnAllPorts(facts, vantage, machine));
  if (refused.length + silent.length >= quorum) {
    return { condition: refused.length > 0 ? "refused" : "silent", by: [...refused, ...silent] };
  }
  const { stallMs } = facts.topology.detection;
  const patienceEnded = down.filter((vantage) => failingMs(looks[vantage], facts.nowMs) >= stallMs);
  return { condition: patienceEnded.length >= quorum ? "hung" : "stalling", by: down };
}

/** Silence on one port only is a full accept queue of a stalled process; a lost machine is silent on all. */
function silentOnAllPorts(facts: Facts, vantage: Vantage, machine: RedisMachine): boolean {
  return facts.topology.shards
    .map(({ index }) => factsOf(facts, machine, index).looks[vantage])
    .filter(({ state }) => state !== "none")
    .every(({ state, silence }) => state !== "up" && silence === "silent");
}

function factsOf(facts: Facts, machine: RedisMachine, shard: number) {
  const server = facts.servers[serverId(machine, shard)];
  if (!server) throw new Error(`the facts lack ${machine}'s server of shard ${shard}`);
  return server;
}

function earliest(looks: Look[]): number | undefined {
  const moments = looks.flatMap(({ sinceMs }) => sinceMs ?? []);
  return moments.length > 0 ? Math.min(...moments) : undefined;
}
