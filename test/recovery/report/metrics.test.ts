import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { silentLog } from "../../../recovery/log.ts";
import { Counters, type Gauges, metricsPage } from "../../../recovery/report/metrics.ts";
import { metricsPortFrom, serveMetrics } from "../../../recovery/report/serve-metrics.ts";
import type { Status } from "../../../recovery/report/status.ts";
import { incident } from "./sample.ts";

const status: Status = {
  healthy: false,
  sentence: "",
  inProgress: true,
  paused: null,
  machines: [],
  shards: [
    {
      index: 1,
      port: 9001,
      master: "redis2",
      replica: null,
      replicaLink: "down",
      lagBytes: null,
      proxies: { haproxy1: "redis2", haproxy2: null },
    },
  ],
  incidents: [incident],
  notKept: [],
  bugs: [],
  notifications: null,
};

const gauges: Gauges = {
  status,
  replacements: [
    { machine: "redis1", wallMs: 7_000_000 },
    { machine: "redis1", wallMs: 1_000 },
  ],
  replacementsPerHourMax: 10,
  wallMs: 7_200_000,
  holds: [{ subject: "shard 2", situation: "shard-lost" }],
};

test("the state is told", () => {
  const lines = metricsPage(new Counters(), gauges).split("\n");
  for (const line of [
    "barton_healthy 0",
    "barton_paused 0",
    "barton_in_progress 1",
    'barton_incident_open{machine="redis1",situation="machine-lost"} 1',
    'barton_hold{subject="shard 2",situation="shard-lost"} 1',
    'barton_shard_master{shard="1",machine="redis1"} 0',
    'barton_shard_master{shard="1",machine="redis2"} 1',
    'barton_replica_link_up{shard="1"} 0',
    'barton_proxy_target{shard="1",proxy="haproxy1",machine="redis2"} 1',
    'barton_proxy_target{shard="1",proxy="haproxy2",machine="redis2"} 0',
    'barton_replacements_last_hour{machine="redis1"} 1',
    'barton_replacements_left{machine="redis1"} 9',
    'barton_replacements_left{machine="haproxy2"} 10',
  ])
    expect(lines).toContain(line);
});

test("files that cannot be written are counted", () => {
  const notKept = [{ path: "/var/lib/barton/memory.json", why: "ENOSPC", failures: 3 }];
  const page = metricsPage(new Counters(), { ...gauges, status: { ...status, notKept } });
  expect(page).toContain("\nbarton_files_not_written 1\n");
  expect(metricsPage(new Counters(), gauges)).toContain("\nbarton_files_not_written 0\n");
});

test("bugs are counted by where they were", () => {
  const bug = { where: "a cycle", message: "x", times: 3, firstAt: "", lastAt: "" };
  const bugs = [bug, { ...bug, message: "y", times: 1 }];
  const page = metricsPage(new Counters(), { ...gauges, status: { ...status, bugs } });
  expect(page).toContain('\nbarton_bugs_total{where="a cycle"} 4\n');
});

test("notifications are counted by what became of them", () => {
  const notifications = { waiting: 3, dropped: 2, refused: 1, trouble: "HTTP 503" };
  const lines = metricsPage(new Counters(), { ...gauges, status: { ...status, notifications } }).split("\n");
  for (const line of [
    "barton_notifications_waiting 3",
    "barton_notifications_dropped_total 2",
    "barton_notifications_refused_total 1",
  ])
    expect(lines).toContain(line);
});

test("a pause is told", () => {
  const paused = { untilAt: "2026-01-01T12:00:00.000Z", why: "" };
  expect(metricsPage(new Counters(), { ...gauges, status: { ...status, paused } })).toContain(
    "\nbarton_paused 1\n",
  );
});

test("incidents and steps are counted", () => {
  const counters = new Counters();
  counters.take({ event: "start", incident });
  counters.take({ event: "end", incident });
  counters.take({ event: "step", kind: "fence", outcome: "done", tookMs: 3 });
  counters.take({ event: "step", kind: "fence", outcome: "done", tookMs: 40 });
  counters.take({ event: "step", kind: "fence", outcome: "failed: no answer", tookMs: 1_000_000 });
  const lines = counters.lines();
  const name = "barton_step_duration_seconds";
  for (const line of [
    'barton_incidents_total{machine="redis1",situation="machine-lost"} 1',
    `${name}_bucket{step="fence",outcome="done",le="0.005"} 1`,
    `${name}_bucket{step="fence",outcome="done",le="0.05"} 2`,
    `${name}_bucket{step="fence",outcome="done",le="+Inf"} 2`,
    `${name}_count{step="fence",outcome="done"} 2`,
    `${name}_bucket{step="fence",outcome="failed",le="300"} 0`,
    `${name}_bucket{step="fence",outcome="failed",le="+Inf"} 1`,
    `${name}_sum{step="fence",outcome="failed"} 1000`,
  ])
    expect(lines).toContain(line);
});

test("the page has the form that Prometheus reads, before the first cycle too", () => {
  for (const page of [
    metricsPage(new Counters(), gauges),
    metricsPage(new Counters(), { ...gauges, status: undefined }),
  ]) {
    expect(page.endsWith("\n")).toBe(true);
    for (const line of page.trimEnd().split("\n")) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) barton_\w+ .+|barton_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.]+)$/,
      );
    }
  }
});

describe("the server", () => {
  test("answers GET /metrics and nothing else", async () => {
    const free = createServer().listen(0);
    await once(free, "listening");
    const { port } = free.address() as AddressInfo;
    expect(await serveMetrics(port, () => "", silentLog)).toBeUndefined();
    free.close();
    await once(free, "close");
    const server = await serveMetrics(port, () => "barton_healthy 1\n", silentLog);
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await answer.text()).toBe("barton_healthy 1\n");
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/metrics`, { method: "POST" })).status).toBe(404);
    server?.closeAllConnections();
    server?.close();
  });

  test("a page that cannot be made is an answer, and no end of the process", async () => {
    const free = createServer().listen(0);
    await once(free, "listening");
    const { port } = free.address() as AddressInfo;
    free.close();
    await once(free, "close");
    const page = () => {
      throw new Error("a bug");
    };
    const server = await serveMetrics(port, page, silentLog);
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect([answer.status, await answer.text()]).toEqual([500, "a bug\n"]);
    server?.closeAllConnections();
    server?.close();
  });

  test("its port is a setting", async () => {
    expect(["", undefined, "9500", "0"].map(metricsPortFrom)).toEqual([9464, 9464, 9500, 0]);
    for (const wrong of ["x", "70000", "-1", "1.5"]) expect(() => metricsPortFrom(wrong)).toThrow("9464");
    expect(await serveMetrics(0, () => "", silentLog)).toBeUndefined();
  });
});
