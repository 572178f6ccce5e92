/**
 * The model world: instances with their processes, who reaches whom, names, and the writes that clients have
 * been told are safe. Faults change it, recovery acts on it, the checks watch it.
 */
import type { CloudState } from "../../recovery/observe/facts.ts";
import type { Outcome } from "../../recovery/observe/tally.ts";
import {
  type MachineName,
  machineNames,
  proxyMachines,
  redisMachines,
  type Topology,
} from "../../recovery/topology.ts";
import { Checks } from "./checks.ts";
import type { Clients } from "./clients.ts";
import type { Mutations } from "./mutants.ts";
import { Inbox, type Process } from "./process.ts";
import { HaProxy } from "./proxy.ts";
import { Random } from "./random.ts";
import { RedisServer } from "./redis-server.ts";
import { Scheduler } from "./scheduler.ts";

const shardsMax = 8;
const resentMs = 200;

/** One machine as the cloud launched it; a replaced machine is another instance. */
export interface Instance {
  id: string;
  machine: MachineName;
  address: string;
  launchedAt: string;
  state: CloudState;
  /** What the cloud's API says, which is late. */
  shown: CloudState | undefined;
  /** Which of its words that was. */
  shownWord: number;
  /** The operating system runs. */
  on: boolean;
  /** No packet passes, either way. */
  vanished: boolean;
  servers: RedisServer[];
  proxy?: HaProxy;
  /** The local proxy of the clients' machine. */
  app?: Process;
}

export interface WorldOptions {
  seed: number;
  shards: number;
  mutations: Mutations;
  trace?: (line: string) => void;
}

export class World {
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly mutations: Mutations;
  readonly checks: Checks;
  readonly topology: Topology;
  readonly shards: number[];
  readonly instances: Instance[] = [];
  /** Which instance has a machine's data volume. */
  readonly volumes = new Map<MachineName, Instance>();
  /** Directed pairs of instance ids between which packets are lost. */
  readonly blocked = new Set<string>();
  /** Instances that receive their replication late. */
  readonly slow = new Set<string>();
  /** By instance id, how many milliseconds more its packets take at most: a slow network, or a busy machine. */
  readonly lagMs = new Map<string, number>();
  /** The DNS records. */
  readonly records = new Map<string, string>();
  isDnsDown = false;
  /** New sessions of which a share needs so long to connect. */
  lateConnections = { share: 0, upToMs: 0 };
  /** A person has changed what only recovery should change. */
  isCareless = false;
  /** The share of the monitor's probes that are lost. */
  probeLoss = 0;
  /** What app's local proxy sees. */
  clients?: Clients;
  /** A person has ordered a failover, which has its own pace. */
  hasOrders = false;
  /** A fault has destroyed the last copy that could have become master. */
  isTotalLoss = false;
  cloudLagMs = 0;
  /** By shard, writes of which a client was told that they are done. */
  readonly acknowledged = new Map<number, number[]>();
  /** Writes of which a client was told that they are on both machines. */
  readonly confirmed: number[] = [];
  /** Those of them whose last copy was destroyed by a fault. */
  readonly excused = new Set<number>();
  readonly #byAddress = new Map<string, Instance>();
  readonly #current = new Map<MachineName, Instance>();
  readonly #trace?: (line: string) => void;
  #ids = 0;
  #writes = 0;
  /** How many words the cloud has said about instances. */
  #words = 0;

  constructor({ seed, shards, mutations, trace }: WorldOptions) {
    this.random = new Random(seed);
    this.mutations = mutations;
    this.#trace = trace;
    this.shards = Array.from({ length: shards }, (_, index) => index + 1);
    for (const machine of machineNames) this.create(machine);
    this.topology = this.#buildTopology();
    this.checks = new Checks(this);
    for (const instance of this.instances) this.boot(instance);
  }

  get nowMs(): number {
    return this.scheduler.nowMs;
  }

  /** A name of its own for whatever needs one. */
  newId(kind: string): string {
    this.#ids += 1;
    return `${kind}-${this.#ids}`;
  }

  get isTraced(): boolean {
    return this.#trace !== undefined;
  }

  isProbeLost(): boolean {
    return this.probeLoss > 0 && this.random.chance(this.probeLoss);
  }

  /** Adds to the trace of a run that is replayed. */
  say(line: () => string): void {
    this.#trace?.(`${(this.nowMs / 1000).toFixed(3).padStart(9)} s  ${line()}`);
  }

  /** A unique write of that shard. */
  newWrite(shard: number): number {
    this.#writes += 1;
    return this.#writes * shardsMax + shard;
  }

  shardOf(write: number): number {
    return write % shardsMax;
  }

  redisPort(shard: number): number {
    return 9000 + shard;
  }

  /** The newest instance of a machine that is not terminated. */
  current(machine: MachineName): Instance {
    const instance = this.#current.get(machine);
    if (!instance) throw new Error(`there is no ${machine}`);
    return instance;
  }

  /** Launches an instance: the cloud has accepted, the machine is not up yet. */
  create(machine: MachineName): Instance {
    const number = this.instances.length + 1;
    const instance: Instance = {
      id: `i-${String(number).padStart(3, "0")}-${machine}`,
      machine,
      address: `10.42.${Math.floor(number / 250)}.${number % 250}`,
      launchedAt: `2030-01-01T00:00:00.${String(number).padStart(6, "0")}Z`,
      state: "pending",
      shown: undefined,
      shownWord: 0,
      on: false,
      vanished: false,
      servers: [],
    };
    this.instances.push(instance);
    this.#byAddress.set(instance.address, instance);
    this.#current.set(machine, instance);
    if (isOneOf(redisMachines, machine)) {
      if (!this.volumes.has(machine)) this.volumes.set(machine, instance);
      instance.servers = this.shards.map((shard) => new RedisServer(this, instance, shard));
    }
    if (isOneOf(proxyMachines, machine)) instance.proxy = new HaProxy(this, instance);
    if (machine === "app")
      instance.app = { instance, running: true, hung: false, processId: instance.id, inbox: new Inbox() };
    return instance;
  }

  /** The machine comes up, and its processes start. */
  boot(instance: Instance): void {
    if (instance.state === "terminated" || instance.state === "shutting-down") return;
    instance.on = true;
    this.setState(instance, "running");
    for (const server of instance.servers) server.start();
    instance.proxy?.boot();
  }

  /** The power goes off; `state` is what the cloud calls it. */
  cutPower(instance: Instance, state: CloudState): void {
    instance.on = false;
    for (const server of instance.servers) server.losePower();
    instance.proxy?.crash();
    this.setState(instance, state);
  }

  /** The instance is gone for good, but not its volume. Recovery's request ends it in an orderly way, as EC2 does. */
  terminate(instance: Instance, cause: "fault" | "recovery", delayMs: number): void {
    if (instance.state === "terminated" || instance.state === "shutting-down") return;
    this.setState(instance, "shutting-down");
    this.scheduler.in(delayMs / 2, () => {
      if (cause === "recovery" && instance.on) for (const server of instance.servers) server.sync();
      this.cutPower(instance, "shutting-down");
    });
    this.scheduler.in(delayMs, () => this.setState(instance, "terminated"));
  }

  hasVolume(instance: Instance): boolean {
    return this.volumes.get(instance.machine) === instance;
  }

  /** The data volume goes from one instance, which is off, to the next, which starts its servers with it. */
  moveVolume(machine: MachineName, to: Instance): void {
    const from = this.volumes.get(machine);
    this.volumes.set(machine, to);
    to.servers.forEach((server, i) => {
      const former = from?.servers[i];
      if (former) server.takeVolumeOf(former);
    });
  }

  setState(instance: Instance, state: CloudState): void {
    instance.state = state;
    this.#words += 1;
    const word = this.#words;
    const show = () => {
      // The cloud's API is late, but never goes back to what it said before.
      if (word > instance.shownWord) Object.assign(instance, { shown: state, shownWord: word });
    };
    if (this.cloudLagMs === 0) show();
    else this.scheduler.in(this.cloudLagMs, show);
  }

  /** Does a packet from `from` arrive at `to`? */
  reaches(from: Instance, to: Instance): boolean {
    if (!from.on || !to.on || from.vanished || to.vanished) return false;
    return this.blocked.size === 0 || !this.blocked.has(`${from.id}>${to.id}`);
  }

  /** Can the two hold a conversation? */
  talks(a: Instance, b: Instance): boolean {
    return this.reaches(a, b) && this.reaches(b, a);
  }

  isSlow(instance: Instance): boolean {
    return this.slow.size > 0 && this.slow.has(instance.id) && this.random.chance(0.9);
  }

  instanceAt(address: string | undefined): Instance | undefined {
    return address === undefined ? undefined : this.#byAddress.get(address);
  }

  serverAt(address: string | undefined, shard: number): RedisServer | undefined {
    return this.instanceAt(address)?.servers[shard - 1];
  }

  /** The address behind a name of a machine, or behind itself. */
  resolve(host: string): string | undefined {
    if (!host.endsWith(".barton")) return host;
    return this.isDnsDown ? undefined : this.records.get(host);
  }

  /** What somebody at `from` finds out by trying to talk to a process. */
  knockAt(from: Instance, address: string, process: Pick<Process, "running" | "hung"> | undefined): Outcome {
    const instance = this.instanceAt(address);
    if (!instance || !this.talks(from, instance)) return "silent";
    if (!process?.running) return "refused";
    return process.hung ? "stalled" : "ok";
  }

  /** How long a packet between these two takes. */
  latencyMs(a: Instance, b: Instance | undefined): number {
    // What is lost is sent again.
    const ownMs = 0.2 + this.random.next() + (this.isProbeLost() ? resentMs : 0);
    if (this.lagMs.size === 0) return ownMs;
    const lagMs = Math.max(this.lagMs.get(a.id) ?? 0, (b && this.lagMs.get(b.id)) ?? 0);
    return ownMs + this.random.next() * lagMs;
  }

  /** A stopped process reads what has come for it meanwhile, one connection after the other, in any order. */
  goOn(process: Process): void {
    process.hung = false;
    if (!process.running) return;
    const unread = process.inbox.take();
    while (unread.length > 0) {
      const [messages = []] = unread.splice(this.random.int(0, unread.length - 1), 1);
      for (const { read } of messages) read();
    }
  }

  /** It stops in the middle of a batch of commands. */
  hangInBatch(process: Process): void {
    const { hangsInBatchMs } = process;
    process.hangsInBatchMs = undefined;
    if (hangsInBatchMs === undefined) return;
    this.say(() => `FAULT: ${process.instance.id} hangs between two commands for ${hangsInBatchMs} ms`);
    process.hung = true;
    this.scheduler.in(hangsInBatchMs, () => this.goOn(process));
  }

  /** Would an answer of this server to a client get through? */
  canAnswer(server: RedisServer, via: Instance): boolean {
    return server.serves && this.reaches(server.instance, via) && this.reaches(via, this.current("app"));
  }

  /** A client was told that its write is done. */
  acknowledge(write: number): void {
    const shard = this.shardOf(write);
    const writes = this.acknowledged.get(shard);
    if (writes) writes.push(write);
    else this.acknowledged.set(shard, [write]);
  }

  /** A client was told that its write is on both machines. */
  confirm(write: number): void {
    this.confirmed.push(write);
  }

  /** Copies of these writes are gone; were they the last? What a fault destroys is nobody's guilt. */
  destroyed(writes: number[], cause: "fault" | "recovery"): void {
    const held = this.#heldWrites();
    const candidates = new Set(writes);
    for (const write of this.confirmed) {
      if (!candidates.has(write) || held.has(write) || this.excused.has(write)) continue;
      if (cause === "fault") this.excused.add(write);
      else this.checks.lastCopyDestroyed(write);
    }
  }

  /** Does no other copy belong to the term that this one has reached? */
  isLastOfTerm({ shard, disk }: RedisServer): boolean {
    return [...this.volumes.values()]
      .flatMap(({ servers }) => servers[shard - 1] ?? [])
      .every((other) => other.disk === disk || other.disk.epoch < disk.epoch);
  }

  #heldWrites(): Set<number> {
    const held = new Set<number>();
    for (const { servers } of this.volumes.values()) {
      for (const { disk } of servers) for (const write of disk.writes) held.add(write);
    }
    return held;
  }

  #buildTopology(): Topology {
    const machines = Object.fromEntries(
      machineNames.map((name) => {
        const { id, address } = this.current(name);
        this.records.set(`${name}.barton`, address);
        const role = name.replace(/\d$/, "");
        return [name, { role, instanceId: id, address, urn: `urn:${name}`, recordUrn: `urn:record:${name}` }];
      }),
    );
    const detection = {
      intervalMs: 200,
      fastIntervalMs: 50,
      connectTimeoutMs: 100,
      failures: 3,
      stallMs: 1_200,
    };
    return {
      domain: "barton",
      machines,
      shards: this.shards.map((index) => ({
        index,
        clientPort: 7000 + index,
        proxyPort: 8000 + index,
        redisPort: this.redisPort(index),
      })),
      ports: { runtime: 8999, health: 8900 },
      detection,
    } as Topology;
  }
}

export function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return names.some((one) => one === name);
}
