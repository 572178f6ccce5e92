/** Parses what redis reports: the text of INFO and of CLIENT LIST. */
import type { RedisCounters, RedisInfo, Refusal, RefusalKind, ReplicaLink } from "./facts.ts";

/** The sections of INFO that recovery reads. */
export const infoSections = ["server", "replication", "persistence", "stats", "errorstats"] as const;

/**
 * Reads the text of INFO.
 *
 * @throws when a field that redis from 7 on and valkey have is missing, naming it.
 */
export function parseRedisInfo(text: string): Omit<RedisInfo, "epoch" | "beat"> {
  const field = fieldsOf(text);
  const isMaster = needed(field, "role") === "master";
  const loading = needed(field, "loading") !== "0" || field.get("async_loading") === "1";
  const refusesWrites = needed(field, "aof_last_write_status") !== "ok";
  const base = {
    runId: needed(field, "run_id"),
    loading,
    ...(loading && field.has("loading_loaded_perc") && { loadingProgress: loadingProgressIn(field) }),
    ...(refusesWrites ? { refusesWrites } : {}),
    ...(field.has("sync_full") && { counters: countersIn(field) }),
  };
  if (isMaster) {
    const offset = Number(needed(field, "master_repl_offset"));
    return { ...base, role: "master", offset, acknowledgedBy: acknowledgersIn(text) };
  }
  return {
    ...base,
    role: "replica",
    offset: Number(field.get("slave_repl_offset") ?? needed(field, "master_repl_offset")),
    follows: {
      host: needed(field, "master_host"),
      port: Number(needed(field, "master_port")),
      linkUp: field.get("master_link_status") === "up",
      syncing: field.get("master_sync_in_progress") === "1",
      ...troubleOfLink(field),
    },
  };
}

function loadingProgressIn(field: Map<string, string>) {
  return {
    percent: numberIn(field, "loading_loaded_perc"),
    secondsLeft: numberIn(field, "loading_eta_seconds"),
  };
}

function countersIn(field: Map<string, string>): RedisCounters {
  const errors = (code: string) => Number(field.get(`errorstat_${code}`)?.replace("count=", "") ?? 0);
  return {
    fullCopies: numberIn(field, "sync_full"),
    refusedLogins: errors("WRONGPASS") + errors("NOAUTH"),
    refusedConnections: numberIn(field, "rejected_connections"),
  };
}

/** Redis reports these fields only while a link is down, or a full copy is under way; -1 stands for "never" and "not yet known". */
function troubleOfLink(field: Map<string, string>): Pick<ReplicaLink, "downSeconds" | "copy"> {
  const downSeconds = numberIn(field, "master_link_down_since_seconds", -1);
  const isSyncing = field.has("master_sync_read_bytes");
  // Of a transfer without a file on the master's disk it does not know the length: the total is 0, and what is left is negative.
  const bytesLeft = numberIn(field, "master_sync_left_bytes", -1);
  return {
    ...(downSeconds >= 0 && { downSeconds }),
    ...(isSyncing && {
      copy: {
        bytesReceived: numberIn(field, "master_sync_read_bytes"),
        ...(bytesLeft >= 0 && numberIn(field, "master_sync_total_bytes") > 0 && { bytesLeft }),
        idleSeconds: numberIn(field, "master_sync_last_io_seconds_ago"),
      },
    }),
  };
}

const refusalCodes: Record<string, RefusalKind> = {
  NOAUTH: "credentials",
  WRONGPASS: "credentials",
  NOPERM: "rights",
  BUSY: "busy",
  LOADING: "loading",
};

/** The refusal that an error reply of redis, without the leading "-", stands for. */
export function refusalOf(text: string): Refusal {
  if (/^ERR max number of clients/.test(text)) return { kind: "too many clients", text };
  return { kind: refusalCodes[text.split(" ")[0] ?? ""] ?? "other", text };
}

/** A replica acknowledges once a second; `lag` counts the whole seconds since. */
const acknowledgedSecondsMax = 1;

function acknowledgersIn(text: string): string[] {
  const lines = text.matchAll(/^slave\d+:ip=([^,]+),port=\d+,state=online,offset=\d+,lag=(\d+)/gm);
  return [...lines].flatMap(([, address = "", lag]) =>
    Number(lag) <= acknowledgedSecondsMax ? [address] : [],
  );
}

/**
 * Per asked address, the seconds since the most recently active session from it (0 means within the
 * last second); addresses without a session are left out.
 */
export function idleSecondsByAddress(
  clientList: string,
  addresses: Iterable<string>,
): Record<string, number> {
  const asked = new Set(addresses);
  const idle: Record<string, number> = {};
  for (const { address, idleSeconds } of sessionsIn(clientList)) {
    if (!asked.has(address)) continue;
    idle[address] = Math.min(idle[address] ?? Number.POSITIVE_INFINITY, idleSeconds);
  }
  return idle;
}

/** The ids of the sessions from this address. */
export function sessionIdsFrom(clientList: string, address: string): string[] {
  return sessionsIn(clientList).flatMap((session) => (session.address === address ? [session.id] : []));
}

function sessionsIn(clientList: string): { id: string; address: string; idleSeconds: number }[] {
  // A client chooses its `name` and `lib-name`, which may look like other fields, but have no spaces.
  const lines = clientList.matchAll(/^id=(\d+) addr=([\d.]+):\d+ .*? idle=(\d+) /gm);
  return [...lines].map(([, id = "", address = "", idle]) => ({ id, address, idleSeconds: Number(idle) }));
}

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

function numberIn(fields: Map<string, string>, name: string, otherwise = 0): number {
  return Number(fields.get(name) ?? otherwise);
}

function needed(fields: Map<string, string>, name: string): string {
  const value = fields.get(name);
  if (value === undefined)
    throw new Error(`INFO lacks the field "${name}"; is this redis 7 or later, or valkey?`);
  return value;
}
