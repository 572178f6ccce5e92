/** The status, and a list of incidents, as text for people. */
import type { Incident } from "../incidents/record.ts";
import { whyPaused } from "../loop/pause.ts";
import type { Status } from "../report/status.ts";
import { describeNotifications } from "../report/webhook.ts";

/** What `barton status` prints. */
export function describeStatus(status: Status): string {
  const machines = status.machines.map(
    ({ name, address, state }) => `  ${name.padEnd(10)} ${(address ?? "-").padEnd(16)} ${state}`,
  );
  const shards = status.shards.map((shard) => {
    const { haproxy1, haproxy2 } = shard.proxies;
    return (
      `  ${String(shard.index).padEnd(3)} port ${shard.port}  master ${(shard.master ?? "none").padEnd(7)} ` +
      `replica ${(shard.replica ?? "none").padEnd(7)} link ${shard.replicaLink.padEnd(5)} ` +
      `lag ${lagText(shard.lagBytes).padEnd(8)} ` +
      `haproxy1 → ${(haproxy1 ?? "holds").padEnd(7)} haproxy2 → ${haproxy2 ?? "holds"}`
    );
  });
  const open = status.incidents.filter(({ endedAt }) => endedAt === undefined);
  const notifications = status.notifications && describeNotifications(status.notifications);
  return [
    ...(status.paused ? [`PAUSED, nothing is acted upon: ${whyPaused(status.paused)}`] : []),
    `${status.healthy ? "healthy" : "NOT HEALTHY"}${status.inProgress ? ", recovery is at work" : ""}: ${status.sentence}`,
    ...(status.toDo ?? []).map((sentence) => `to do: ${sentence}`),
    "machines",
    ...machines,
    "shards",
    ...shards,
    ...(open.length > 0 ? ["open incidents", ...open.map((incident) => `  ${incidentLine(incident)}`)] : []),
    ...(notifications ? [notifications] : []),
  ].join("\n");
}

/** One line of `barton incidents`. */
export function incidentLine({ id, because, endedAt, tookMs }: Incident): string {
  const took = tookMs === undefined ? "" : ` after ${(tookMs / 1000).toFixed(1)} s`;
  return `${id}  ${endedAt ? `over${took}` : "OPEN"}  ${because}`;
}

/** A replication lag in bytes, KB or MB. */
export function lagText(bytes: number | null): string {
  if (bytes === null) return "-";
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}
