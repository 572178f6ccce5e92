/**
 * Facts: everything that one cycle knows about the world, as plain data.
 * `observe/` writes them, `decide/` reads them. They contain no socket and no clock.
 */
import type { MachineName, ProxyMachine, RedisMachine, Topology } from "../topology.ts";

/**
 * The three kinds of silence (docs/architecture.md, "Verdicts"):
 * refused: nobody listens on the port, so the process is gone and the machine answers.
 * silent: no answer at all. stalled: accepted, but no reply (fork, long script, swap, a stopped process).
 */
export type Silence = "refused" | "silent" | "stalled";

/** A vantage point on redis servers: each proxy with its own checks, and monit directly. */
export type Vantage = ProxyMachine | "monit";

/** How one vantage point sees one server. */
export interface Look {
  /** `failing`: some failed probes. `down`: enough failed probes in a row. `none`: this vantage point does not probe. */
  state: "up" | "failing" | "down" | "none";
  silence?: Silence;
  /** When the present row of failures began (monotonic milliseconds). */
  sinceMs?: number;
  /** Of a `down` look of monit: when the oldest of the probes that make it `down` began (monotonic milliseconds). */
  provenSinceMs?: number;
  /**
   * Of a `down` look: from when patience with it counts (monotonic milliseconds). As `sinceMs`, but a short success in between
   * does not begin it again. Decide fills it in (decide/memory/flapping.ts).
   */
  patienceFromMs?: number;
}

export const noLook: Look = { state: "none" };

/**
 * Why a redis server answers recovery with a refusal. `credentials`: NOAUTH or WRONGPASS. `rights`: NOPERM. `busy`: a script
 * runs and does not end. `too many clients`: `maxclients` is reached. `loading`: it reads its data from disk.
 * `unreadable`: its answer lacks a field.
 */
export type RefusalKind =
  | "credentials"
  | "rights"
  | "busy"
  | "too many clients"
  | "loading"
  | "unreadable"
  | "other";

/** A refusal. `text` has the server's own words, or says which field is missing. */
export interface Refusal {
  kind: RefusalKind;
  text: string;
}

/** A replica's link to its master. */
export interface ReplicaLink {
  host: string;
  port: number;
  linkUp: boolean;
  /** A full copy is under way. */
  syncing: boolean;
  /** Seconds since the link was lost. Undefined while it is up, and if this process never had one. */
  downSeconds?: number;
  /** Of a full copy: bytes received, bytes left (undefined while the master does not tell), seconds since the last byte. */
  copy?: { bytesReceived: number; bytesLeft?: number; idleSeconds: number };
}

/**
 * Counts since the process started. A replica does not report why its link stays down, and recovery has no right to read the
 * master's ACL LOG. Which of the master's counters grows meanwhile tells the reason.
 */
export interface RedisCounters {
  /** Full copies that replicas fetched, or began to fetch. */
  fullCopies: number;
  /** Logins with a wrong password, and commands without a login. */
  refusedLogins: number;
  /** Connections that were refused because `maxclients` was reached. */
  refusedConnections: number;
}

/** What a redis server reports about itself. */
export interface RedisInfo {
  runId: string;
  role: "master" | "replica";
  /** It reads its data from disk. It answers, but its copy is incomplete. */
  loading: boolean;
  /** How far it is with that, by its own estimate. */
  loadingProgress?: { percent: number; secondsLeft: number };
  /** Of a replica: its master, whether that link is up, and whether a full copy is under way. */
  follows?: ReplicaLink;
  /** Replication offset: bytes written (master) or received (replica). */
  offset: number;
  /** Recovery's epoch in the data (key `barton:epoch`); 0 if there is none, undefined if it cannot be read. */
  epoch?: number;
  /** Recovery's heartbeat in the data (key `barton:beat`); 0 and undefined as for the epoch. */
  beat?: number;
  /** Of a master: the addresses of replicas that acknowledged what they received within the last second or two. */
  acknowledgedBy?: string[];
  /** Its disk is full, so it refuses its clients' writes. */
  refusesWrites?: boolean;
  counters?: RedisCounters;
  /** Seconds since a session of that address was last active, for the addresses that were asked about. */
  sessionsIdleSeconds?: Record<string, number>;
}

/** One redis server, as all vantage points see it. */
export interface ServerFacts {
  looks: Record<Vantage, Look>;
  /** The latest answer that monit received; it may be old. */
  info?: RedisInfo;
  /** When that answer was asked for (monotonic milliseconds). */
  askedMs?: number;
  /** Why its latest answer was a refusal; undefined if it was none. A server that refuses is alive: no vantage point counts it as a failure. */
  refusal?: Refusal;
}

/**
 * One server line of a proxy: its address, and whether it may be used. A line that drains is neither ready nor in
 * maintenance: it gets no new connections, but its open sessions may still write.
 */
export interface ProxyServer {
  address: string;
  port: number;
  /** Traffic line: new connections may go there. Probe line: it probes. */
  ready: boolean;
  /** In maintenance, as after a fence. */
  maintenance: boolean;
}

/** `paused`: does not listen now. `shut`: ended by `shutdown frontend`; only a new process opens it again. */
export type FrontendState = "open" | "paused" | "shut";

/** Who has asked for a proxy's health page. app asks several times a second. */
export interface Hearing {
  /** By address: true if it has asked lately. An address that this process has never heard is missing. */
  lately: Record<string, boolean>;
  /** Since when monit has been in touch with this process, without a break (monotonic milliseconds). */
  sinceMs: number;
}

/** What one proxy reports about itself: its registration, and per shard and machine the traffic and probe lines. */
export interface ProxyView {
  registered: boolean;
  /** Where clients and app's checks come in, by name. Recovery never closes one. */
  frontends: Record<string, FrontendState>;
  /** By shard, the line `hold`, where connections wait while there is no master. Recovery never takes it out. */
  holds: Record<number, ProxyServer>;
  /** Ids of the monitors that have an entry; undefined if the proxy has no such table (an older program made it). */
  monitors?: string[];
  /** Who asks for its health page; undefined if the proxy has no such table (an older program made it). */
  hearing?: Hearing;
  /** Since when monit has been in touch with this process without a break (monotonic milliseconds). */
  inTouchSinceMs?: number;
  shards: Record<number, Record<RedisMachine, { traffic: ProxyServer; probe: ProxyServer & { look: Look } }>>;
}

export interface ProxyFacts {
  /** How monit sees it. */
  look: Look;
  /** The latest answer of its runtime API; stale unless `look.state` is up. */
  view?: ProxyView;
  /** Why recovery cannot understand the answer of the proxy; undefined if it can. */
  refusal?: string;
}

/** How app's local haproxy sees one proxy, by its checks of the health page. */
export interface ClientLook {
  /** The address that it checks: that of its last DNS lookup. */
  address: string;
  /** `up`: the machine answers, registered or not. */
  look: Look;
  /** Registered, and checked without a failure: clients use it, or would. */
  usable: boolean;
}

/** The app machine, which stands for the many clients: the second vantage point in a verdict on a proxy. */
export interface AppFacts {
  /** How monit sees it. */
  look: Look;
  /** Its latest answer; stale unless `look.state` is up. */
  view?: Record<ProxyMachine, ClientLook>;
  /** Since when each proxy has not been usable for it without a break (monotonic milliseconds). */
  unusedSinceMs?: Partial<Record<ProxyMachine, number>>;
  /** Since when monit has been in touch with its haproxy process without a break (monotonic milliseconds). */
  inTouchSinceMs?: number;
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
  /** Undefined while the cloud has not reported this machine. */
  cloud?: CloudState;
  /** When recovery first saw this instance (monotonic milliseconds). */
  knownSinceMs: number;
  /** Earlier instances of this machine that the cloud has not confirmed to be off. */
  othersAlive: string[];
  /** Instances that this one has replaced, as far as recovery has seen it. A late view of the cloud must not bring them back. */
  former?: string[];
}

export interface Facts {
  nowMs: number;
  /** Wall-clock milliseconds: only for limits per hour. */
  wallMs: number;
  topology: Topology;
  /** This monitor's own id (loop/monitor-id.ts); undefined if it does not ask whether there is another one. */
  self?: string;
  machines: Record<MachineName, MachineFacts>;
  /** By `serverId`. */
  servers: Record<string, ServerFacts>;
  proxies: Record<ProxyMachine, ProxyFacts>;
  app: AppFacts;
}

/** How app sees the proxy; undefined if app does not answer, or checks another address than the present one. */
export function clientLookAt({ app, machines }: Facts, proxy: ProxyMachine): ClientLook | undefined {
  const seen = app.look.state === "up" ? app.view?.[proxy] : undefined;
  return seen?.address === machines[proxy].address ? seen : undefined;
}

/** The key of a server in `Facts.servers`: machine and shard index. */
export function serverId(machine: RedisMachine, shard: number): string {
  return `${machine}/${shard}`;
}
