/**
 * `barton rehearse`: breaks a machine of a healthy installation, watches recovery heal it, and reports. The monitor heals, as
 * after any failure; this code only injects and watches.
 */
import type { Clock } from "../clock.ts";
import type { Incident } from "../incidents/record.ts";
import { whyPaused } from "../loop/pause.ts";
import type { Status } from "../report/status.ts";
import { type Fault, isReplacing } from "./fault.ts";
import type { ProbeAccount } from "./probe.ts";

export interface RehearsalTools {
  /** @throws NoMonitor while the monitor is away. */
  status(): Promise<Status>;
  inject(fault: Fault): Promise<void>;
  /** Ends the fault if that is possible. @returns one sentence about what happens to it. */
  heal(fault: Fault): Promise<string>;
  /** Measures what clients feel, through the proxies that are not broken. */
  probe: { begin(): Promise<void>; end(): Promise<ProbeAccount> };
  clock: Clock;
  /** Called with one line for each event, with its time since the fault. */
  say: (line: string) => void;
  /** Aborted by Ctrl-C: the fault is ended if possible, and the rehearsal ends. */
  signal: AbortSignal;
}

/** What `barton rehearse --json` prints. All times are milliseconds since the fault was ordered. */
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
/** The desired state must last this long (milliseconds): a fault that is not noticed yet looks well, too. */
const steadyMs = 1_000;
const noticeMs = 60_000;
const wellMs = 900_000;

/** Why no rehearsal may begin now, or undefined. A fault in a system that is not healthy proves nothing. */
export function whyNoRehearsal(status: Status): string | undefined {
  if (status.paused) return whyPaused(status.paused);
  if (!status.healthy) return `not all is well, and a rehearsal begins only then: ${status.sentence}`;
  return undefined;
}

/** Breaks, watches and reports. @throws if it is refused, or if the fault could not be injected. */
export async function rehearse(fault: Fault, tools: RehearsalTools): Promise<RehearsalReport> {
  const before = await tools.status();
  const refusal = whyNoRehearsal(before);
  if (refusal) throw new Error(`nothing was broken: ${refusal}`);
  await tools.probe.begin();
  const account = new Account(fault, before, tools);
  try {
    if (tools.signal.aborted) throw new Error("interrupted");
    tools.say(`    0.00 s  ${fault.text}`);
    await tools.inject(fault);
  } catch (error) {
    await tools.probe.end();
    throw new Error(`the fault could not be injected: ${(error as Error).message}`, { cause: error });
  }
  while (!account.isOver) {
    account.take(await tools.status().catch((error: Error) => error));
    await tools.clock.sleep(lookMs, tools.signal);
  }
  const healed = account.isInterrupted
    ? await tools.heal(fault).catch((error: Error) => `not healed: ${error.message}`)
    : "";
  return { ...account.verdict(healed), clients: await tools.probe.end() };
}

/** What recovery has done since the fault was ordered. Each event is reported when it happens. */
class Account {
  readonly #fault: Fault;
  readonly #tools: RehearsalTools;
  readonly #known: Set<string>;
  readonly #from: string;
  readonly #orderedAt: Date;
  readonly #orderedMs: number;
  readonly #told = new Set<string>();
  #incidents: Incident[] = [];
  #to: string;
  #noticedMs: number | undefined;
  /** Milliseconds from the fault until the desired state; undefined while it is not reached. */
  #wellMs: number | undefined;
  /** True when the desired state has lasted for `steadyMs`. */
  #isWell = false;
  #sentence = "";

  constructor(fault: Fault, before: Status, tools: RehearsalTools) {
    this.#fault = fault;
    this.#tools = tools;
    this.#known = new Set(before.incidents.map(({ id }) => id));
    this.#from = addressIn(before, fault);
    this.#to = this.#from;
    this.#orderedAt = tools.clock.date();
    this.#orderedMs = tools.clock.now();
  }

  get isInterrupted(): boolean {
    return this.#tools.signal.aborted && !this.#isWell;
  }

  get isOver(): boolean {
    const limitMs = this.#noticedMs === undefined ? noticeMs : wellMs;
    return this.#tools.signal.aborted || this.#isWell || this.#passedMs() > limitMs;
  }

  /** Takes in the present status, or the error of reading it. */
  take(status: Status | Error): void {
    if (status instanceof Error) {
      this.#tell(this.#passedMs(), status.message);
      return;
    }
    this.#incidents = status.incidents.filter(({ id }) => !this.#known.has(id));
    this.#to = addressIn(status, this.#fault);
    this.#sentence = status.sentence;
    const [first] = this.#incidents;
    if (first) this.#noticedMs = this.#since(first.noticedAt);
    else if (!status.healthy) this.#noticedMs ??= this.#passedMs();
    this.#tellStory();
    const isHealed = status.healthy && this.#noticedMs !== undefined && this.#isReplaced;
    this.#wellMs = isHealed ? (this.#wellMs ?? this.#passedMs()) : undefined;
    if (this.#wellMs === undefined || this.#passedMs() - this.#wellMs < steadyMs) return;
    this.#isWell = true;
    this.#tell(this.#wellMs, "all well again");
  }

  verdict(healed: string): Omit<RehearsalReport, "clients"> {
    const [ok, result] = this.#result(healed);
    return {
      ok,
      result,
      fault: this.#fault.text,
      injectedAt: this.#orderedAt.toISOString(),
      noticedMs: this.#noticedMs,
      steps: this.#incidents
        .flatMap(({ steps }) => steps)
        .map(({ step, startedAt, tookMs, outcome = "under way" }) => {
          return { atMs: this.#since(startedAt), step, tookMs, outcome };
        }),
      wellMs: this.#wellMs,
      replaced: this.#from === this.#to ? undefined : { from: this.#from, to: this.#to },
    };
  }

  #result(healed: string): [ok: boolean, text: string] {
    if (this.isInterrupted) return [false, `interrupted: ${healed}`];
    if (this.#noticedMs === undefined) return [false, `recovery noticed nothing within ${noticeMs / 1000} s`];
    if (!this.#isWell) return [false, `not well again within ${wellMs / 60_000} minutes: ${this.#sentence}`];
    const isNew = isReplacing(this.#fault) || this.#from !== this.#to;
    const renewed = isNew ? "is replaced" : "is in use again";
    return [true, `recovery has healed it: ${this.#fault.machine} ${renewed}, and all is well`];
  }

  /** True if the machine was replaced, or need not be. The address proves nothing: the new machine may get the same. */
  get #isReplaced(): boolean {
    const { machine } = this.#fault;
    const isClosed = this.#incidents.some((one) => one.machine === machine && one.endedAt !== undefined);
    return isClosed || !isReplacing(this.#fault);
  }

  /** Reports each notice, and each begin and end of a step, in one line. */
  #tellStory(): void {
    for (const { because, noticedAt, steps } of this.#incidents) {
      this.#tell(this.#since(noticedAt), `noticed: ${because}`);
      for (const { step, startedAt, endedAt, outcome } of steps) {
        this.#tell(this.#since(endedAt ?? startedAt), endedAt ? `${step}: ${outcome}` : `${step} …`);
      }
    }
  }

  #tell(ms: number, line: string): void {
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#tools.say(`${(ms / 1000).toFixed(2).padStart(8)} s  ${line}`);
  }

  #passedMs(): number {
    return Math.round(this.#tools.clock.now() - this.#orderedMs);
  }

  #since(iso: string): number {
    return Date.parse(iso) - this.#orderedAt.getTime();
  }
}

const addressIn = ({ machines }: Status, { machine }: Fault) =>
  machines.find(({ name }) => name === machine)?.address ?? "none";

/** The report as text for people. */
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
