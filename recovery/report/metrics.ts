/**
 * Metrics of recovery in Prometheus' text format (version 0.0.4). The format is simple and written by hand, so the monitor needs no
 * further package to start.
 */
import type { Situation } from "../decide/policy/tables.ts";
import { recentReplacements } from "../decide/rules/budget.ts";
import type { JournalEvent } from "../incidents/journal.ts";
import { type MachineName, redisMachines, replaceableMachines } from "../topology.ts";
import type { Bug } from "./bugs.ts";
import type { Status } from "./status.ts";

type Labels = Record<string, string | number>;

/** Upper bounds of the histogram of steps (seconds): fences take milliseconds, a launch takes minutes. */
const boundsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

interface Histogram {
  labels: Labels;
  counts: number[];
  sum: number;
  count: number;
}

/** Counts what happened since this monitor started; Prometheus understands restarts. */
export class Counters {
  readonly #incidents = new Map<string, { labels: Labels; count: number }>();
  readonly #steps = new Map<string, Histogram>();

  /** Takes in an event of the journal. */
  readonly take = (event: JournalEvent): void => {
    if (event.event === "start") this.#countIncident(event.incident.machine, event.incident.situation);
    if (event.event === "step") this.#countStep(event.kind, event.outcome, event.tookMs / 1_000);
  };

  #countIncident(machine: string, situation = "unknown"): void {
    const key = `${machine}/${situation}`;
    const entry = this.#incidents.get(key) ?? { labels: { machine, situation }, count: 0 };
    entry.count += 1;
    this.#incidents.set(key, entry);
  }

  #countStep(step: string, outcome: string, seconds: number): void {
    const labels = { step, outcome: outcome === "done" ? "done" : "failed" };
    const key = `${labels.step}/${labels.outcome}`;
    const empty = { labels, counts: boundsSeconds.map(() => 0), sum: 0, count: 0 };
    const histogram = this.#steps.get(key) ?? empty;
    this.#steps.set(key, histogram);
    for (const [position, bound] of boundsSeconds.entries()) {
      if (seconds <= bound) histogram.counts[position] = (histogram.counts[position] ?? 0) + 1;
    }
    histogram.sum += seconds;
    histogram.count += 1;
  }

  /** The lines of what was counted. */
  lines(): string[] {
    return [
      ...family("barton_incidents_total", "counter", "Incidents opened, by machine and situation.", [
        ...[...this.#incidents.values()].map(({ labels, count }): Sample => [labels, count]),
      ]),
      ...head("barton_step_duration_seconds", "histogram", "How long the steps of recovery took."),
      ...[...this.#steps.values()].flatMap(histogramLines),
    ];
  }
}

type Sample = [labels: Labels, value: number];

function head(name: string, type: "gauge" | "counter" | "histogram", help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function family(name: string, type: "gauge" | "counter", help: string, samples: Sample[]): string[] {
  return [...head(name, type, help), ...samples.map(([labels, value]) => line(name, labels, value))];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${quoted(String(text))}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
}

const quoted = (text: string) => text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

function histogramLines({ labels, counts, sum, count }: Histogram): string[] {
  const name = "barton_step_duration_seconds";
  return [
    ...boundsSeconds.map((bound, position) =>
      line(`${name}_bucket`, { ...labels, le: bound }, counts[position] ?? 0),
    ),
    line(`${name}_bucket`, { ...labels, le: "+Inf" }, count),
    line(`${name}_sum`, labels, sum),
    line(`${name}_count`, labels, count),
  ];
}

/** What the gauges are made from; `status` is undefined before the first cycle. */
export interface Gauges {
  status: Status | undefined;
  /** Replacements of the last hour. */
  replacements: { machine: MachineName; wallMs: number }[];
  replacementsPerHourMax: number;
  wallMs: number;
  /** Subjects that wait for a person or for another machine. */
  holds: { subject: string; situation: Situation }[];
}

/** The whole page that Prometheus reads. */
export function metricsPage(counters: Counters, gauges: Gauges): string {
  return `${[...stateLines(gauges), ...shardLines(gauges.status), ...budgetLines(gauges), ...counters.lines()].join("\n")}\n`;
}

function stateLines({ status, holds }: Gauges): string[] {
  const open = (status?.incidents ?? []).filter(({ endedAt }) => endedAt === undefined);
  const truth = (value: boolean | undefined): Sample[] => [[{}, Number(value ?? false)]];
  return [
    ...family("barton_healthy", "gauge", "1 in the desired state.", truth(status?.healthy)),
    ...family("barton_paused", "gauge", "1 while recovery begins nothing.", truth(status?.paused != null)),
    ...family("barton_files_not_written", "gauge", "Files that recovery cannot write and tries again.", [
      [{}, status?.notKept.length ?? 0],
    ]),
    ...family(
      "barton_bugs_total",
      "counter",
      "Exceptions that nobody expected, by the part of recovery that threw.",
      bugSamples(status?.bugs ?? []),
    ),
    ...notificationLines(status),
    ...family("barton_in_progress", "gauge", "1 while recovery is at work.", truth(status?.inProgress)),
    ...family(
      "barton_incident_open",
      "gauge",
      "1 for every open incident.",
      open.map(({ machine, situation = "unknown" }) => [{ machine, situation }, 1]),
    ),
    ...family(
      "barton_hold",
      "gauge",
      "1 for everything that waits for a person or for another machine.",
      holds.map(({ subject, situation }) => [{ subject, situation }, 1]),
    ),
  ];
}

function notificationLines(status: Status | undefined): string[] {
  const { waiting = 0, dropped = 0, refused = 0 } = status?.notifications ?? {};
  const one = (value: number): Sample[] => [[{}, value]];
  return [
    ...family("barton_notifications_waiting", "gauge", "Notifications not yet delivered.", one(waiting)),
    ...family(
      "barton_notifications_dropped_total",
      "counter",
      "Notifications dropped because too many were waiting.",
      one(dropped),
    ),
    ...family(
      "barton_notifications_refused_total",
      "counter",
      "Notifications that the receiver will never take (HTTP 4xx).",
      one(refused),
    ),
  ];
}

function bugSamples(bugs: Bug[]): Sample[] {
  const times = new Map<string, number>();
  for (const { where, times: more } of bugs) times.set(where, (times.get(where) ?? 0) + more);
  return [...times].map(([where, count]) => [{ where }, count]);
}

function shardLines(status: Status | undefined): string[] {
  const shards = status?.shards ?? [];
  return [
    ...family(
      "barton_shard_master",
      "gauge",
      "1 for the machine that is the shard's only master.",
      shards.flatMap(({ index, master }) =>
        redisMachines.map((machine): Sample => [{ shard: index, machine }, Number(machine === master)]),
      ),
    ),
    ...family(
      "barton_replica_link_up",
      "gauge",
      "1 while the shard's replica has everything.",
      shards.map(({ index, replicaLink }) => [{ shard: index }, Number(replicaLink === "up")]),
    ),
    ...family(
      "barton_proxy_target",
      "gauge",
      "1 for the machine that the proxy sends the shard's traffic to.",
      shards.flatMap(({ index, proxies }) =>
        Object.entries(proxies).flatMap(([proxy, target]) =>
          redisMachines.map((machine): Sample => {
            return [{ shard: index, proxy, machine }, Number(machine === target)];
          }),
        ),
      ),
    ),
  ];
}

function budgetLines({ replacements, replacementsPerHourMax, wallMs }: Gauges): string[] {
  const done = (machine: MachineName) => recentReplacements(replacements, machine, wallMs).length;
  return [
    ...family(
      "barton_replacements_last_hour",
      "gauge",
      "Replacements of the machine within the last hour.",
      replaceableMachines.map((machine) => [{ machine }, done(machine)]),
    ),
    ...family(
      "barton_replacements_left",
      "gauge",
      "How often the machine may still be replaced within the hour before it is held.",
      replaceableMachines.map((machine) => [
        { machine },
        Math.max(replacementsPerHourMax - done(machine), 0),
      ]),
    ),
  ];
}
