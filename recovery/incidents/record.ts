/** The record of one incident: what failed, when it was noticed, and every step with its start, end and outcome. */
import { z } from "zod";

const stepSchema = z.object({
  step: z.string(),
  /** Of a step that was tried several times: the first time. */
  startedAt: z.string(),
  /** Missing while the step runs. */
  endedAt: z.string().optional(),
  /** By the monotonic clock, so that a jump of the wall clock does not show. */
  tookMs: z.number().optional(),
  /** "done", or why it failed; missing while the step runs. */
  outcome: z.string().optional(),
  /** How often a step was tried again and again; end, duration and outcome are those of the last time. Missing: once. */
  times: z.int().positive().optional(),
  /** Of a step that was tried several times: the last time. */
  lastStartedAt: z.string().optional(),
});

export const incidentSchema = z.object({
  id: z.string(),
  /** The machine that failed, or "first start". */
  machine: z.string(),
  /** The sentence with which it was noticed. */
  because: z.string(),
  /** The row of the tables of situations that it was noticed as (docs/states.md). */
  situation: z.string().optional(),
  /** What a person should do. */
  operator: z.string().optional(),
  /** When the first failed probe was begun. */
  firstSignAt: z.string().optional(),
  /** When there was a verdict. */
  noticedAt: z.string(),
  /** When the desired state was reached again; missing while the incident is open. */
  endedAt: z.string().optional(),
  /** From notice to end, by the monotonic clock; missing when the monitor was restarted in between. */
  tookMs: z.number().optional(),
  steps: z.array(stepSchema),
  /** How many steps in the middle are not in the record, which is bounded. */
  stepsLeftOut: z.int().positive().optional(),
});

export type Incident = z.infer<typeof incidentSchema>;
export type IncidentStep = z.infer<typeof stepSchema>;

/** A record has no more steps than this; those in the middle are left out. */
const stepsMax = 200;
/** The first steps tell what was done about the failure, and are kept. */
const firstStepsKept = 50;
/** Pulumi may say a lot. */
const outcomeMax = 500;

/** Records how a step ended. A step that is tried again and again is one entry, with how often, and the first and last time. */
export function endStep(incident: Incident, step: IncidentStep, outcome: string): { isRepeat: boolean } {
  step.outcome = outcome.length > outcomeMax ? `${outcome.slice(0, outcomeMax)}…` : outcome;
  const earlier = earlierTry(incident, step);
  if (earlier) {
    earlier.times = (earlier.times ?? 1) + 1;
    earlier.lastStartedAt = step.startedAt;
    earlier.endedAt = step.endedAt;
    earlier.tookMs = step.tookMs;
    earlier.outcome = step.outcome;
    incident.steps = incident.steps.filter((one) => one !== step);
  } else if (incident.steps.length > stepsMax) {
    incident.steps.splice(firstStepsKept, 1);
    incident.stepsLeftOut = (incident.stepsLeftOut ?? 0) + 1;
  }
  return { isRepeat: earlier !== undefined };
}

/**
 * The entry of the same step that ended in the same way, if it was tried before in vain: it failed, or it was done, and one after
 * it failed, so that the whole plan is tried again.
 */
function earlierTry({ steps }: Incident, step: IncidentStep): IncidentStep | undefined {
  const isDone = (one: IncidentStep) => one.outcome === "done";
  const earlier = steps.findLast(
    (one) => one !== step && one.step === step.step && one.endedAt && isDone(one) === isDone(step),
  );
  if (!earlier || !isDone(step)) return earlier;
  const since = steps.slice(steps.indexOf(earlier));
  return since.some((one) => one.endedAt && !isDone(one)) ? earlier : undefined;
}

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
    ...(incident.operator ? [`  to do       ${incident.operator}`] : []),
    `  first sign  ${at(incident.firstSignAt ?? incident.noticedAt)}   ${incident.firstSignAt ?? "unknown"}`,
    `  noticed     ${at(incident.noticedAt)}   ${incident.noticedAt}`,
    ...incident.steps.map((step) => {
      const took = step.tookMs === undefined ? "" : ` (${Math.round(step.tookMs)} ms)`;
      const often = step.times ? `, ${step.times} times until ${step.lastStartedAt}` : "";
      return `  step        ${at(step.startedAt)}   ${step.step}: ${step.outcome ?? "under way"}${took}${often}`;
    }),
    ...(incident.stepsLeftOut ? [`  ${incident.stepsLeftOut} steps in the middle are not recorded`] : []),
    incident.endedAt ? `  all well    ${at(incident.endedAt)}   ${incident.endedAt}` : "  still open",
  ];
  return lines.join("\n");
}
