/** Reading `show stat` of the proxies and of app's local proxy. Pure; knows nothing of recovery's own reading. */

interface Row {
  backend: string;
  server: string;
  status: string;
  sessions: number;
}

function rowsOf(csv: string): Row[] {
  const [header = "", ...lines] = csv.replace(/^# /, "").trim().split("\n");
  const columns = header.split(",");
  const cell = (cells: string[], name: string) => cells[columns.indexOf(name)] ?? "";
  return lines.map((line) => {
    const cells = line.split(",");
    return {
      backend: cell(cells, "pxname"),
      server: cell(cells, "svname"),
      status: cell(cells, "status"),
      sessions: Number(cell(cells, "scur")),
    };
  });
}

const shardOf = (backend: string) => /^shard(\d+)$/.exec(backend)?.[1];

function perShard(csv: string, choose: (own: Row[]) => string[]): Record<string, string[]> {
  const rows = rowsOf(csv);
  const shards = [
    ...new Set(rows.map(({ backend }) => shardOf(backend)).filter((each) => each !== undefined)),
  ];
  return Object.fromEntries(
    shards.map((shard) => [shard, choose(rows.filter(({ backend }) => shardOf(backend) === shard))]),
  );
}

/** Per shard, the redis machines that a proxy lets traffic go to, or still has sessions with. */
export function enabledServers(csv: string): Record<string, string[]> {
  return perShard(csv, (own) =>
    own
      .filter(
        ({ server, status, sessions }) => /^redis/.test(server) && (!/^MAINT/.test(status) || sessions > 0),
      )
      .map(({ server }) => server),
  );
}

/** Per shard, the proxies that app's local proxy sends clients to (the first usable one) or still has clients on. */
export function usedProxies(csv: string): Record<string, string[]> {
  return perShard(csv, (own) => {
    const proxies = own.filter(({ server }) => /^haproxy/.test(server));
    const first = proxies.find(({ status }) => /^UP/.test(status))?.server;
    return proxies
      .filter(({ server, sessions }) => server === first || sessions > 0)
      .map(({ server }) => server);
  });
}
