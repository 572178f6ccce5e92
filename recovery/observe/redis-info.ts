/** Parses what redis reports: the text of INFO and of CLIENT LIST. */
import type { RedisInfo } from "./facts.ts";

/**
 * Reads the sections `server`, `replication` and `persistence` of INFO.
 *
 * @throws when a field that every redis 7 has is missing, naming it.
 */
export function parseRedisInfo(text: string): Omit<RedisInfo, "epoch" | "beat"> {
  const field = fieldsOf(text);
  const isMaster = needed(field, "role") === "master";
  const loading = needed(field, "loading") !== "0" || field.get("async_loading") === "1";
  const refusesWrites = needed(field, "aof_last_write_status") !== "ok";
  const base = { runId: needed(field, "run_id"), loading, ...(refusesWrites ? { refusesWrites } : {}) };
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
    },
  };
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
  for (const line of clientList.split("\n")) {
    const match = /\baddr=([\d.]+):\d+ .*\bidle=(\d+)\b/.exec(line);
    const address = match?.[1];
    if (!address || !asked.has(address)) continue;
    idle[address] = Math.min(idle[address] ?? Number.POSITIVE_INFINITY, Number(match[2]));
  }
  return idle;
}

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0 && !line.startsWith("#")) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

function needed(fields: Map<string, string>, name: string): string {
  const value = fields.get(name);
  if (value === undefined) throw new Error(`INFO lacks the field "${name}"; is this a redis 7 server?`);
  return value;
}
