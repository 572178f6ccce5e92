/** The model of one redis server: its process, its data, its replication. */
import type { RedisInfo } from "../../recovery/observe/facts.ts";
import { refusalOf } from "../../recovery/observe/redis-info.ts";
import type { RedisAnswer } from "../../recovery/observe/redis-link.ts";
import { counterpartOf, type RedisMachine } from "../../recovery/topology.ts";
import { Inbox, type Process } from "./process.ts";
import type { Instance, World } from "./world.ts";

/** A dataset: the writes in order, and recovery's epoch and beat among them. */
export interface Data {
  writes: number[];
  epoch: number;
  beat: number;
  /** How many writes there were at the last beat. */
  beatAt: number;
}

/** Why a server that lives carries out no command of recovery's. */
export type Refusal = "BUSY" | "max number of clients";

interface Waiting {
  write: number;
  offset: number;
  via: Instance;
}

/** Milliseconds; shorter than in life, in the same proportions. */
const times = {
  reconnect: 200,
  linkTimeout: 3_000,
  ping: 500,
  startStreamMax: 800,
  fsync: 1_000,
  acknowledged: 2_000,
} as const;

export class RedisServer implements Process {
  readonly instance: Instance;
  readonly shard: number;
  readonly #world: World;
  running = false;
  hung = false;
  readonly inbox = new Inbox();
  hangsInBatchMs: number | undefined;
  loading = false;
  syncing = false;
  /** Until then it executes no write, and whoever sent one waits (`CLIENT PAUSE`). */
  writesPausedUntilMs = 0;
  refuses: Refusal | undefined;
  /** Its disk is full. */
  isDiskFull = false;
  linkUp = false;
  role: "master" | "replica" = "replica";
  follows = { host: "", port: 0 };
  runId = "";
  offset = 0;
  data: Data = { writes: [], epoch: 0, beat: 0, beatAt: 0 };
  /** On the data volume: what a restarted process finds, also on another instance; the same as `data`, except while a received copy is being loaded. */
  disk: Data = this.data;
  /** The present process was made master by recovery. */
  promoted = false;
  /** When a session from that proxy's address was last active. */
  readonly activeMs = new Map<string, number>();
  /** The ids of these sessions, one for each address. */
  readonly #sessionIds = new Map<string, number>();
  #replicationId = "";
  #formerId = "";
  #formerEnd = 0;
  /** Where its replication backlog begins. */
  #backlogFrom = 0;
  /** Changes whenever what was under way must not go on. */
  #term = 0;
  #streamsFromMs = 0;
  #heardMs = 0;
  #nextTryMs = 0;
  /** When each replica, by address, acknowledged last. */
  readonly #acknowledgedMs = new Map<string, number>();
  /** Who told it whom to follow. */
  #toldBy: "recovery" | "a person" = "recovery";
  /** Since when the link of this process with its master is lost; undefined while it is up, and when there was none. */
  #downSinceMs: number | undefined;
  #pingedMs = 0;
  #fsyncedMs = 0;
  /** How much of `disk` survives a loss of power. */
  #fsynced = { writes: 0, epoch: 0, beat: 0, beatAt: 0 };
  #waiting: Waiting[] = [];

  constructor(world: World, instance: Instance, shard: number) {
    this.#world = world;
    this.instance = instance;
    this.shard = shard;
  }

  get name(): string {
    return `${this.instance.machine} (${this.instance.id}) shard ${this.shard}`;
  }

  /** Answers commands of whoever reaches it. */
  get serves(): boolean {
    return this.running && !this.hung && this.instance.on;
  }

  get pausesWrites(): boolean {
    return this.#world.nowMs < this.writesPausedUntilMs;
  }

  /** Starts the process as its boot configuration says: replica of nobody (rule 1). */
  start(): void {
    const world = this.#world;
    if (this.running || !this.instance.on || !world.hasVolume(this.instance)) return;
    this.#term += 1;
    Object.assign(this, { running: true, hung: false, syncing: false, linkUp: false, promoted: false });
    this.role = world.mutations.startsAsMaster ? "master" : "replica";
    this.follows = world.mutations.startsAsReplicaOfCounterpart
      ? {
          host: `${counterpartOf(this.instance.machine as RedisMachine)}.barton`,
          port: world.redisPort(this.shard),
        }
      : { host: "127.0.0.1", port: 1 };
    this.#toldBy = "recovery";
    this.writesPausedUntilMs = 0;
    this.runId = world.newId("run");
    this.#replicationId = this.runId;
    this.#formerId = "";
    this.offset = 0;
    this.#backlogFrom = 0;
    this.data = this.disk;
    this.#waiting = [];
    this.#downSinceMs = undefined;
    this.#nextTryMs = world.nowMs;
    this.loading = true;
    this.#later(world.random.int(20, this.data.writes.length > 0 ? 400 : 40), () => {
      this.loading = false;
    });
    world.checks.started(this);
  }

  /** The process ends; what it wrote is in its file. */
  crash(): void {
    this.running = false;
    if (this.instance.on) this.inbox.reset();
    else this.inbox.forget();
    this.#reset();
  }

  /** The power fails: what was not yet on disk is gone. */
  losePower(): void {
    this.crash();
    const { writes, ...marks } = this.#fsynced;
    const lost = this.disk.writes.slice(writes);
    const isTermLost = marks.epoch < this.disk.epoch && this.#world.isLastOfTerm(this);
    this.disk = { ...marks, writes: this.disk.writes.slice(0, writes) };
    this.data = this.disk;
    if (isTermLost) this.#world.isTotalLoss = true;
    if (lost.length > 0) this.#world.destroyed(lost, "fault");
  }

  /** An orderly end of its machine: all that was written is on disk. */
  sync(): void {
    const { writes, ...marks } = this.disk;
    this.#fsynced = { writes: writes.length, ...marks };
  }

  /** Its machine got the volume of that server's. */
  takeVolumeOf(former: RedisServer): void {
    this.disk = former.disk;
    this.sync();
    this.start();
  }

  /** `REPLICAOF NO ONE`. */
  promote(by: "recovery" | "a person" = "recovery", epoch = 1): void {
    if (this.role === "master" && (this.promoted || by === "a person")) return;
    if (by === "recovery") this.#world.checks.promoting(this, epoch);
    this.#reset();
    this.#downSinceMs = undefined;
    this.role = "master";
    this.promoted = by === "recovery";
    this.#formerId = this.#replicationId;
    this.#formerEnd = this.offset;
    this.#replicationId = this.#world.newId("replication");
  }

  /** `REPLICAOF host port`. */
  follow(host: string, port: number, by: "recovery" | "a person" = "recovery"): void {
    if (this.role === "replica" && this.follows.host === host && this.follows.port === port) return;
    this.#reset();
    this.role = "replica";
    this.promoted = false;
    this.follows = { host, port };
    this.#toldBy = by;
    this.#nextTryMs = this.#world.nowMs;
  }

  /** Its replicas lose their links, and what they miss is not to be had any more. */
  overflow(): void {
    this.#backlogFrom = this.offset + 1;
  }

  /** The link to its master breaks. */
  breakLink(): void {
    if (this.linkUp) this.#loseLink();
  }

  /** Recovery's script: the epoch can only rise. */
  raiseEpoch(epoch: number): number {
    if (epoch > this.data.epoch) {
      this.#world.checks.promoted(this, epoch);
      this.data.epoch = epoch;
      this.offset += 10;
    }
    return this.data.epoch;
  }

  raiseBeat(): void {
    this.data.beat += 1;
    this.data.beatAt = this.data.writes.length;
    this.offset += 10;
  }

  /** Has followed `master` since before the world began, and has everything. */
  beginAsReplicaOf(master: RedisServer): void {
    this.follow(master.instance.address, this.#world.redisPort(this.shard));
    this.loading = false;
    this.#replicationId = master.#replicationId;
    this.linkUp = true;
    this.#downSinceMs = undefined;
  }

  /** `CLIENT LIST`: the sessions from one address are one here. */
  listSessions(): string {
    const lines = [...this.activeMs.keys()].map((address) => {
      const id = this.#sessionIds.get(address) ?? this.#sessionIds.size + 1;
      this.#sessionIds.set(address, id);
      return `id=${id} addr=${address}:40000 name=`;
    });
    return lines.join("\n");
  }

  /** `CLIENT KILL ID`: how many sessions it has ended. */
  endSession(id: number): number {
    const address = [...this.activeMs.keys()].find((one) => this.#sessionIds.get(one) === id);
    return address !== undefined && this.activeMs.delete(address) ? 1 : 0;
  }

  /** A client's write with WAIT 1 behind it. */
  write(write: number, via: Instance): void {
    this.data.writes.push(write);
    this.offset += 10;
    this.#waiting.push({ write, offset: this.offset, via });
  }

  get processId(): string {
    return this.runId;
  }

  /** What it says to every command of recovery's but INFO; undefined when it carries them out. */
  get refusal(): string | undefined {
    if (this.refuses === "BUSY") return "BUSY Redis is busy running a script";
    if (this.refuses) return `ERR ${this.refuses} reached`;
    return this.loading ? "LOADING Redis is loading the dataset in memory" : undefined;
  }

  /** What a look gets. */
  answer(addresses: string[]): RedisAnswer {
    return this.refuses && this.refusal
      ? { refusal: refusalOf(this.refusal) }
      : { info: this.info(addresses) };
  }

  /** What INFO says, for somebody who asks about the sessions of these addresses. */
  info(addresses: string[]): RedisInfo {
    const { nowMs } = this.#world;
    const base = {
      runId: this.runId,
      role: this.role,
      loading: this.loading,
      offset: this.offset,
      epoch: this.loading ? undefined : this.data.epoch,
      beat: this.loading ? undefined : this.data.beat,
      ...(this.isDiskFull ? { refusesWrites: true } : {}),
      sessionsIdleSeconds: addresses.length > 0 ? this.#idle(addresses, nowMs) : undefined,
    };
    if (this.role === "master") return { ...base, acknowledgedBy: this.#acknowledgers() };
    const downSeconds = this.#downSinceMs === undefined ? undefined : (nowMs - this.#downSinceMs) / 1000;
    return { ...base, follows: { ...this.follows, linkUp: this.linkUp, syncing: this.syncing, downSeconds } };
  }

  /** A moment of life: pings, the file system, replication, confirmations. */
  pump(): void {
    if (!this.serves) return;
    const { nowMs } = this.#world;
    if (nowMs - this.#fsyncedMs >= times.fsync) {
      this.#fsyncedMs = nowMs;
      this.sync();
    }
    if (this.role === "master") {
      if (nowMs - this.#pingedMs < times.ping) return;
      this.#pingedMs = nowMs;
      this.offset += 1;
      return;
    }
    if (this.loading || this.syncing) return;
    if (this.linkUp) this.#receive(nowMs);
    else if (nowMs >= this.#nextTryMs) this.#connect(nowMs);
  }

  #receive(nowMs: number): void {
    const world = this.#world;
    const master = this.#master();
    if (!master || !world.talks(this.instance, master.instance) || master.hung) {
      if (nowMs - this.#heardMs > times.linkTimeout) this.#loseLink();
      return;
    }
    if (!master.running || master.role !== "master" || master.#replicationId !== this.#replicationId) {
      this.#loseLink();
      return;
    }
    this.#heardMs = nowMs;
    // After a full copy, the stream begins with this replica's next acknowledgement only.
    if (nowMs < this.#streamsFromMs || world.isSlow(this.instance)) return;
    const { writes } = master.data;
    for (let at = this.data.writes.length; at < writes.length; at += 1) {
      this.data.writes.push(writes[at] as number);
    }
    this.data.epoch = master.data.epoch;
    this.data.beat = master.data.beat;
    this.data.beatAt = master.data.beatAt;
    this.offset = master.offset;
    master.#confirm(this.offset, this.instance.address);
  }

  #connect(nowMs: number): void {
    const world = this.#world;
    this.#nextTryMs = nowMs + times.reconnect;
    const master = this.#master();
    if (!master?.serves || master.loading || master.role !== "master" || master === this) return;
    if (!world.talks(this.instance, master.instance)) return;
    this.#heardMs = nowMs;
    const isKept = this.offset >= master.#backlogFrom;
    const isSame = isKept && this.#replicationId === master.#replicationId && this.offset <= master.offset;
    const isFormer = isKept && this.#replicationId === master.#formerId && this.offset <= master.#formerEnd;
    if (!isSame && !isFormer) {
      this.#copyAll(master);
      return;
    }
    this.#replicationId = master.#replicationId;
    this.#streamsFromMs = nowMs;
    this.linkUp = true;
    this.#downSinceMs = undefined;
  }

  /** A full copy: received beside the old one, then loaded in its place. */
  #copyAll(master: RedisServer): void {
    const world = this.#world;
    const copy: Data = { ...master.data, writes: master.data.writes.slice() };
    const { offset } = master;
    const replicationId = master.#replicationId;
    this.syncing = true;
    this.#later(world.random.int(50, 900), () => {
      this.syncing = false;
      const isGone = !master.serves || master.#replicationId !== replicationId;
      if (isGone || !world.talks(this.instance, master.instance)) return;
      this.loading = true;
      this.#later(world.random.int(10, 400), () => {
        const lost = this.disk.writes;
        const byHand = this.#toldBy === "a person";
        // A person had the only data of the present term replaced by older ones.
        if (byHand && copy.epoch < this.disk.epoch && world.isLastOfTerm(this)) world.isTotalLoss = true;
        this.loading = false;
        this.data = copy;
        this.disk = copy;
        this.sync();
        this.offset = offset;
        this.#replicationId = replicationId;
        this.linkUp = true;
        this.#downSinceMs = undefined;
        this.#heardMs = world.nowMs;
        this.#streamsFromMs = world.nowMs + world.random.int(0, times.startStreamMax);
        world.destroyed(lost, byHand ? "fault" : "recovery");
      });
    });
  }

  /** Confirms what a replica has acknowledged, to those clients who still can be told. */
  #confirm(offset: number, by: string): void {
    this.#acknowledgedMs.set(by, this.#world.nowMs);
    for (let first = this.#waiting[0]; first && first.offset <= offset; first = this.#waiting[0]) {
      this.#waiting.shift();
      if (this.#world.canAnswer(this, first.via)) this.#world.confirm(first.write);
    }
  }

  #master(): RedisServer | undefined {
    return this.#world.serverAt(this.#world.resolve(this.follows.host), this.shard);
  }

  #loseLink(): void {
    this.linkUp = false;
    this.#downSinceMs = this.#world.nowMs;
    this.#nextTryMs = this.#world.nowMs + times.reconnect;
  }

  #reset(): void {
    this.#term += 1;
    this.#waiting = [];
    this.#acknowledgedMs.clear();
    if (this.linkUp) this.#downSinceMs = this.#world.nowMs;
    this.linkUp = false;
    this.syncing = false;
    this.loading = false;
  }

  #later(delayMs: number, run: () => void): void {
    const term = this.#term;
    const step = () => {
      if (term !== this.#term || !this.running) return;
      // A stopped process goes on when it is continued.
      if (this.hung) this.#world.scheduler.in(100, step);
      else run();
    };
    this.#world.scheduler.in(delayMs, step);
  }

  #acknowledgers(): string[] {
    const { nowMs } = this.#world;
    return [...this.#acknowledgedMs].flatMap(([by, atMs]) => (nowMs - atMs < times.acknowledged ? [by] : []));
  }

  #idle(addresses: string[], nowMs: number): Record<string, number> {
    const idle: Record<string, number> = {};
    for (const address of addresses) {
      const active = this.activeMs.get(address);
      if (active !== undefined) idle[address] = Math.floor((nowMs - active) / 1000);
    }
    return idle;
  }
}
