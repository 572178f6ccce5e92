/** The moments around one fault: a lane for each client, a bar for each of its operations. Pure. */
import type { Incident } from "../../../../recovery/incidents/record.ts";
import { durationOf, type Operation } from "../../history.ts";
import { breakdownParts } from "../breakdown.ts";
import type { FaultResult } from "../results.ts";
import { clockTime, tag, text, tooltip } from "./html.ts";
import { elapsed, linear, type Scale, ticks } from "./scale.ts";

const width = 1200;
const left = 172;
const right = width - 12;
const lane = 15;
const top = 96;
const beforeMs = 500;
const afterMs = 700;
/** Longer waits are cut off on the right: what happens is at the beginning. */
const spanMsMax = 20_000;

const partNames: Record<(typeof breakdownParts)[number], string> = {
  firstSign: "first sign",
  verdict: "verdict",
  fence: "fenced",
  promote: "promoted",
  release: "released",
  clients: "first write",
};

/** The window of a fault: from shortly before it until shortly after everybody is served again. */
export function windowOf(fault: FaultResult): { from: number; to: number } {
  const from = fault.at - beforeMs;
  const served = Math.max(fault.interruption?.to ?? fault.doneAt, fault.at + fault.longestWaitMs);
  return { from, to: Math.min(served + afterMs, from + spanMsMax) };
}

/** `operations`: those of the shard that waited longest. */
export function closeUp(
  fault: FaultResult,
  operations: readonly Operation[],
  incidents: readonly Incident[],
): string {
  const { from, to } = windowOf(fault);
  const shown = operations.filter(({ invokedAt, completedAt }) => completedAt >= from && invokedAt <= to);
  const processes = [...new Set(shown.map(({ process }) => process))].sort();
  const x = linear(from, to, left, right);
  const height = top + processes.length * lane + 24;
  const parts = [
    ...ticks(fault.at, to, 12).map(
      (at) =>
        tag("line", { x1: x(at), x2: x(at), y1: top - 4, y2: height - 20, class: "axis" }) +
        tag(
          "text",
          { x: x(at), y: height - 6, class: "label", "text-anchor": "middle" },
          elapsed(at - fault.at),
        ),
    ),
    ...processes.map((process, i) =>
      tag("text", { x: 4, y: top + i * lane + 11, class: "label" }, text(process)),
    ),
    ...shown.map((operation) => bar(operation, x, top + processes.indexOf(operation.process) * lane)),
    marker(x(fault.at), height, 12, fault.title, "fault"),
    // Each on a row of its own: several of them may come within milliseconds.
    ...milestones(fault, incidents).map(({ at, name }, i) =>
      marker(x(at), height, 12 + (i + 1) * 13, name, "milestone"),
    ),
  ];
  return tag(
    "svg",
    { class: "close-up", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": fault.title },
    parts.join(""),
  );
}

/** What recovery did, at the moments that the breakdown knows. */
function milestones(fault: FaultResult, incidents: readonly Incident[]): { at: number; name: string }[] {
  if (fault.breakdown !== undefined) {
    let at = fault.interruption?.from ?? fault.at;
    return breakdownParts.flatMap((part) => {
      const ms = fault.breakdown?.[part];
      if (ms === undefined) return [];
      at += ms;
      return [{ at, name: partNames[part] }];
    });
  }
  return incidents
    .filter(({ id }) => fault.incidents.includes(id))
    .slice(0, breakdownParts.length)
    .map(({ noticedAt, machine }) => ({ at: Date.parse(noticedAt), name: `${machine}: verdict` }));
}

function marker(x: number, height: number, y: number, name: string, kind: "fault" | "milestone"): string {
  const line = kind === "fault" ? "fault-line" : "milestone";
  return (
    tag("line", { x1: x, x2: x, y1: y + 3, y2: height - 20, class: line }) +
    tag("text", { x: x + 3, y: y + 2, class: `${kind}-name` }, text(name))
  );
}

function bar(operation: Operation, x: Scale, y: number): string {
  const { action, outcome, invokedAt, completedAt, process, server, error } = operation;
  const kind = outcome === "ok" ? (action === "read" ? "op-read" : "op-ok") : `op-${outcome}`;
  const told =
    `${process} ${action} ${operation.key ?? operation.value ?? ""}: ${outcome}` +
    `${error ? ` (${error})` : ""} after ${durationOf(operation).toFixed(1)} ms\n${clockTime(invokedAt)} UTC, ${server ?? "no server"}`;
  return tag(
    "rect",
    {
      class: kind,
      x: x(invokedAt),
      y: y + 2,
      width: Math.max(1.2, x(completedAt) - x(invokedAt)),
      height: lane - 4,
    },
    tooltip(told),
  );
}
