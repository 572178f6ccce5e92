/**
 * The rules of docs/architecture.md as invariants, one function each. The model calls them at the moments that
 * matter; the first one that is broken ends the run.
 */

import type { Step } from "../../recovery/decide/steps.ts";
import {
  counterpartOf,
  type MachineName,
  proxyMachines,
  type RedisMachine,
  redisMachines,
} from "../../recovery/topology.ts";
import type { HaProxy } from "./proxy.ts";
import type { RedisServer } from "./redis-server.ts";
import { type Instance, isOneOf, type World } from "./world.ts";

export interface Violation {
  check: string;
  atMs: number;
  text: string;
}

/** Replacements of one machine within an hour that the simulated recovery may make. */
export const budgetPerHour = 3;
const hourMs = 3_600_000;
/** What a counterpart did so long ago it may still be believed to do: three failed looks, and a step under way. */
export const beliefMs = 2_000;
/** Within this time a promotion must come when everything that it needs is there. */
const promotionMaxMs = 3_000;
/** A replica counts as having everything after so long a time without a gap. */
const inSyncMinMs = 2_500;

export class Checks {
  violation: Violation | undefined;
  readonly #world: World;
  /** Per shard, the server that recovery made master last. */
  readonly #promoted = new Map<number, RedisServer>();
  readonly #servedMs = new Map<RedisServer, number>();
  /** When an instance last served nobody. */
  readonly #deadMs = new Map<Instance, number>();
  readonly #launchesMs = new Map<MachineName, number[]>();
  readonly #inSyncSinceMs = new Map<number, number>();
  readonly #waitingSinceMs = new Map<number, number>();
  /** Per shard, the planned switch under way: who is to take over, and what clients were told before. */
  readonly #planned = new Map<number, { from: RedisMachine; to: RedisMachine; isFenced: boolean }>();
  /** When anything last happened that may delay a promotion for a good reason. */
  #disturbedMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  promotedOf(shard: number): RedisServer | undefined {
    return this.#promoted.get(shard);
  }

  /** The world begins with this master. */
  beginWith(server: RedisServer): void {
    this.#promoted.set(server.shard, server);
  }

  /** Called when a redis process has started. */
  started(server: RedisServer): void {
    this.noRedisStartsAsMaster(server);
  }

  /** Called before a server becomes master, with data of that epoch. */
  promoting(server: RedisServer, epoch: number): void {
    // A promotion that recovery gave up when the server hung may come true later: harmless, if its term is over.
    if (this.#siblings(server).some((other) => isWritable(other) && other.data.epoch >= epoch)) return;
    this.promotesOnlyCompleteCopies(server);
    this.confirmedWritesSurvive(server);
    this.fencedBeforePromoted(server);
    this.plannedSwitchLosesNothing(server);
  }

  /** Called when recovery has written an epoch into a master's data: from now on it is the one that is used. */
  promoted(server: RedisServer, epoch: number): void {
    const former = this.#promoted.get(server.shard);
    if (former === server || (former && former.data.epoch > epoch)) return;
    this.#promoted.set(server.shard, server);
    this.#inSyncSinceMs.delete(server.shard);
    this.#waitingSinceMs.delete(server.shard);
  }

  /** Called when a client's write is about to be carried out. */
  writing(server: RedisServer, isLate = false): void {
    this.writesReachOnlyThePromoted(server, isLate);
  }

  /** Called when recovery begins a step. */
  stepBegins(step: Step): void {
    if (step.do === "drain") {
      const { shard, machine } = step;
      this.#planned.set(shard, { from: machine, to: counterpartOf(machine), isFenced: false });
    }
    if (step.do !== "fence") return;
    const planned = this.#planned.get(step.shard);
    // The first fence belongs to the switch; one more begins something else.
    if (planned?.from === step.machine && !planned.isFenced) planned.isFenced = true;
    else this.#planned.delete(step.shard);
  }

  /** What recovery knew of its own replacements is lost: the budget begins again. */
  memoryLost(): void {
    this.#launchesMs.clear();
  }

  /** Called when a traffic line of a proxy was made ready. */
  madeReady(proxy: HaProxy, shard: number, address: string): void {
    this.failedServerIsNotUsed(proxy, shard, address);
  }

  /** Called when recovery takes an instance away. */
  takingAway(instance: Instance): void {
    const { machine, servers } = instance;
    // Without data it is only the second try of a replacement that was begun already.
    if (servers.every(({ disk }) => disk.writes.length === 0)) return;
    if (isOneOf(redisMachines, machine) && instance === this.#world.current(machine)) {
      this.replacedOnlyWhileCounterpartServes(machine, instance);
    }
  }

  /** Called when recovery has launched a machine, and lives to remember it. */
  launched(machine: MachineName): void {
    this.budgetRespected(machine);
  }

  /** A moment has passed; `isMonitored`: the monitor runs, and nothing but the cloud is against it. */
  tick(isMonitored: boolean): void {
    const { nowMs } = this.#world;
    if (!isMonitored) this.#disturbedMs = nowMs;
    for (const machine of redisMachines) {
      const instance = this.#world.current(machine);
      if (this.#isDead(instance)) this.#deadMs.set(instance, nowMs);
    }
    for (const shard of this.#world.shards) {
      const server = this.#promoted.get(shard);
      if (server?.serves && server.role === "master") this.#servedMs.set(server, nowMs);
      this.promotedInTime(shard);
    }
  }

  /** Rule 1: no redis ever starts as a writable master. */
  noRedisStartsAsMaster(server: RedisServer): void {
    if (server.role !== "replica")
      this.#broken("noRedisStartsAsMaster", `${server.name} started as a master`);
  }

  /** Rule 2: no proxy that could be used by clients may lead to another writable master when one is made. */
  fencedBeforePromoted(server: RedisServer): void {
    for (const other of this.#siblings(server)) {
      if (!isWritable(other)) continue;
      for (const { proxy } of this.#world.instances) {
        if (!proxy?.mayCarryTo(other)) continue;
        this.#broken(
          "fencedBeforePromoted",
          `${server.name} becomes master while ${proxy.instance.machine} (${proxy.instance.id}) may still carry writes to ${other.name}`,
        );
      }
    }
  }

  /** Rule 2, seen from the writes: only the server that was made master last gets any. */
  writesReachOnlyThePromoted(server: RedisServer, isLate: boolean): void {
    const promoted = this.#promoted.get(server.shard);
    if (server === promoted) return;
    // It was on its way to a master that was lost, and is found to live: what it is told is lost too.
    if (isLate && this.#planned.get(server.shard)?.to !== promoted?.instance.machine) return;
    this.#broken(
      "writesReachOnlyThePromoted",
      `a client's write reaches ${server.name}, but ${promoted?.name ?? "nobody"} was made master`,
    );
  }

  /** Rule 3: a copy that is loading or being received is never promoted. */
  promotesOnlyCompleteCopies(server: RedisServer): void {
    const doing = server.loading ? "loading" : "receiving its copy";
    if (server.loading || server.syncing) {
      this.#broken("promotesOnlyCompleteCopies", `${server.name} becomes master while ${doing}`);
    }
  }

  /** Rule 3 as its purpose: whoever is made master has every confirmed write that was not destroyed by faults. */
  confirmedWritesSurvive(server: RedisServer): void {
    this.#excuseWithinOneBeat(server);
    const missing = this.missingIn([server]);
    if (missing.length === 0) return;
    this.#broken(
      "confirmedWritesSurvive",
      `${server.name} becomes master, but it lacks ${missing.length} confirmed writes (the first: ${missing[0]})`,
    );
  }

  /** Rule 3, for planned switches: whatever a client was told is done is there afterwards, confirmed or not. */
  plannedSwitchLosesNothing(server: RedisServer): void {
    const planned = this.#planned.get(server.shard);
    const former = this.#promoted.get(server.shard);
    if (planned?.to !== server.instance.machine || former?.instance.machine !== planned.from) return;
    // Whatever it did to its data, by hand or by a loss of power, is no part of the switch.
    if (!former.serves || former.role !== "master" || this.#world.isCareless) return;
    const held = new Set(server.data.writes);
    const acknowledged = this.#world.acknowledged.get(server.shard) ?? [];
    const missing = former.data.writes.filter((write) => !held.has(write) && acknowledged.includes(write));
    if (missing.length === 0) return;
    this.#broken(
      "plannedSwitchLosesNothing",
      `${server.name} takes over by a planned switch, but it lacks ${missing.length} acknowledged writes (the first: ${missing[0]})`,
    );
  }

  /**
   * Two files of one term and beat look alike to recovery: what the other one got after that beat, while both processes were
   * still the former ones, is within the limit of what `everysec` promises (docs/runbook.md, "The data volumes").
   */
  #excuseWithinOneBeat({ instance, shard, disk, offset }: RedisServer): void {
    const other = this.#world.volumes.get(counterpartOf(instance.machine as RedisMachine))?.servers[
      shard - 1
    ];
    if (!other || offset > 0 || other.offset > 0) return;
    if (other.disk.epoch !== disk.epoch || other.disk.beat !== disk.beat) return;
    for (const write of other.disk.writes.slice(other.disk.beatAt)) this.#world.excused.add(write);
  }

  /** Rules 3 and 5: recovery never destroys the last copy of a confirmed write. */
  lastCopyDestroyed(write: number): void {
    this.#broken("confirmedWritesSurvive", `recovery destroyed the last copy of confirmed write ${write}`);
  }

  /** Rule 4: a line becomes ready for the server that recovery made master last, and for nobody else. */
  failedServerIsNotUsed(proxy: HaProxy, shard: number, address: string): void {
    const promoted = this.#promoted.get(shard);
    // A twin that holds the traffic leads nowhere.
    const ends = proxy.endsOf(shard, address);
    if (promoted ? ends.every((end) => end === promoted.instance.address) : ends.length === 0) return;
    this.#broken(
      "failedServerIsNotUsed",
      `${proxy.instance.machine} is told to use ${address} for shard ${shard}, but ${promoted?.name ?? "nobody"} was made master`,
    );
  }

  /**
   * Rule 5: a redis machine is taken away only while its counterpart serves every shard; or when it serves nobody itself,
   * because its data come back with its volume.
   */
  replacedOnlyWhileCounterpartServes(machine: RedisMachine, instance: Instance): void {
    const deadMs = this.#deadMs.get(instance) ?? Number.NEGATIVE_INFINITY;
    if (this.#world.nowMs - deadMs <= beliefMs) return;
    for (const shard of this.#world.shards) {
      const promoted = this.#promoted.get(shard);
      const servedMs = (promoted && this.#servedMs.get(promoted)) ?? Number.NEGATIVE_INFINITY;
      const isCounterpart = promoted?.instance.machine === counterpartOf(machine);
      if (isCounterpart && this.#world.nowMs - servedMs <= beliefMs) continue;
      this.#broken(
        "replacedOnlyWhileCounterpartServes",
        `${machine} is taken away, but ${counterpartOf(machine)} does not serve shard ${shard}`,
      );
    }
  }

  /** Rule 7: whatever is done, a look under the lock has called for it. */
  actsOnAFreshLook(step: string, isCalledFor: boolean): void {
    if (isCalledFor) return;
    this.#broken("actsOnAFreshLook", `no look under the lock, or none that is fresh, calls for: ${step}`);
  }

  /** Rule 8: no machine is replaced more often than the budget allows. */
  budgetRespected(machine: MachineName): void {
    const { wallMs } = this.#world.scheduler;
    const launches = (this.#launchesMs.get(machine) ?? []).filter((one) => Math.abs(wallMs - one) < hourMs);
    launches.push(wallMs);
    this.#launchesMs.set(machine, launches);
    if (launches.length <= budgetPerHour) return;
    this.#broken("budgetRespected", `${machine} was replaced ${launches.length} times within an hour`);
  }

  /** Rule 9: with everything there that a promotion needs, it comes in time, whatever the cloud does. */
  promotedInTime(shard: number): void {
    const { nowMs } = this.#world;
    const master = this.#promoted.get(shard);
    const heir = master && this.#heirOf(master);
    if (!master || !heir) return;
    const isLost = !master.serves || master.instance.vanished || master.role !== "master";
    if (!isLost) {
      const isInSync =
        this.#world.talks(heir.instance, master.instance) &&
        heir.linkUp &&
        heir.serves &&
        heir.data.writes.length >= master.data.writes.length - 20;
      if (!isInSync) this.#inSyncSinceMs.delete(shard);
      else if (!this.#inSyncSinceMs.has(shard)) this.#inSyncSinceMs.set(shard, nowMs);
    }
    // Its file may lack the last second of what it had received (`everysec`): the master's volume is rightly waited for.
    if (!heir.instance.on || !heir.running) this.#inSyncSinceMs.delete(shard);
    const sinceMs = this.#inSyncSinceMs.get(shard);
    const wasInSync = sinceMs !== undefined && nowMs - sinceMs >= inSyncMinMs;
    const isWhole = heir.instance.servers.every(
      ({ serves, loading, syncing }) => serves && !loading && !syncing,
    );
    const isReady = isWhole && !heir.instance.vanished;
    if (!isLost || !wasInSync || !isReady || nowMs - this.#disturbedMs < inSyncMinMs) {
      this.#waitingSinceMs.delete(shard);
      return;
    }
    const waitingMs = this.#waitingSinceMs.get(shard) ?? nowMs;
    this.#waitingSinceMs.set(shard, waitingMs);
    if (nowMs - waitingMs <= promotionMaxMs) return;
    this.#broken(
      "promotedInTime",
      `nobody took over shard ${shard} from ${master.name} within ${promotionMaxMs} ms`,
    );
  }

  /** Eventual recovery: with all faults over, the desired state is reached. `why` says what is missing. */
  eventuallyWell(why: string | undefined): void {
    if (why) this.#broken("eventuallyWell", `not well in time: ${why}`);
  }

  /** Neither recovery nor the model of its world may fail in a way that nobody thought of. */
  neverThrows(who: "decide" | "recovery" | "the model", error: unknown): void {
    this.#broken("neverThrows", `${who} threw ${error instanceof Error ? error.stack : error}`);
  }

  /** Confirmed writes that none of these servers has, without those that faults destroyed. */
  missingIn(servers: RedisServer[]): number[] {
    const { confirmed, excused } = this.#world;
    const shard = servers[0]?.shard ?? 0;
    const held = new Set(servers.flatMap(({ data }) => data.writes));
    return confirmed.filter(
      (write) => this.#world.shardOf(write) === shard && !held.has(write) && !excused.has(write),
    );
  }

  /** No server of it answers, or too few can reach it for anybody to know. */
  #isDead(instance: Instance): boolean {
    if (instance.servers.every(({ serves }) => !serves)) return true;
    const witnesses = [...proxyMachines, "monit" as const].map((name) => this.#world.current(name));
    return witnesses.filter((one) => this.#world.talks(one, instance)).length < 2;
  }

  #heirOf(master: RedisServer): RedisServer | undefined {
    const machine = counterpartOf(master.instance.machine as RedisMachine);
    return this.#world.current(machine).servers[master.shard - 1];
  }

  #siblings(server: RedisServer): RedisServer[] {
    return this.#world.instances
      .flatMap(({ servers }) => servers[server.shard - 1] ?? [])
      .filter((other) => other !== server);
  }

  #broken(check: string, text: string): void {
    this.#world.say(() => `BROKEN ${check}: ${text}`);
    this.violation ??= { check, atMs: this.#world.nowMs, text };
  }
}

/** Why the world is not in the desired state, or undefined. */
export function whyNotWell(world: World): string | undefined {
  for (const instance of world.instances) {
    const isNewest = world.current(instance.machine) === instance;
    if (isNewest && (!instance.on || instance.state !== "running"))
      return `${instance.id} is ${instance.state}`;
    if (!isNewest && instance.state === "running") return `${instance.id} still runs beside its successor`;
  }
  for (const shard of world.shards) {
    const why = whyShardNotWell(world, shard);
    if (why) return `shard ${shard}: ${why}`;
  }
  return undefined;
}

function whyShardNotWell(world: World, shard: number): string | undefined {
  const servers = redisMachines.flatMap((machine) => world.current(machine).servers[shard - 1] ?? []);
  const masters = servers.filter(({ role }) => role === "master");
  const [master] = masters;
  const replica = servers.find((server) => server !== master);
  if (!master || masters.length !== 1) return `${masters.length} masters`;
  if (!replica?.linkUp) return `${replica?.name} has no link to its master`;
  if (replica.follows.host !== master.instance.address)
    return `${replica.name} follows ${replica.follows.host}`;
  for (const name of proxyMachines) {
    const { proxy } = world.current(name);
    if (!proxy?.registered) return `${name} is not registered`;
    for (const machine of redisMachines) {
      const line = proxy.lines[shard]?.[machine].traffic;
      const isWanted = machine === master.instance.machine;
      if (line?.ready !== isWanted) return `${name} ${line?.ready ? "uses" : "does not use"} ${machine}`;
      if (line.draining) return `${name} drains ${machine}`;
      if (isWanted && line.address !== master.instance.address)
        return `${name} uses the address ${line.address}`;
    }
  }
  const [lost] = world.checks.missingIn([master]);
  return lost === undefined ? undefined : `confirmed write ${lost} is lost`;
}

function isWritable({ instance, running, role }: RedisServer): boolean {
  return instance.on && running && role === "master";
}
