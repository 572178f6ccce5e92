/** The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere. Pure. */
import type { Incident } from "../../../../recovery/incidents/record.ts";
import { grouped } from "../../checkers/verdict.ts";
import type { Operation } from "../../history.ts";
import type { Breakdown } from "../breakdown.ts";
import type { FaultResult, KindStatistics, Results } from "../results.ts";
import type { Statistics } from "../statistics.ts";
import { closeUp } from "./close-up.ts";
import { clockTime, seconds, table, tag, text } from "./html.ts";
import { overview } from "./overview.ts";
import { style } from "./style.ts";

/** Close-ups make the page large: those of the longest interruptions are shown. */
const closeUpsMax = 12;

export function page(
  results: Results,
  operations: readonly Operation[],
  incidents: readonly Incident[],
): string {
  const { run } = results;
  const body = [
    heading(results),
    "<h2>What clients saw</h2>",
    `<figure>${overview({ operations, faults: results.faults, incidents, from: run.startedAt, to: run.endedAt })}` +
      `<figcaption class="legend"><i style="background:var(--fault)"></i>fault, and the time until all was well again` +
      `<i style="background:var(--recovery)"></i>incidents of recovery and their steps<i style="background:var(--flow)"></i>` +
      `acknowledged writes per second<i style="background:var(--wait)"></i>longest answer, logarithmic` +
      `<i style="background:var(--fail)"></i>failed requests</figcaption></figure>`,
    "<h2>Checkers</h2>",
    checkersTable(results),
    ...(results.kinds.length > 0
      ? ["<h2>By kind of fault</h2>", kindsTable(results.kinds), breakdownTable(results.kinds)]
      : []),
    ...(results.targets.some(({ met }) => met !== null) ? ["<h2>Targets</h2>", targetsTable(results)] : []),
    "<h2>Faults</h2>",
    faultsTable(results.faults),
    ...closeUps(results.faults, operations, incidents),
    "<h2>The run</h2>",
    runTable(results),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(results.verdict.toUpperCase())} · barton chaos, ${text(new Date(run.startedAt).toISOString())}</title>
<link rel="icon" href="data:,"><style>${style}</style></head>
<body><main>
${body.join("\n")}
</main></body></html>
`;
}

const badge = (verdict: string) =>
  `<span class="verdict ${text(verdict)}">${text(verdict.toUpperCase())}</span>`;

function heading({ verdict, line, run, operations, faults }: Results): string {
  const rest = line.replace(/^\w+ /, "");
  return (
    `<h1>${badge(verdict)} ${text(rest)}</h1>` +
    `<p class="quiet">${grouped(operations)} operations in ${seconds(run.endedAt - run.startedAt, 0)}, ` +
    `${faults.length} ${faults.length === 1 ? "fault" : "faults"}, from ${text(new Date(run.startedAt).toISOString())} on</p>`
  );
}

function checkersTable({ findings }: Results): string {
  return table(
    "checkers",
    ["verdict", "checker", "finding"],
    findings.map(({ verdict, checker, sentence, examples }) => [
      badge(verdict),
      text(checker),
      text(sentence) +
        (examples.length > 0
          ? `<details><summary class="quiet small">${examples.length === 1 ? "one case" : `the first ${examples.length} cases`}</summary><ul>${examples.map((each) => `<li>${text(each)}</li>`).join("")}</ul></details>`
          : ""),
    ]),
  );
}

const three = (statistics: Statistics | undefined) =>
  statistics
    ? [statistics.median, statistics.p95, statistics.max].map((ms) => (ms / 1000).toFixed(2)).join(" / ")
    : "–";

function kindsTable(kinds: readonly KindStatistics[]): string {
  return (
    '<p class="quiet small">In seconds: median / 95 % / longest. An interruption is the longest time in which no client got a write through, in the shard that waited longest.</p>' +
    table(
      "kinds",
      [
        "fault",
        "count",
        "write interruption",
        "longest wait of a client",
        "full redundancy",
        "errors beyond in flight",
      ],
      kinds.map((each) => [
        text(each.kind),
        String(each.count),
        three(each.interruptionMs),
        three(each.longestWaitMs),
        three(each.redundancyMs),
        String(each.errorsBeyond),
      ]),
    )
  );
}

const partTitles: [keyof Breakdown, string][] = [
  ["firstSign", "last write → first sign"],
  ["verdict", "→ verdict"],
  ["fence", "→ fenced"],
  ["promote", "→ promoted"],
  ["release", "→ released"],
  ["clients", "→ first write"],
];

function breakdownTable(kinds: readonly KindStatistics[]): string {
  const known = kinds.filter(({ breakdown }) => Object.keys(breakdown).length > 0);
  if (known.length === 0) return "";
  return (
    '<p class="quiet small">Where the time of an interruption goes: medians in milliseconds.</p>' +
    table(
      "breakdown",
      ["fault", ...partTitles.map(([, title]) => title)],
      known.map(({ kind, breakdown }) => [
        text(kind),
        ...partTitles.map(([part]) => (breakdown[part] === undefined ? "–" : breakdown[part].toFixed(0))),
      ]),
    )
  );
}

function targetsTable({ targets }: Results): string {
  const known = targets.filter(({ met }) => met !== null);
  return table(
    "targets",
    ["met", "figure", "wanted", "measured"],
    known.map(({ what, wantedMs, measuredMs, met }) => [
      badge(met ? "pass" : "fail").replace(/>(PASS|FAIL)</, met ? ">YES<" : ">NO<"),
      text(what),
      `≤ ${seconds(wantedMs, 1)}`,
      seconds(measuredMs ?? 0),
    ]),
  );
}

function faultsTable(faults: readonly FaultResult[]): string {
  return table(
    "faults",
    ["#", "fault", "at (UTC)", "interruption", "longest wait", "full redundancy", "errors", "load average"],
    faults.map((fault) => [
      String(fault.number),
      text(fault.title),
      clockTime(fault.at),
      fault.interruption ? `${seconds(fault.interruption.ms)}, shard ${fault.interruption.shard}` : "–",
      seconds(fault.longestWaitMs),
      fault.redundancyMs === undefined ? "not reached" : seconds(fault.redundancyMs),
      text(
        Object.entries(fault.errors)
          .map(([client, count]) => `${client} ${count}`)
          .join(", ") || "none",
      ),
      fault.loadAverage.toFixed(1),
    ]),
  );
}

function closeUps(
  faults: readonly FaultResult[],
  operations: readonly Operation[],
  incidents: readonly Incident[],
): string[] {
  const longest = [...faults]
    .sort((a, b) => (b.interruption?.ms ?? 0) - (a.interruption?.ms ?? 0))
    .slice(0, closeUpsMax)
    .sort((a, b) => a.number - b.number);
  const many = faults.length > closeUpsMax ? ` (of the ${closeUpsMax} longest interruptions)` : "";
  return [
    `<h2>Timelines of operations${many}</h2>`,
    `<p class="legend quiet small">One lane per client of the shard that waited longest; each bar is one request.` +
      `<i style="background:var(--flow)"></i>answered<i style="background:var(--unknown)"></i>unknown` +
      `<i style="background:var(--fail)"></i>failed<i style="background:var(--recovery)"></i>recovery</p>`,
    ...longest.map((fault, i) => {
      const shard = fault.interruption?.shard ?? operations[0]?.shard;
      const own = operations.filter((each) => each.shard === shard);
      const told = fault.interruption ? `, interrupted for ${seconds(fault.interruption.ms)}` : "";
      const open: Record<string, string> = i === 0 ? { open: "" } : {};
      return tag(
        "details",
        open,
        `<summary>${fault.number}: ${text(fault.title)}${told}</summary><figure>${closeUp(fault, own, incidents)}</figure>`,
      );
    }),
  ];
}

function runTable({ run }: Results): string {
  const loads = run.host.loadAverages;
  const rows: [string, string][] = [
    ["command", `<code>${text(run.command)}</code>`],
    ["seed", String(run.seed)],
    ["lab", text(run.lab)],
    ["program", text(run.program)],
    ["load", `up to ${run.rate} operations per second and shard`],
    [
      "host",
      `${run.host.cpus} processors, load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`,
    ],
    ...run.skipped.map((each): [string, string] => ["not injected", text(each)]),
    ...run.budgets.map((each): [string, string] => [
      "budget",
      `${clockTime(each.at)}: ${text(each.because)}`,
    ]),
    ...run.switches.map((each): [string, string] => [
      "switch",
      `${clockTime(each.at)}: ${text(each.because)}`,
    ]),
    ...(run.invalid === undefined
      ? []
      : [["invalid", `<pre>${text(run.invalid)}</pre>`] as [string, string]]),
    ...run.notes.map((each): [string, string] => ["besides", `<pre>${text(each)}</pre>`]),
  ];
  return table("run", [], rows);
}
