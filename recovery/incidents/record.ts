/** The record of one incident: what failed, when it was noticed, and every step with its start, end and outcome. */
import { z } from "zod";

const stepSchema = z.object({
  step: z.string(),
  startedAt: z.string(),
  /** Missing while the step runs. */
  endedAt: z.string().optional(),
  /** By the monotonic clock, so that a jump of the wall clock does not show. */
  tookMs: z.number().optional(),
  /** "done", or why it failed; missing while the step runs. */
  outcome: z.string().optional(),
});

export const incidentSchema = z.object({
  id: z.string(),
  /** The machine that failed, or "first start". */
  machine: z.string(),
  /** The sentence with which it was noticed. */
  because: z.string(),
  /** The row of the tables of situations that it was noticed as (docs/states.md). */
  situation: z.string().optional(),
  /** When the first failed probe was begun. */
  firstSignAt: z.string().optional(),
  /** When there was a verdict. */
  noticedAt: z.string(),
  /** When the desired state was reached again; missing while the incident is open. */
  endedAt: z.string().optional(),
  /** From notice to end, by the monotonic clock; missing when the monitor was restarted in between. */
  tookMs: z.number().optional(),
  steps: z.array(stepSchema),
});

export type Incident = z.infer<typeof incidentSchema>;
export type IncidentStep = z.infer<typeof stepSchema>;

/** Sortable by time, readable, and fit for a file name. */
export function incidentId(noticedAt: string, machine: string): string {
  return `${noticedAt.replace(/[-:]|\.\d+Z$/g, "").replace("T", "-")}-${machine.replaceAll(" ", "-")}`;
}

/** A record as it continues after a restart of the monitor: steps under way have lost their end. */
export function interrupted(incident: Incident): Incident {
  const steps = incident.steps.map((step) =>
    step.endedAt
      ? step
      : { ...step, endedAt: step.startedAt, outcome: "interrupted: the monitor was restarted" },
  );
  return { ...incident, steps };
}

/** The incident as a person reads it: times are relative to the first sign. */
export function describeIncident(incident: Incident): string {
  const zero = Date.parse(incident.firstSignAt ?? incident.noticedAt);
  const at = (time: string) => `${((Date.parse(time) - zero) / 1000).toFixed(3).padStart(9)} s`;
  const lines = [
    `${incident.id}: ${incident.machine}`,
    `  ${incident.because}`,
    `  first sign  ${at(incident.firstSignAt ?? incident.noticedAt)}   ${incident.firstSignAt ?? "unknown"}`,
    `  noticed     ${at(incident.noticedAt)}   ${incident.noticedAt}`,
    ...incident.steps.map((step) => {
      const took = step.tookMs === undefined ? "" : ` (${Math.round(step.tookMs)} ms)`;
      return `  step        ${at(step.startedAt)}   ${step.step}: ${step.outcome ?? "under way"}${took}`;
    }),
    incident.endedAt ? `  all well    ${at(incident.endedAt)}   ${incident.endedAt}` : "  still open",
  ];
  return lines.join("\n");
}
