/** The model of one haproxy process on haproxy1 or haproxy2: its server lines, its sessions, its runtime API. */
import { holdAddress } from "../../recovery/decide/rules/proxy-changes.ts";
import type { ProxyServer, ProxyView } from "../../recovery/observe/facts.ts";
import { noLook } from "../../recovery/observe/facts.ts";
import type { Session } from "../../recovery/observe/proxy-stat.ts";
import { count, lookOf, type Tally } from "../../recovery/observe/tally.ts";
import { type RedisMachine, redisMachines } from "../../recovery/topology.ts";
import { Inbox, type Process } from "./process.ts";
import type { RedisServer } from "./redis-server.ts";
import type { Instance, World } from "./world.ts";

interface Line {
  address: string;
  port: number;
  ready: boolean;
  /** By somebody's hand: it gets no new sessions, and is not fenced either. */
  draining: boolean;
}

/** What a line can be set to. */
export type LineState = "ready" | "drain" | "maint";

interface Lines {
  traffic: Line;
  probe: Line & { tally: Tally };
}

/** Where a connection goes: along the way of its line to a server, or first to the twin, whose session goes on from there. */
export interface Way {
  machine: RedisMachine;
  server: RedisServer;
  /** The last proxy on the way. */
  last: HaProxy;
}

interface OpenSession extends Way {
  id: string;
  /** It has not reached the server yet. */
  isConnecting?: boolean;
  shard: number;
  /** On a detour: the twin's part of it. */
  onward?: OpenSession;
}

interface Kept {
  registered: boolean;
  servers: { shard: number; machine: RedisMachine; address: string; port: number }[];
}

const nothingKept: Kept = { registered: false, servers: [] };

/** Who has asked for the health page within this time counts as heard: shorter than in life, as all limits here. */
const heardLatelyMs = 1_000;
/** A monitor's entry that is not renewed for so long vanishes: likewise. */
const monitorExpiryMs = 3_000;

/** As haproxy has it before the first check of a server: up. */
const unchecked: Tally = { failures: 0, looked: true };

export class HaProxy implements Process {
  readonly instance: Instance;
  readonly #world: World;
  running = false;
  hung = false;
  readonly inbox = new Inbox();
  hangsInBatchMs: number | undefined;
  registered = false;
  /** It leaves by order: what it has may end. */
  draining = false;
  processId = "";
  /** Where clients, and app's checks, do not come in: `health`, or `shardN`. */
  readonly closed = new Map<string, "paused" | "shut">();
  /** The text of haproxy.cfg. */
  configuration = "configuration of the program";
  lines: Record<number, Record<RedisMachine, Lines>> = {};
  sessions: OpenSession[] = [];
  /** Of each shard's lines (keep.lua): a fence ends it, and a command of an ended one lets no traffic go. */
  generations: Record<number, number> = {};
  #nextProbeMs = 0;
  /** When who has asked for the health page last, and since when this process listens without a break. */
  readonly #heardMs = new Map<string, number>();
  #listeningSinceMs = 0;
  /** When each monitor has renewed its entry. */
  readonly #monitorsMs = new Map<string, number>();
  /** What keep.lua has written down, and what of it is still to be restored; undefined once recovery has spoken. */
  #kept: Kept = nothingKept;
  #toRestore: Kept | undefined;

  constructor(world: World, instance: Instance) {
    this.#world = world;
    this.instance = instance;
    // Also of one that ends before it has booted: it leads nowhere.
    for (const shard of world.shards) this.lines[shard] = { redis1: freshLines(), redis2: freshLines() };
  }

  get serves(): boolean {
    return this.running && !this.hung && this.instance.on;
  }

  /** The machine boots: what was kept is gone, and nobody is served until recovery says who is master. */
  boot(): void {
    this.#kept = nothingKept;
    this.start();
  }

  /** Starts with every server disabled, and goes on where the last process was. */
  start(): void {
    if (this.running || !this.instance.on) return;
    this.running = true;
    this.hung = false;
    this.registered = false;
    this.draining = false;
    this.sessions = [];
    this.#heardMs.clear();
    this.#monitorsMs.clear();
    this.closed.clear();
    this.#listeningSinceMs = this.#world.nowMs;
    this.processId = this.#world.newId("process");
    this.#toRestore = this.#kept;
    for (const shard of this.#world.shards) {
      this.lines[shard] = { redis1: freshLines(), redis2: freshLines() };
      this.generations[shard] = Math.round(this.#world.nowMs) * 1_000;
    }
  }

  crash(): void {
    this.running = false;
    this.sessions = [];
    if (this.instance.on) this.inbox.reset();
    else this.inbox.forget();
  }

  /** `keep servers`, which ends whatever recovery says. */
  keep(): void {
    this.#toRestore = undefined;
    const servers = this.#world.shards.flatMap((shard) =>
      redisMachines.flatMap((machine) => {
        const { ready, address, port } = this.#linesOf(shard, machine).traffic;
        return ready ? [{ shard, machine, address, port }] : [];
      }),
    );
    this.#kept = { registered: this.registered, servers };
  }

  /** `generation next`. */
  nextGeneration(shard: number): void {
    this.generations[shard] = (this.generations[shard] ?? 0) + 1;
  }

  /** `use server`: out, moved if it is to be, and ready. @throws when the generation has ended. */
  #use(generation: string, shard: number, name: string, place: string | undefined): void {
    const present = this.generations[shard];
    if (Number(generation) !== present) throw new Error(`the generation is ${present}, not ${generation}`);
    const [address, port] = place?.split(" ") ?? [];
    const server = `set server ${name}`;
    const moves = address ? [`${server} state maint`, `${server} addr ${address} port ${port}`] : [];
    for (const command of [...moves, `${server} state ready`]) this.command(command);
  }

  /** Carries out one command of the runtime API. @throws when it is none that haproxy knows. */
  command(text: string): void {
    const [, generation, name, used, place] =
      /^use server (\d+) (shard(\d+)\/\w+)(?: (\S+ \d+))?$/.exec(text) ?? [];
    if (generation && name) {
      this.#use(generation, Number(used), name, place);
      return;
    }
    const frontend = /^enable frontend (\w+)$/.exec(text)?.[1];
    if (frontend) {
      if (this.closed.get(frontend) === "shut")
        throw new Error("Frontend was previously shut down, cannot enable.");
      this.closed.delete(frontend);
      return;
    }
    const words =
      /^set server (registered|shard|probe)(\d*)\/(\w+) (state|addr|weight|health) (\S+)(?: port (\d+))?$/.exec(
        text,
      );
    const [, backend, shard, server, verb, value, port] = words ?? [];
    if (!words) throw new Error(`the model of haproxy does not know the command "${text}"`);
    // Weights and set healths are not modelled: they are as in the file.
    if (verb === "weight" || verb === "health") return;
    if (backend === "registered") {
      this.registered = value === "ready";
      this.draining = value === "drain";
      return;
    }
    const lines = this.lines[Number(shard)]?.[server as RedisMachine];
    if (!lines) throw new Error(`no such server: ${text}`);
    const line = backend === "shard" ? lines.traffic : lines.probe;
    if (verb === "addr") Object.assign(line, { address: value, port: Number(port) });
    else setState(line, value as LineState);
    if (backend === "probe") lines.probe.tally = unchecked;
    if (backend === "shard" && verb === "state" && line.ready) {
      this.#world.checks.madeReady(this, Number(shard), line.address);
    }
  }

  /** A person changes a traffic line, past recovery and its checks. */
  changeByHand(shard: number, machine: RedisMachine, state: LineState): void {
    setState(this.#linesOf(shard, machine).traffic, state);
  }

  /** A monitor leaves or renews its entry. */
  enter(monitor: string): void {
    this.#monitorsMs.set(monitor, this.#world.nowMs);
  }

  /** Somebody asks for the health page. */
  hear(address: string): void {
    this.#heardMs.set(address, this.#world.nowMs);
  }

  view(): ProxyView {
    const { failures } = this.#world.topology.detection;
    const shards = {} as ProxyView["shards"];
    const frontends: ProxyView["frontends"] = { health: this.closed.get("health") ?? "open" };
    const holds: ProxyView["holds"] = {};
    for (const shard of this.#world.shards) {
      const of = (machine: RedisMachine) => {
        const { traffic, probe } = this.#linesOf(shard, machine);
        const look = probe.ready ? lookOf(probe.tally, failures) : noLook;
        return { traffic: asTold(traffic), probe: { ...asTold(probe), look } };
      };
      shards[shard] = { redis1: of("redis1"), redis2: of("redis2") };
      frontends[`shard${shard}`] = this.closed.get(`shard${shard}`) ?? "open";
      holds[shard] = { ...holdAddress, ready: true, maintenance: false };
    }
    const isLate = (heardMs: number) => this.#world.nowMs - heardMs > heardLatelyMs;
    const lately = Object.fromEntries(
      [...this.#heardMs].map(([address, heardMs]) => [address, !isLate(heardMs)]),
    );
    return {
      registered: this.registered,
      frontends,
      holds,
      shards,
      monitors: [...this.#monitorsMs].flatMap(([monitor, atMs]) =>
        this.#world.nowMs - atMs > monitorExpiryMs ? [] : [monitor],
      ),
      hearing: { lately, sinceMs: this.#listeningSinceMs },
    };
  }

  /** Probes every server, when that is due. */
  probe(): void {
    const world = this.#world;
    if (!this.serves) this.#listeningSinceMs = world.nowMs;
    if (!this.serves || world.nowMs < this.#nextProbeMs) return;
    this.#restore();
    const { intervalMs, fastIntervalMs, failures } = world.topology.detection;
    this.#nextProbeMs = world.nowMs + intervalMs;
    for (const shard of world.shards) {
      for (const machine of redisMachines) {
        const { probe } = this.#linesOf(shard, machine);
        if (!probe.ready) continue;
        const outcome = world.knockAt(this.instance, probe.address, world.serverAt(probe.address, shard));
        probe.tally = count(probe.tally, outcome, world.nowMs);
        const isInDoubt = outcome !== "ok" && probe.tally.failures < failures;
        if (isInDoubt) this.#nextProbeMs = world.nowMs + fastIntervalMs * 2;
      }
    }
  }

  /** The way that a new connection gets now; undefined while it has to wait. */
  choose(shard: number): Way | undefined {
    const world = this.#world;
    const ready = redisMachines.filter((machine) => this.#linesOf(shard, machine).traffic.ready);
    if (ready.length === 0) return undefined;
    const machine = world.random.pick(ready);
    const { address } = this.#linesOf(shard, machine).traffic;
    const onward = this.#proxyAt(address)?.choose(shard);
    if (onward) return { ...onward, machine };
    const server = world.serverAt(address, shard);
    return server && world.talks(this.instance, server.instance) && server.running
      ? { machine, server, last: this }
      : undefined;
  }

  open(shard: number): OpenSession | undefined {
    const chosen = this.choose(shard);
    if (!chosen) return undefined;
    const onward = chosen.last === this ? undefined : chosen.last.open(shard);
    const way = { ...chosen, ...onward, machine: chosen.machine };
    const session = { ...way, id: this.#world.newId("session"), shard, onward };
    this.sessions.push(session);
    return session;
  }

  /** A session whose connection to the server takes so long; `then` is carried out when it is there, if it was not cut. */
  connect(shard: number, way: Way, afterMs: number, then: () => void): void {
    const session: OpenSession = { ...way, id: this.#world.newId("session"), shard, isConnecting: true };
    this.sessions.push(session);
    this.#world.scheduler.in(afterMs, () => {
      const isThere = this.sessions.includes(session);
      this.sessions = this.sessions.filter((other) => other !== session);
      if (isThere && this.serves) then();
    });
  }

  /** The session of that name, while it lasts. */
  session(id: string): OpenSession | undefined {
    return this.sessions.find((session) => session.id === id && isWhole(session));
  }

  /** The twin that a line on a detour leads to, if it can be reached. */
  #proxyAt(address: string): HaProxy | undefined {
    const proxy = this.#world.instanceAt(address)?.proxy;
    return proxy?.serves && this.#world.talks(this.instance, proxy.instance) ? proxy : undefined;
  }

  /** Sessions as `show sess` lists them. */
  listSessions(): Session[] {
    this.forgetEnded();
    return this.sessions.map(({ id, shard, machine, isConnecting }) => ({
      id,
      backend: `shard${shard}`,
      server: machine,
      established: !isConnecting,
    }));
  }

  cut(ids: string[]): void {
    this.sessions = this.sessions.filter(({ id }) => !ids.includes(id));
  }

  /** Sessions with a process that has ended are over, and those of which the twin has cut its part. */
  forgetEnded(): void {
    const isGone = ({ running, instance }: RedisServer) => !running && instance.on;
    this.sessions = this.sessions.filter((session) => isWhole(session) && !isGone(session.server));
  }

  /** Could a client's write pass to this server, now or when whatever is in its way goes away? */
  mayCarryTo(server: RedisServer): boolean {
    return (this.registered || this.draining) && this.#leadsTo(server);
  }

  /** The same for one who is here already. */
  #leadsTo(server: RedisServer): boolean {
    if (!this.running || !this.instance.on) return false;
    const isReady = redisMachines.some((machine) => {
      const { ready, address } = this.#linesOf(server.shard, machine).traffic;
      if (!ready) return false;
      const twin = this.#world.instanceAt(address)?.proxy;
      return twin ? twin.#leadsTo(server) : address === server.instance.address;
    });
    const isEstablished = (session: OpenSession) =>
      session.server === server && !session.isConnecting && isWhole(session);
    return isReady || this.sessions.some(isEstablished);
  }

  /** The addresses that the shard's traffic may end at when it is sent to this one: its own, or where the twin sends it. */
  endsOf(shard: number, address: string): string[] {
    const twin = this.#world.instanceAt(address)?.proxy;
    if (!twin) return [address];
    const lines = redisMachines.map((machine) => twin.#linesOf(shard, machine).traffic);
    return lines.filter(({ ready }) => ready).map((line) => line.address);
  }

  /** Uses the servers that were in use and say that they are masters; when it has them all, app may use the proxy. */
  #restore(): void {
    if (!this.#toRestore) return;
    const { registered, servers } = this.#toRestore;
    const missing = servers.filter((kept) => !this.#isMaster(kept));
    for (const { shard, machine, address, port } of servers.filter((kept) => this.#isMaster(kept))) {
      Object.assign(this.#linesOf(shard, machine).traffic, { address, port, ready: true, draining: false });
      this.#world.checks.madeReady(this, shard, address);
    }
    this.#toRestore = missing.length > 0 ? { registered, servers: missing } : undefined;
    if (missing.length === 0) this.registered = registered;
  }

  #isMaster({ shard, address }: Kept["servers"][number]): boolean {
    if (this.#world.mutations.restoresFenced) return true;
    const twin = this.#proxyAt(address);
    const server = twin ? twin.choose(shard)?.server : this.#world.serverAt(address, shard);
    if (!server?.serves || !(twin || this.#world.talks(this.instance, server.instance))) return false;
    return server.role === "master";
  }

  #linesOf(shard: number, machine: RedisMachine): Lines {
    const lines = this.lines[shard]?.[machine];
    if (!lines) throw new Error(`the proxy has no shard ${shard}`);
    return lines;
  }
}

/** On a detour a session lasts for as long as the twin's part of it. */
function isWhole({ onward, last }: OpenSession): boolean {
  return !onward || last.sessions.includes(onward);
}

function setState(line: Line, state: LineState): void {
  line.ready = state === "ready";
  line.draining = state === "drain";
}

function asTold({ address, port, ready, draining }: Line): ProxyServer {
  return { address, port, ready, maintenance: !ready && !draining };
}

function freshLines(): Lines {
  const line = { address: "127.0.0.1", port: 1, ready: false, draining: false };
  return { traffic: { ...line }, probe: { ...line, tally: unchecked } };
}
