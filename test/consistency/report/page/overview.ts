/** The whole run in one picture: faults, recovery, and for each shard what flowed and how long clients waited. Pure. */
import type { Incident } from "../../../../recovery/incidents/record.ts";
import { durationOf, isWrite, type Operation } from "../../history.ts";
import type { FaultResult } from "../results.ts";
import { clockTime, seconds, tag, text, tooltip } from "./html.ts";
import { elapsed, linear, logarithmic, type Scale, ticks } from "./scale.ts";

const width = 1200;
const left = 96;
const right = width - 12;
const strip = 26;
const shardHeight = 150;
/** How many pieces the time is cut into, at the most, and how long one is, at the least. */
const binsMax = 560;
const binMsMin = 100;
/** More faults than this are dots: their numbers would lie on each other. */
const numberedMax = 60;

export interface Bin {
  /** Acknowledged writes per second. */
  perSecond: number;
  /** The longest answer that came, or was still awaited, in this time. */
  slowestMs: number;
  errors: number;
}

/** One shard's time in pieces. A wait counts in every piece in which it was already that old. */
export function binsOf(operations: readonly Operation[], from: number, to: number): Bin[] {
  const ms = Math.max(binMsMin, (to - from) / binsMax);
  const bins = Array.from({ length: Math.max(1, Math.ceil((to - from) / ms)) }, () => ({
    perSecond: 0,
    slowestMs: 0,
    errors: 0,
  }));
  const indexOf = (at: number) => Math.min(bins.length - 1, Math.max(0, Math.floor((at - from) / ms)));
  for (const operation of operations) {
    const end = bins[indexOf(operation.completedAt)];
    if (end && operation.outcome !== "ok") end.errors += 1;
    else if (end && isWrite(operation)) end.perSecond += 1000 / ms;
    for (let i = indexOf(operation.invokedAt); i <= indexOf(operation.completedAt); i++) {
      const bin = bins[i];
      const age = Math.min(durationOf(operation), from + (i + 1) * ms - operation.invokedAt);
      if (bin) bin.slowestMs = Math.max(bin.slowestMs, age);
    }
  }
  return bins;
}

export interface OverviewInput {
  operations: readonly Operation[];
  faults: readonly FaultResult[];
  incidents: readonly Incident[];
  from: number;
  to: number;
}

export function overview({ operations, faults, incidents, from, to }: OverviewInput): string {
  const shards = [...new Set(operations.map(({ shard }) => shard))].sort((a, b) => a - b);
  const x = linear(from, to, left, right);
  const top = 2 * strip + 22;
  const height = top + shards.length * shardHeight + 24;
  const parts = [
    timeAxis(x, from, to, height),
    ...faults.map((fault) => band(fault, x, height)),
    label("faults", 22 + strip / 2),
    ...faults.map((fault) => faultMark(fault, x, faults.length <= numberedMax)),
    label("recovery", 22 + strip * 1.5),
    ...incidents.map((incident) => recovery(incident, x, to)),
    ...shards.map((shard, i) =>
      shardPlot(
        shard,
        binsOf(
          operations.filter((each) => each.shard === shard),
          from,
          to,
        ),
        top + i * shardHeight,
      ),
    ),
  ];
  return tag(
    "svg",
    {
      id: "overview",
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": "availability and waits over time",
    },
    parts.join(""),
  );
}

function label(name: string, y: number): string {
  return tag("text", { x: 4, y: y + 4, class: "name" }, text(name));
}

function timeAxis(x: Scale, from: number, to: number, height: number): string {
  return ticks(from, to, 12)
    .map(
      (at) =>
        tag("line", { x1: x(at), x2: x(at), y1: 16, y2: height - 20, class: "axis" }) +
        tag(
          "text",
          { x: x(at), y: height - 6, class: "label", "text-anchor": "middle" },
          elapsed(at - from) + tooltip(`${clockTime(at)} UTC`),
        ),
    )
    .join("");
}

/** From the fault to the desired state. */
function band({ at, doneAt, healthyAt }: FaultResult, x: Scale, height: number): string {
  const end = healthyAt ?? doneAt;
  return tag("rect", {
    class: "band",
    x: x(at),
    y: 18,
    width: Math.max(1, x(end) - x(at)),
    height: height - 40,
  });
}

function faultMark(fault: FaultResult, x: Scale, isNumbered: boolean): string {
  const { number, title, at, interruption, redundancyMs } = fault;
  const told = [
    `${number}: ${title}, ${clockTime(at)} UTC`,
    ...(interruption ? [`writes interrupted for ${seconds(interruption.ms)}`] : []),
    ...(redundancyMs === undefined ? [] : [`all well again after ${seconds(redundancyMs)}`]),
  ].join("\n");
  const place = { transform: `translate(${x(at).toFixed(1)} ${22 + strip / 2})` };
  return tag(
    "g",
    { class: "fault-mark", ...place },
    tooltip(told) +
      tag("circle", { r: isNumbered ? 8 : 3 }) +
      (isNumbered ? tag("text", { y: 3.5 }, String(number)) : ""),
  );
}

function recovery(incident: Incident, x: Scale, to: number): string {
  const begin = Date.parse(incident.firstSignAt ?? incident.noticedAt);
  const end = incident.endedAt ? Date.parse(incident.endedAt) : to;
  const y = 22 + strip + 5;
  const bar = tag(
    "rect",
    { class: "incident", x: x(begin), y, width: Math.max(2, x(end) - x(begin)), height: strip - 10 },
    tooltip(`${incident.machine}: ${incident.because}`),
  );
  const steps = incident.steps.map(({ step, startedAt, tookMs, outcome }) =>
    tag(
      "rect",
      { class: "step", x: x(Date.parse(startedAt)), y: y + 3, width: 1.5, height: strip - 16 },
      tooltip(
        `${step}: ${outcome ?? "under way"}${tookMs === undefined ? "" : ` (${Math.round(tookMs)} ms)`}, ${startedAt}`,
      ),
    ),
  );
  return bar + steps.join("");
}

function shardPlot(shard: number, bins: readonly Bin[], top: number): string {
  const flowTop = top + 12;
  const flowBottom = top + 66;
  const waitTop = top + 78;
  const waitBottom = top + shardHeight - 12;
  const most = Math.max(1, ...bins.map(({ perSecond }) => perSecond));
  const x = linear(0, bins.length, left, right);
  const flow = linear(0, most, flowBottom, flowTop);
  const wait = logarithmic(1, 60_000, waitBottom, waitTop);
  const points = (y: (bin: Bin) => number) =>
    bins.map((bin, i) => `${x(i + 0.5).toFixed(1)},${y(bin).toFixed(1)}`).join(" ");
  const grid = [10, 100, 1000, 10_000].map(
    (ms) =>
      tag("line", { x1: left, x2: right, y1: wait(ms), y2: wait(ms), class: "axis" }) +
      tag(
        "text",
        { x: left - 6, y: wait(ms) + 4, class: "label", "text-anchor": "end" },
        ms < 1000 ? `${ms} ms` : `${ms / 1000} s`,
      ),
  );
  const errors = bins.flatMap(({ errors }, i) =>
    errors > 0
      ? [
          tag(
            "rect",
            { class: "error", x: x(i + 0.5) - 1.5, y: flowTop - 6, width: 3, height: 5 },
            tooltip(`${errors} requests failed`),
          ),
        ]
      : [],
  );
  return tag(
    "g",
    { class: "shard", "data-shard": shard },
    [
      tag("text", { x: 4, y: flowTop + 8, class: "name" }, `shard ${shard}`),
      tag("text", { x: 4, y: flowTop + 24, class: "label" }, "writes per s"),
      tag(
        "text",
        { x: left - 6, y: flowTop + 4, class: "label", "text-anchor": "end" },
        String(Math.round(most)),
      ),
      tag("line", { x1: left, x2: right, y1: flowBottom, y2: flowBottom, class: "axis" }),
      tag("polygon", {
        class: "flow",
        points: `${left},${flowBottom} ${points(({ perSecond }) => flow(perSecond))} ${right},${flowBottom}`,
      }),
      tag("text", { x: 4, y: waitTop + 10, class: "label" }, "longest"),
      tag("text", { x: 4, y: waitTop + 23, class: "label" }, "answer"),
      ...grid,
      tag("polyline", { class: "slowest", points: points(({ slowestMs }) => wait(slowestMs)) }),
      ...errors,
    ].join(""),
  );
}
