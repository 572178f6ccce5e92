/**
 * Facts: everything that one cycle knows about the world, as plain data.
 * `observe/` fills them in, `decide/` reads them; neither sockets nor clocks travel along.
 */
import type { MachineName, ProxyMachine, RedisMachine, Topology } from "../topology.ts";

/**
 * The three kinds of silence (docs/architecture.md, "Verdicts"): nobody listens on the port (the process is gone, the
 * machine answers); no answer at all; accepted, but no reply (fork, long script, swap, a stopped process).
 */
export type Silence = "refused" | "silent" | "stalled";

/** Who looks: each proxy by its own checks, and monit directly. */
export type Vantage = ProxyMachine | "monit";

/** How one vantage point sees one server. */
export interface Look {
  /** `down` is that vantage point's verdict after enough failures in a row; `none`: it is not looking. */
  state: "up" | "failing" | "down" | "none";
  silence?: Silence;
  /** When the present row of failures began (monotonic milliseconds). */
  sinceMs?: number;
}

export const noLook: Look = { state: "none" };

/** What a redis server says of itself. */
export interface RedisInfo {
  runId: string;
  role: "master" | "replica";
  /** Reading its data from disk: answers, but its copy is incomplete. */
  loading: boolean;
  /** Of a replica: whom it follows, whether that link is up, whether a full copy is under way. */
  follows?: { host: string; port: number; linkUp: boolean; syncing: boolean };
  /** Replication offset: of what was written (master) or received (replica). */
  offset: number;
  /** Recovery's epoch as the data themselves carry it; 0 in data that never had one, undefined if unreadable. */
  epoch?: number;
  /** Recovery's beat, as the data themselves carry it, likewise. */
  beat?: number;
  /** Of a master: the addresses of replicas that acknowledged what they received within the last second or two. */
  acknowledgedBy?: string[];
  /** It cannot write to its disk, which is full: it refuses its clients' writes. */
  refusesWrites?: boolean;
  /** Seconds since a session of that address was last active, for the addresses that were asked about. */
  sessionsIdleSeconds?: Record<string, number>;
}

/** One redis server, seen from everywhere. */
export interface ServerFacts {
  looks: Record<Vantage, Look>;
  /** The latest answer that monit got, however old. */
  info?: RedisInfo;
  /** When that answer was asked for (monotonic milliseconds). */
  askedMs?: number;
  /** Set while the server answers but refuses recovery's credentials or commands. */
  refusal?: string;
}

/**
 * One server line of a proxy: where it points and whether it may be used. One that drains is neither ready nor in
 * maintenance: it gets no new connections, but what it has may still write.
 */
export interface ProxyServer {
  address: string;
  port: number;
  /** New connections may go there; of a probe line: it probes. */
  ready: boolean;
  /** Out, as a fence leaves it. */
  maintenance: boolean;
}

/** `shut` is one that was ended by `shutdown frontend`: only a new process opens it again. */
export type FrontendState = "open" | "paused" | "shut";

/** Who asks for a proxy's health page, as app does all the time. */
export interface Hearing {
  /** By address: has it asked lately? One that this process has never heard is not in here. */
  lately: Record<string, boolean>;
  /** Since when monit has been in touch with this process, without a break (monotonic milliseconds). */
  sinceMs: number;
}

/** What one proxy says of itself: its registration, and per shard and machine the traffic and probe lines. */
export interface ProxyView {
  registered: boolean;
  /** Where clients and app's checks come in, by name. Recovery never closes one. */
  frontends: Record<string, FrontendState>;
  /** By shard, the server where connections wait while there is no master. Recovery never changes it either. */
  holds: Record<number, ProxyServer>;
  /** Ids of the monitors that are at work, as they have told it; undefined when the proxy keeps no such table. */
  monitors?: string[];
  /** Whom it hears; undefined when the proxy keeps no such table. */
  hearing?: Hearing;
  shards: Record<number, Record<RedisMachine, { traffic: ProxyServer; probe: ProxyServer & { look: Look } }>>;
}

export interface ProxyFacts {
  /** How monit sees it. */
  look: Look;
  /** The latest answer of its runtime API; stale unless `look.state` is up. */
  view?: ProxyView;
  /** Set while the proxy answers something that makes no sense to recovery. */
  refusal?: string;
}

/** How app's local proxy sees one proxy, by its checks of the health page. */
export interface ClientLook {
  /** Where it looks: the address that the name had when it last resolved it. */
  address: string;
  /** `up`: the machine answers, registered or not. */
  look: Look;
  /** Registered: clients use it, or would. */
  usable: boolean;
}

/** The app machine, which stands for the many clients: the second vantage point in a verdict on a proxy. */
export interface AppFacts {
  /** How monit sees it. */
  look: Look;
  /** Its latest answer; stale unless `look.state` is up. */
  view?: Record<ProxyMachine, ClientLook>;
}

/** The states of an EC2 instance. `missing`: the cloud answered, and there is no such instance. */
export type CloudState =
  | "pending"
  | "running"
  | "shutting-down"
  | "terminated"
  | "stopping"
  | "stopped"
  | "missing";

export interface MachineFacts {
  /** Undefined until the machine exists. */
  instanceId?: string;
  address?: string;
  /** Undefined while the cloud has not said anything of this machine. */
  cloud?: CloudState;
  /** When recovery first saw this instance (monotonic milliseconds). */
  knownSinceMs: number;
  /** Earlier instances of this machine that the cloud has not confirmed to be off. */
  othersAlive: string[];
  /** Instances that this one came in the place of, as far as recovery has seen it: the cloud's word may come late. */
  former?: string[];
}

export interface Facts {
  nowMs: number;
  /** Wall-clock milliseconds: only for limits per hour. */
  wallMs: number;
  topology: Topology;
  /** This monitor's own id (see identity.ts); undefined while nobody asks whether there is another one. */
  self?: string;
  machines: Record<MachineName, MachineFacts>;
  /** By `serverId`. */
  servers: Record<string, ServerFacts>;
  proxies: Record<ProxyMachine, ProxyFacts>;
  app: AppFacts;
}

/** How the clients see the proxy, if they can be asked and look at the address that it has now. */
export function clientLookAt({ app, machines }: Facts, proxy: ProxyMachine): ClientLook | undefined {
  const seen = app.look.state === "up" ? app.view?.[proxy] : undefined;
  return seen?.address === machines[proxy].address ? seen : undefined;
}

/** The key of a server in `Facts.servers`: machine and shard index. */
export function serverId(machine: RedisMachine, shard: number): string {
  return `${machine}/${shard}`;
}
