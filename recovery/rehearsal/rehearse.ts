/**
 * `barton rehearse`: breaks a machine of a healthy installation and watches recovery heal it. It injects, looks and
 * reports; whatever is healed, the monitor heals, as it would at night.
 */
import type { Clock } from "../clock.ts";
import type { Incident } from "../incidents/record.ts";
import { whyPaused } from "../pause.ts";
import type { Status } from "../view-status.ts";
import { type Fault, isReplacing } from "./fault.ts";
import type { ProbeAccount } from "./probe.ts";

export interface RehearsalTools {
  /** @throws NoMonitor while the monitor is away. */
  status(): Promise<Status>;
  inject(fault: Fault): Promise<void>;
  /** Takes back what can be; says what becomes of the fault. */
  heal(fault: Fault): Promise<string>;
  /** What clients feel, through the proxies that the fault leaves alone. */
  probe: { begin(): Promise<void>; end(): Promise<ProbeAccount> };
  clock: Clock;
  /** Gets a line for everything that happens, with its time since the fault. */
  say: (line: string) => void;
  /** Aborted by Ctrl-C: what can be healed is healed, and the account ends. */
  signal: AbortSignal;
}

/** What `barton rehearse --json` prints. All times are milliseconds since the fault. */
export interface RehearsalReport {
  ok: boolean;
  result: string;
  fault: string;
  injectedAt: string;
  noticedMs?: number;
  steps: { atMs: number; step: string; tookMs?: number; outcome: string }[];
  /** When the desired state was reached again. */
  wellMs?: number;
  replaced?: { from: string; to: string };
  clients: ProbeAccount;
}

const lookMs = 50;
/** The desired state must hold for this long: a fault that nobody has noticed yet looks well too. */
const steadyMs = 1_000;
const noticeMs = 60_000;
const wellMs = 900_000;

/** Why nothing is broken now, or undefined: a fault is injected into a healthy system, or it proves nothing. */
export function whyNoRehearsal(status: Status): string | undefined {
  if (status.paused) return whyPaused(status.paused);
  if (!status.healthy) return `not all is well, and a rehearsal begins only then: ${status.sentence}`;
  return undefined;
}

/** Breaks, watches and reports. @throws when nothing was broken: it is refused, or the fault could not be injected. */
export async function rehearse(fault: Fault, tools: RehearsalTools): Promise<RehearsalReport> {
  const before = await tools.status();
  const refusal = whyNoRehearsal(before);
  if (refusal) throw new Error(`nothing was broken: ${refusal}`);
  await tools.probe.begin();
  const injected = tools.clock.date();
  try {
    if (tools.signal.aborted) throw new Error("interrupted");
    tools.say(`    0.00 s  ${fault.text}`);
    await tools.inject(fault);
  } catch (error) {
    await tools.probe.end();
    throw new Error(`nothing was broken: ${(error as Error).message}`, { cause: error });
  }
  const seen = await watch(fault, before, injected, tools);
  const healed = tools.signal.aborted ? await tools.heal(fault).catch((error: Error) => error.message) : "";
  const clients = await tools.probe.end();
  return { fault: fault.text, injectedAt: injected.toISOString(), clients, ...verdict(fault, seen, healed) };
}

/** What was seen of recovery's work. */
interface Seen {
  incidents: Incident[];
  from: string;
  to: string;
  sinceMs: (iso: string) => number;
  noticedMs?: number;
  wellMs?: number;
  interrupted: boolean;
  sentence: string;
}

async function watch(fault: Fault, before: Status, injected: Date, tools: RehearsalTools): Promise<Seen> {
  const { clock, signal } = tools;
  const known = new Set(before.incidents.map(({ id }) => id));
  const from = addressIn(before, fault);
  const beganMs = clock.now();
  const passedMs = () => Math.round(clock.now() - beganMs);
  const seen: Seen = {
    incidents: [],
    from,
    to: from,
    sinceMs: (iso) => Date.parse(iso) - injected.getTime(),
    interrupted: false,
    sentence: "",
  };
  const said = new Set<string>();
  const tell = (ms: number, line: string) => {
    if (said.has(line)) return;
    said.add(line);
    tools.say(`${(ms / 1000).toFixed(2).padStart(8)} s  ${line}`);
  };
  let wellSinceMs: number | undefined;
  while (passedMs() < (seen.noticedMs === undefined ? noticeMs : wellMs)) {
    if (signal.aborted) return { ...seen, interrupted: true };
    const status = await tools.status().catch((error: Error) => error);
    if (status instanceof Error) tell(passedMs(), status.message);
    else {
      seen.incidents = status.incidents.filter(({ id }) => !known.has(id));
      seen.to = addressIn(status, fault);
      seen.sentence = status.sentence;
      const [first] = seen.incidents;
      if (first) seen.noticedMs = seen.sinceMs(first.noticedAt);
      else if (!status.healthy) seen.noticedMs ??= passedMs();
      for (const line of storyOf(seen)) tell(line.ms, line.text);
      const isDone =
        status.healthy && seen.noticedMs !== undefined && (!isReplacing(fault) || isReplaced(fault, seen));
      wellSinceMs = isDone ? (wellSinceMs ?? passedMs()) : undefined;
      if (wellSinceMs !== undefined && passedMs() - wellSinceMs >= steadyMs) {
        tell(wellSinceMs, "all well again");
        return { ...seen, wellMs: wellSinceMs };
      }
    }
    await clock.sleep(lookMs, signal);
  }
  return seen;
}

/** The address would not do: the new machine may get that of the old one. */
const isReplaced = ({ machine }: Fault, { incidents }: Seen) =>
  incidents.some((incident) => incident.machine === machine && incident.endedAt !== undefined);

/** What happened so far, a line for each notice and each end of a step. */
function storyOf({ incidents, sinceMs }: Seen): { ms: number; text: string }[] {
  return incidents.flatMap(({ because, noticedAt, steps }) => [
    { ms: sinceMs(noticedAt), text: `noticed: ${because}` },
    ...steps.flatMap(({ step, startedAt, endedAt, outcome }) => {
      const ms = sinceMs(endedAt ?? startedAt);
      return endedAt ? { ms, text: `${step}: ${outcome}` } : { ms, text: `${step} …` };
    }),
  ]);
}

function verdict(
  fault: Fault,
  seen: Seen,
  healed: string,
): Omit<RehearsalReport, "fault" | "injectedAt" | "clients"> {
  const { from, to, noticedMs, interrupted, sentence } = seen;
  const steps = seen.incidents
    .flatMap((incident) => incident.steps)
    .map(({ step, startedAt, tookMs, outcome = "under way" }) => ({
      atMs: seen.sinceMs(startedAt),
      step,
      ...(tookMs === undefined ? {} : { tookMs }),
      outcome,
    }));
  const end = (ok: boolean, result: string) => ({
    ok,
    result,
    noticedMs,
    steps,
    wellMs: seen.wellMs,
    ...(from === to ? {} : { replaced: { from, to } }),
  });
  if (interrupted) return end(false, `interrupted: ${healed}`);
  if (noticedMs === undefined) return end(false, `recovery noticed nothing within ${noticeMs / 1000} s`);
  if (seen.wellMs === undefined)
    return end(false, `not well again within ${wellMs / 60_000} minutes: ${sentence}`);
  const renewed = isReplacing(fault) || from !== to ? "is replaced" : "is in use again";
  return end(true, `recovery has healed it: ${fault.machine} ${renewed}, and all is well`);
}

const addressIn = ({ machines }: Status, { machine }: Fault) =>
  machines.find(({ name }) => name === machine)?.address ?? "none";

/** The report as a person reads it. */
export function describeReport(report: RehearsalReport): string {
  const { clients, steps, replaced } = report;
  const row = (what: string, ms: number | undefined, text = "") =>
    `  ${what.padEnd(16)}${ms === undefined ? "        -" : `${(ms / 1000).toFixed(2).padStart(7)} s`}  ${text}`.trimEnd();
  return [
    `report: ${report.fault}, at ${report.injectedAt}`,
    row("noticed", report.noticedMs),
    ...steps.map(({ atMs, step, tookMs, outcome }) =>
      row("step", atMs, `${step}: ${outcome}${tookMs === undefined ? "" : ` (${Math.round(tookMs)} ms)`}`),
    ),
    row("all well again", report.wellMs, replaced ? `${replaced.from} → ${replaced.to}` : ""),
    row(
      "longest wait",
      clients.longestWaitMs,
      clients.slowestPath && `of a client, through ${clients.slowestPath}`,
    ),
    `  probes          ${clients.probes}, of which failed: ${clients.errors}`,
    `${report.ok ? "OK" : "FAILED"}: ${report.result}`,
  ].join("\n");
}
