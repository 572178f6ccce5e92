/** Parses what haproxy reports: `show stat` (its frontends and servers, as CSV) and `show sess`. */
import { type ProxyMachine, type RedisMachine, redisMachines } from "../topology.ts";
import {
  type ClientLook,
  type FrontendState,
  type Look,
  noLook,
  type ProxyServer,
  type ProxyView,
  type Silence,
} from "./facts.ts";

/** The command that lists all frontends (1) and servers (4) of all proxies. */
export const showStat = "show stat -1 5 -1";

/** The command that lists the entries of the monitors. */
export const showMonitors = "show table monitors";

/** Ids of the monitors; undefined for a proxy without the table (an older program made it). */
export function parseMonitors(text: string): string[] | undefined {
  if (!text.includes("# table: monitors")) return undefined;
  return [...text.matchAll(/^\S+ key=(\S+) /gm)].map(([, key = ""]) => key);
}

export interface Stat {
  servers: StatServer[];
  frontends: Record<string, FrontendState>;
  /** The process was reloaded: it listens no more and only finishes its open sessions. */
  leaving: boolean;
}

/** One server line of `show stat`. */
export interface StatServer {
  backend: string;
  server: string;
  address: string;
  port: number;
  /** Taken out by an administrator (or by recovery). */
  maintenance: boolean;
  /** Gets no new connections (of `registered/self`: the proxy drains before it leaves). */
  draining: boolean;
  /** Gets new connections: it is neither out nor draining, not set down by hand, and has a weight. */
  usable: boolean;
  /** Undefined for a server without checks. */
  check?: {
    failures: number;
    down: boolean;
    silence?: Silence;
    /** The last check got a reply over HTTP, whatever it said. */
    replied: boolean;
  };
}

/**
 * Parses the CSV of `show stat`.
 *
 * @throws when a column that recovery needs is missing, naming it.
 */
export function parseStat(csv: string): Stat {
  const [header, ...lines] = csv.trim().split("\n");
  const column = columnFinder((header ?? "").replace(/^# /, ""));
  const rows = lines.filter(Boolean).map((line) => line.split(","));
  const isFrontend = (cells: string[]) => column(cells, "svname") === "FRONTEND";
  const frontends = rows.filter(isFrontend);
  return {
    servers: rows.filter((cells) => !isFrontend(cells)).map((cells) => statServer(cells, column)),
    frontends: Object.fromEntries(
      frontends.map((cells) => [column(cells, "pxname"), frontendState(column(cells, "status"))]),
    ),
    leaving: frontends.length > 0 && frontends.every((cells) => column(cells, "status") === "STOP"),
  };
}

function frontendState(status: string): FrontendState {
  if (status === "OPEN") return "open";
  return status === "STOP" ? "shut" : "paused";
}

type Column = (cells: string[], name: string) => string;

function columnFinder(header: string): Column {
  const positions = new Map(header.split(",").map((name, position) => [name, position]));
  return (cells, name) => {
    const position = positions.get(name);
    if (position === undefined) throw new Error(`haproxy's "show stat" has no column "${name}"`);
    return cells[position] ?? "";
  };
}

function statServer(cells: string[], column: Column): StatServer {
  const [address = "", port = ""] = splitAddress(column(cells, "addr"));
  const status = column(cells, "status");
  const maintenance = status.startsWith("MAINT");
  const checkStatus = column(cells, "check_status").replace("* ", "");
  return {
    backend: column(cells, "pxname"),
    server: column(cells, "svname"),
    address,
    port: Number(port),
    maintenance,
    draining: /^(DRAIN|NOLB)/.test(status),
    // A weight of 0 does not show in the status.
    usable: /^(no check|UP)/.test(status) && Number(column(cells, "weight")) > 0,
    // SOCKERR: the proxy itself could not try (no free local port, no route), which says nothing about the server.
    check:
      maintenance || ["", "SOCKERR"].includes(checkStatus) ? undefined : checkOf(cells, column, checkStatus),
  };
}

function checkOf(cells: string[], column: Column, checkStatus: string): StatServer["check"] {
  const rise = Number(column(cells, "check_rise"));
  const health = Number(column(cells, "check_health"));
  const healthMax = rise + Number(column(cells, "check_fall")) - 1;
  const down = health < rise;
  return {
    failures: healthMax - health,
    down,
    silence: silenceOf(checkStatus, column(cells, "last_chk")),
    // L7OKC: the health page answers 404 because the proxy drains (disable-on-404).
    replied: ["L7OK", "L7OKC", "L7STS"].includes(checkStatus),
  };
}

/**
 * The kind of silence behind haproxy's check status: L4CON is a refusal unless its text says that
 * there was no route; L4TOUT is no answer at all; every timeout above layer 4 is a stall.
 */
export function silenceOf(checkStatus: string, detail: string): Silence | undefined {
  if (checkStatus === "L4CON") return /refused|reset/i.test(detail) ? "refused" : "silent";
  if (checkStatus === "L4TOUT") return "silent";
  if (checkStatus.endsWith("TOUT")) return "stalled";
  // L7RSP and similar: the connection broke after it was made, for example because the process died.
  return checkStatus.endsWith("OK") || checkStatus === "INI" || checkStatus === "UNK" ? undefined : "stalled";
}

function splitAddress(text: string): [string, string] {
  const colon = text.lastIndexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1)];
}

/**
 * The state of the proxy in recovery's terms.
 *
 * @param failingSince when each probe's present row of failures was first seen, kept by the caller
 *   (haproxy itself only tells whole seconds).
 * @throws when a server or frontend that barton's haproxy.cfg has is missing, naming it.
 */
export function proxyViewOf(
  { servers, frontends }: Pick<Stat, "servers" | "frontends">,
  shards: number[],
  failingSince: (name: string, failing: boolean) => number | undefined,
): ProxyView {
  const byName = new Map(servers.map((server) => [`${server.backend}/${server.server}`, server]));
  const find = (name: string) => byName.get(name) ?? missing("server", name);
  const pair = (shard: number) => (machine: RedisMachine) => {
    const probe = find(`probe${shard}/${machine}`);
    // One check that passed ends a row of failures, although haproxy wants `rise` of them.
    const since = failingSince(`probe${shard}/${machine}`, probe.check?.silence !== undefined);
    return {
      traffic: lineOf(find(`shard${shard}/${machine}`)),
      // A probe line probes also while it drains.
      probe: { ...lineOf(probe), ready: !probe.maintenance, look: lookOfCheck(probe.check, since) },
    };
  };
  const entrances = ["health", ...shards.map((shard) => `shard${shard}`)];
  return {
    registered: find("registered/self").usable,
    frontends: Object.fromEntries(
      entrances.map((name) => [name, frontends[name] ?? missing("frontend", name)]),
    ),
    holds: Object.fromEntries(shards.map((shard) => [shard, lineOf(find(`shard${shard}/hold`))])),
    shards: Object.fromEntries(
      shards.map((shard) => [shard, byMachine(pair(shard))] as const),
    ) as ProxyView["shards"],
  };
}

function missing(kind: "server" | "frontend", name: string): never {
  throw new Error(`haproxy has no ${kind} "${name}"; is its haproxy.cfg barton's, with all shards?`);
}

/**
 * The proxies as app's local proxy sees them.
 *
 * @param failingSince as for `proxyViewOf`.
 * @throws when its haproxy.cfg has no backend `proxies` with both of them.
 */
export function clientViewOf(
  servers: StatServer[],
  failingSince: (name: string, failing: boolean) => number | undefined,
): Record<ProxyMachine, ClientLook> {
  const of = (machine: ProxyMachine): ClientLook => {
    const line = servers.find(({ backend, server }) => backend === "proxies" && server === machine);
    if (!line)
      throw new Error(`app's haproxy has no server "proxies/${machine}"; is its haproxy.cfg barton's?`);
    const replied = line.check?.replied === true;
    const since = failingSince(machine, !replied && line.check?.silence !== undefined);
    const look: Look = replied ? { state: "up" } : lookOfCheck(line.check, since);
    return { address: line.address, look, usable: replied && line.check?.failures === 0 && isInUse(line) };
  };
  return { haproxy1: of("haproxy1"), haproxy2: of("haproxy2") };
}

const isInUse = ({ maintenance, draining }: StatServer) => !maintenance && !draining;

function byMachine<T>(of: (machine: RedisMachine) => T): Record<RedisMachine, T> {
  return Object.fromEntries(redisMachines.map((machine) => [machine, of(machine)])) as Record<
    RedisMachine,
    T
  >;
}

function lineOf({ address, port, usable, maintenance }: StatServer): ProxyServer {
  return { address, port, ready: usable, maintenance };
}

function lookOfCheck(check: StatServer["check"], sinceMs: number | undefined): Look {
  if (!check) return noLook;
  if (check.failures === 0) return { state: "up" };
  // A last check that passed (no silence) means that the server is coming up again.
  return { state: check.down && check.silence ? "down" : "failing", silence: check.silence, sinceMs };
}

/** One session of `show sess`. */
export interface Session {
  id: string;
  backend: string;
  server: string;
  /** Connected to the server, as opposed to waiting for, or retrying, a connection. */
  established: boolean;
}

/** State 8 (`SC_ST_EST`) of haproxy's server-side stream connector. */
const established = 8;

/** Parses `show sess`. */
export function parseSessions(text: string): Session[] {
  const sessions: Session[] = [];
  for (const line of text.split("\n")) {
    const match = /^(0x[0-9a-f]+): .*\bbe=(\S+) srv=(\S+) .*\b(?:scb|s1)=\[(\d+),/.exec(line);
    if (!match?.[1] || !match[2] || !match[3]) continue;
    sessions.push({
      id: match[1],
      backend: match[2],
      server: match[3],
      established: Number(match[4]) === established,
    });
  }
  return sessions;
}
