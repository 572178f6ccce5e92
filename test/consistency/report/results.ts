/** A run's results: verdicts, what each fault cost, statistics by kind of fault, and the targets. Pure. */

import { inexcusable, isError } from "../checkers/errors.ts";
import { checkAll } from "../checkers/index.ts";
import { lossesOf } from "../checkers/lost-writes.ts";
import { type Finding, grouped, inSeconds, type Verdict, worst } from "../checkers/verdict.ts";
import { acknowledgements, type Interruption, interruptionOf, longestWaits } from "../checkers/waits.ts";
import type { Operation } from "../history.ts";
import type { Evidence, FaultRecord } from "../record.ts";
import { type Breakdown, breakdownOf, breakdownParts, incidentsOf } from "./breakdown.ts";
import { quantile, type Statistics, statisticsOf } from "./statistics.ts";

/** What a run was, and what came in its way. */
export interface RunRecord {
  lab: string;
  seed: number;
  command: string;
  startedAt: number;
  endedAt: number;
  /** Why the run says nothing, whatever the checkers say: interrupted, the system was not healthy, … */
  invalid?: string;
  /** When recovery's budget of replacements (rule 8) was given anew, and why. */
  budgets: { at: number; because: string }[];
  /** When the run moved masters by a planned switch, and why. */
  switches: { at: number; because: string }[];
  /** Faults that the lab could not inject, and why. */
  skipped: string[];
  /** How many faults were asked for by name (`--fault`); missing for a random sequence, which may pass some over. */
  asked?: number;
  /** What failed besides, and keeps the run from a pass. */
  notes: string[];
  host: { cpus: number; loadAverages: number[] };
  rate: number;
  program: string;
}

/** A fault, and what it cost. */
export interface FaultResult extends FaultRecord {
  interruption?: Interruption;
  /** The longest that a single client waited for a write. */
  longestWaitMs: number;
  /** From the injection to the desired state. */
  redundancyMs?: number;
  errors: Record<string, number>;
  /** Errors of clients that connect anew, beyond the requests in flight. */
  errorsBeyond: number;
  breakdown?: Breakdown;
  incidents: string[];
}

export interface KindStatistics {
  kind: string;
  count: number;
  interruptionMs?: Statistics;
  redundancyMs?: Statistics;
  longestWaitMs?: Statistics;
  errorsBeyond: number;
  /** Median of each part of the interruption, in milliseconds. */
  breakdown: Breakdown;
}

/** A figure that the default settings shall reach. */
export interface Target {
  what: string;
  wantedMs: number;
  /** Null when there were too few faults of the kind to say. */
  measuredMs: number | null;
  met: boolean | null;
}

export interface Results {
  verdict: Verdict;
  line: string;
  run: RunRecord;
  findings: Finding[];
  faults: FaultResult[];
  kinds: KindStatistics[];
  targets: Target[];
  /** The operations that were counted. */
  operations: number;
}

/** Fewer faults of a kind do not make a statistic. */
export const targetFaultsMin = 30;

export function resultsOf(run: RunRecord, evidence: Evidence): Results {
  const findings = checkAll(evidence);
  const reasons = reasonsOf(run);
  const verdicts = findings.map(({ verdict }) => verdict);
  if (reasons.length > 0) verdicts.push("unknown");
  const verdict = worst(verdicts);
  const faults = faultResults(evidence, run);
  const kinds = kindStatistics(faults);
  return {
    verdict,
    line: closingLine(verdict, reasons, evidence, findings),
    run,
    findings,
    faults,
    kinds,
    targets: targetsOf(faults),
    operations: evidence.operations.length,
  };
}

/** What keeps the run from a pass, whatever the checkers say. */
function reasonsOf({ invalid, asked, skipped, notes }: RunRecord): string[] {
  const missing =
    asked === undefined || skipped.length === 0
      ? []
      : [
          `${skipped.length} of ${asked} faults that were asked for not injected: ${[...new Set(skipped)].join("; ")}`,
        ];
  return [...(invalid === undefined ? [] : [invalid]), ...missing, ...notes];
}

/** Until when something is a fault's: the next fault, or a planned switch before it, or the end. */
function untilOf(
  { at }: FaultRecord,
  faults: readonly FaultRecord[],
  { switches, endedAt }: RunRecord,
): number {
  const later = [...faults, ...switches].map((each) => each.at).filter((moment) => moment > at);
  return later.length === 0 ? endedAt : Math.min(...later);
}

/** The operations that were under way or begun while they were a fault's. */
function faultResults({ operations, faults, incidents }: Evidence, run: RunRecord): FaultResult[] {
  const moments = acknowledgements(operations);
  const completed = [...operations].sort((a, b) => a.completedAt - b.completedAt);
  let from = 0;
  return faults.map((fault) => {
    const until = untilOf(fault, faults, run);
    while ((completed[from]?.completedAt ?? until) < fault.at) from += 1;
    let to = from;
    while (to < completed.length && (completed[to]?.completedAt ?? 0) < until) to += 1;
    const own = completed.slice(from, to);
    const interruption = interruptionOf(moments, fault, until);
    const related = incidentsOf(incidents, fault, until);
    const breakdown = breakdownOf(related, interruption);
    return {
      ...fault,
      ...(interruption ? { interruption } : {}),
      longestWaitMs: Math.max(0, ...Object.values(longestWaits(own))),
      ...(fault.healthyAt === undefined ? {} : { redundancyMs: fault.healthyAt - fault.at }),
      errors: errorCounts(own),
      errorsBeyond: inexcusable(
        own.filter((operation) => isError(operation) && operation.client === "anew"),
        faults,
      ).length,
      ...(breakdown ? { breakdown } : {}),
      incidents: related.map(({ id }) => id),
    };
  });
}

function errorCounts(operations: readonly Operation[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { client } of operations.filter(isError)) counts[client] = (counts[client] ?? 0) + 1;
  return counts;
}

export function kindStatistics(faults: readonly FaultResult[]): KindStatistics[] {
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  return kinds.map((kind) => {
    const own = faults.filter((fault) => fault.kind === kind);
    const all = (value: (fault: FaultResult) => number | undefined) =>
      own.map(value).filter((each) => each !== undefined);
    return {
      kind,
      count: own.length,
      interruptionMs: statisticsOf(all(({ interruption }) => interruption?.ms)),
      redundancyMs: statisticsOf(all(({ redundancyMs }) => redundancyMs)),
      longestWaitMs: statisticsOf(all(({ longestWaitMs }) => longestWaitMs)),
      errorsBeyond: own.reduce((sum, { errorsBeyond }) => sum + errorsBeyond, 0),
      breakdown: Object.fromEntries(
        breakdownParts.flatMap((part) => {
          const values = all(({ breakdown }) => breakdown?.[part]);
          return values.length > 0 ? [[part, quantile(values, 0.5)]] : [];
        }),
      ),
    };
  });
}

/** What shall be reached with the default settings, over at least 30 faults of the kind. */
const wanted: readonly {
  kind: string;
  figure: "interruptionMs" | "redundancyMs";
  statistic: "median" | "p95";
  ms: number;
}[] = [
  { kind: "vanish", figure: "interruptionMs", statistic: "median", ms: 1000 },
  { kind: "vanish", figure: "interruptionMs", statistic: "p95", ms: 1500 },
  { kind: "crash", figure: "interruptionMs", statistic: "median", ms: 400 },
  { kind: "vanish", figure: "redundancyMs", statistic: "median", ms: 15_000 },
];

const figureNames = { interruptionMs: "write interruption", redundancyMs: "time to full redundancy" };
const statisticNames = { median: "median", p95: "95 %" };

export function targetsOf(faults: readonly FaultResult[]): Target[] {
  const kinds = kindStatistics(faults);
  return wanted.map(({ kind, figure, statistic, ms }) => {
    const measured = kinds.find((each) => each.kind === kind)?.[figure];
    const isEnough = (measured?.count ?? 0) >= targetFaultsMin;
    const measuredMs = isEnough ? (measured?.[statistic] ?? null) : null;
    return {
      what: `${kind}: ${figureNames[figure]}, ${statisticNames[statistic]}`,
      wantedMs: ms,
      measuredMs,
      met: measuredMs === null ? null : measuredMs <= ms,
    };
  });
}

/** `PASS vanish redis1: 0 of 48 211 confirmed writes lost, 3 of 91 002 acknowledged, longest wait 0.74 s`. */
function closingLine(
  verdict: Verdict,
  reasons: readonly string[],
  evidence: Evidence,
  findings: readonly Finding[],
): string {
  const { faults, operations } = evidence;
  const [only] = faults;
  const what =
    faults.length === 0 ? "no fault" : faults.length === 1 ? only?.title : `${faults.length} faults`;
  const slowest = Math.max(0, ...Object.values(longestWaits(operations)));
  const head = `${verdict.toUpperCase()} ${what}: ${lossSentence(evidence)}, longest wait ${inSeconds(slowest)}`;
  const found = findings
    .filter((finding) => finding.verdict !== "pass")
    .map((finding) => `${finding.checker}: ${finding.sentence}`);
  return verdict === "pass" ? head : `${head} (${[...reasons, ...found].map(inOneLine).join("; ")})`;
}

/** Longer reasons are cut in the closing line; results.json and the page have all of them. */
const reasonLengthMax = 300;

/** A reason as a part of one line, without the frames of a stack. */
function inOneLine(reason: string): string {
  const words = reason
    .replaceAll(/^\s+at .*$/gm, "")
    .replaceAll(/\s+/g, " ")
    .trim();
  return words.length > reasonLengthMax ? `${words.slice(0, reasonLengthMax)} …` : words;
}

function lossSentence(evidence: Evidence): string {
  try {
    const { confirmed, acknowledged } = lossesOf(evidence);
    return (
      `${grouped(confirmed.lost.length)} of ${grouped(confirmed.of)} confirmed writes lost, ` +
      `${grouped(acknowledged.lost.length)} of ${grouped(acknowledged.of)} acknowledged`
    );
  } catch {
    // What is wrong then, the checkers say.
    return "lost writes unknown";
  }
}

/** The statistics as a table for the terminal. */
export function statisticsText(kinds: readonly KindStatistics[]): string {
  const three = (statistics: Statistics | undefined) =>
    statistics
      ? [statistics.median, statistics.p95, statistics.max].map((ms) => (ms / 1000).toFixed(2)).join(" / ")
      : "-";
  const rows = [
    ["FAULT", "COUNT", "INTERRUPTION (median / 95 % / max, s)", "FULL REDUNDANCY (median / 95 % / max, s)"],
    ...kinds.map((each) => [
      each.kind,
      String(each.count),
      three(each.interruptionMs),
      three(each.redundancyMs),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
