/** Reading the tables of the proxies and of app's local proxy. Pure; knows nothing of recovery's own reading. */

/** What haproxy is asked for: its servers, and its sessions. */
export const tables = "show stat; show sess";

interface Row {
  backend: string;
  server: string;
  status: string;
  /** Connected to the server. Those that are still trying to reach it carry nothing, and move on by themselves. */
  sessions: number;
}

/** How many sessions are connected, by backend and server: state 8 of the server's side is an established connection. */
function connectedIn(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [, backend, server] = /\bbe=(\S+) srv=(\S+) .*\bscb=\[8,/.exec(line) ?? [];
    if (backend === undefined) continue;
    const key = `${backend}/${server}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** `text`: the answer to {@link tables}. */
function rowsOf(text: string): Row[] {
  const all = text.replace(/^# /, "").split("\n");
  const isSession = (line: string) => line.startsWith("0x");
  const [header = "", ...lines] = all.filter((line) => line !== "" && !isSession(line));
  const connected = connectedIn(all.filter(isSession));
  const columns = header.split(",");
  const cell = (cells: string[], name: string) => cells[columns.indexOf(name)] ?? "";
  return lines.map((line) => {
    const cells = line.split(",");
    const [backend, server] = [cell(cells, "pxname"), cell(cells, "svname")];
    const sessions = connected.get(`${backend}/${server}`) ?? 0;
    return { backend, server, status: cell(cells, "status"), sessions };
  });
}

const shardOf = (backend: string) => /^shard(\d+)$/.exec(backend)?.[1];

function perShard(text: string, choose: (own: Row[]) => string[]): Record<string, string[]> {
  const rows = rowsOf(text);
  const shards = [
    ...new Set(rows.map(({ backend }) => shardOf(backend)).filter((each) => each !== undefined)),
  ];
  return Object.fromEntries(
    shards.map((shard) => [shard, choose(rows.filter(({ backend }) => shardOf(backend) === shard))]),
  );
}

/** Per shard, the redis machines that a proxy lets traffic go to, or is still connected with. */
export function enabledServers(text: string): Record<string, string[]> {
  return perShard(text, (own) =>
    own
      .filter(
        ({ server, status, sessions }) => /^redis/.test(server) && (!/^MAINT/.test(status) || sessions > 0),
      )
      .map(({ server }) => server),
  );
}

/** Per shard, the proxies that app's local proxy sends clients to (the first usable one) or still has clients on. */
export function usedProxies(text: string): Record<string, string[]> {
  return perShard(text, (own) => {
    const proxies = own.filter(({ server }) => /^haproxy/.test(server));
    const first = proxies.find(({ status }) => /^UP/.test(status))?.server;
    return proxies
      .filter(({ server, sessions }) => server === first || sessions > 0)
      .map(({ server }) => server);
  });
}
