/** A small run with everything that a report shows, for the tests of results and page. */
import type { Incident } from "../../../recovery/incidents/record.ts";
import { evidence, fault, operation, set } from "../checkers/histories.ts";
import type { Operation } from "../history.ts";
import type { Evidence, Observation } from "../record.ts";
import type { RunRecord } from "./results.ts";

const zero = Date.parse("2026-01-01T03:00:00Z");
const iso = (ms: number) => new Date(zero + ms).toISOString();

/** Writes of two shards every 10 ms for 30 s; shard 1 waits from 5.00 to 5.74 s. */
const writes: Operation[] = [1, 2].flatMap((shard) =>
  Array.from({ length: 3000 }, (_, i) => i * 10).flatMap((at): Operation[] => {
    const waits = shard === 1 && at > 5000 && at < 5740;
    if (waits && at !== 5010) return [];
    return [
      set(at / 10, {
        shard,
        process: `${shard}/anew-${1 + ((at / 10) % 2)}`,
        invokedAt: zero + at,
        completedAt: zero + (waits ? 5740 : at + 2),
        server: `10.42.${shard}.9:9001`,
        ...(at % 40 === 0 ? { confirmed: true, confirmedAt: zero + at + 3 } : {}),
      }),
    ];
  }),
);

/** The other clients, before the fault and after it. */
const others: Operation[] = [1, 2].flatMap((shard) =>
  [100, 29_000].flatMap((ms) => [
    ...[
      operation({ shard, action: "add", value: ms, process: `${shard}/set`, at: zero + ms }),
      operation({ shard, action: "read", value: 0, process: `${shard}/reader`, at: zero + ms }),
    ].map((each) => ({ ...each, server: undefined })),
  ]),
);

const counter = {
  process: "1/persistent",
  client: "persistent",
  action: "increment",
  server: undefined,
} as const;
const increments: Operation[] = [
  operation({
    ...counter,
    invokedAt: zero + 4995,
    completedAt: zero + 5600,
    outcome: "unknown",
    error: 'Connection is closed. <b>"&"</b>',
  }),
  operation({ ...counter, value: 2, at: zero + 29_000 }),
];

export const incident: Incident = {
  id: "20260101-030005-redis1",
  machine: "redis1",
  because: "redis1 does not answer on any port (say haproxy1 and haproxy2): redis1 is condemned",
  firstSignAt: iso(5100),
  noticedAt: iso(5600),
  endedAt: iso(14_000),
  tookMs: 8400,
  steps: [
    ["stop monitoring redis1", 5600, 5605],
    ["fence redis1's server of shard 1", 5605, 5615],
    ["make redis2 master of shard 1 (epoch 2)", 5615, 5620],
    ["send the traffic of shard 1 to redis2", 5620, 5625],
    ["launch a new redis1", 6000, 13_000],
  ].map(([step, from, to]) => ({
    step: String(step),
    startedAt: iso(Number(from)),
    endedAt: iso(Number(to)),
    tookMs: Number(to) - Number(from),
    outcome: "done",
  })),
};

const observations: Observation[] = [0, 1].flatMap((i): Observation[] => [
  ...(["haproxy1", "haproxy2"] as const).map(
    (source): Observation => ({ at: zero + i, source, enabled: { 1: ["redis1"], 2: ["redis1"] } }),
  ),
  { at: zero + i, source: "app", uses: { 1: ["haproxy1"], 2: ["haproxy1"] } },
  ...[1, 2].flatMap((shard): Observation[] => [
    { at: zero + i, source: "redis1", shard, role: "master" },
    { at: zero + i, source: "redis2", shard, role: "slave" },
  ]),
]);

export function sampleRun(): { run: RunRecord; evidence: Evidence } {
  const operations = [...writes, ...others, ...increments];
  const finals = [1, 2].map((shard) => ({
    shard,
    keys: new Map(
      writes.filter((each) => each.shard === shard).map(({ key = "", value = 0 }) => [key, value]),
    ),
    members: new Set([100, 29_000]),
    counter: shard === 1 ? 2 : 0,
    register: null,
  }));
  const faults = [
    fault({ at: zero + 5000, doneAt: zero + 5008, healthyAt: zero + 14_100, loadBefore: { 1: 100 } }),
  ];
  return {
    run: {
      lab: "sample",
      seed: 7,
      command: "scripts/chaos --fault vanish",
      startedAt: zero,
      endedAt: zero + 30_000,
      budgets: [],
      switches: [],
      skipped: [],
      notes: [],
      host: { cpus: 2, loadAverages: [0.5, 1.5] },
      rate: 150,
      program: "sample",
    },
    evidence: evidence(operations, { finals, faults, incidents: [incident], observations }),
  };
}
