/** One run: load, faults behind a gate, what was seen, and the report. */
import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { forgiveAll, replacementsLeft } from "../../lab/budget.ts";
import { askMachine } from "../../lab/exec.ts";
import type { Lab } from "../../lab/lab.ts";
import { type Incident, LabOperator } from "../../lab/operate.ts";
import type { LabStatus } from "../../lab/status.ts";
import { counterpartOf } from "../../recovery/topology.ts";
import { Random } from "../simulation/random.ts";
import { inSeconds } from "./checkers/verdict.ts";
import type { Scene } from "./faults/catalogue.ts";
import { loadOf, lookBackMs, whyNotReady } from "./faults/gate.ts";
import { healEverything, inject, moveMasters, NotPossible } from "./faults/injector.ts";
import { needsMaster, planned, type Wanted } from "./faults/plan.ts";
import { finalsFile, historyFile, incidentsFile, type KeptRun, observationsFile, runFile } from "./files.ts";
import { now, waitMs } from "./history.ts";
import { activeProxy, quickStatus } from "./observer/lab-view.ts";
import { hideIn, Logs } from "./observer/logs.ts";
import { Observer } from "./observer/observer.ts";
import type { FaultRecord } from "./record.ts";
import type { RunRecord } from "./report/results.ts";
import { clientCredentials, clientPorts, insideApp, Workload } from "./workload/workload.ts";

export interface RunOptions {
  lab: Lab;
  seed: number;
  wanted: Wanted[];
  repeat: number;
  /** No fault begins later than this after the first. */
  minutes: number;
  /** Operations per second and shard. */
  rate: number;
  /** Where the run's files go; it must exist. */
  folder: string;
  command: string;
  program: string;
  say: (line: string) => void;
  signal: AbortSignal;
}

/** How long the lab may take to be healthy when the run begins. */
const fitMsMax = 60_000;
/** How long the system may take until it is healthy and loaded, before the run says that it is not. */
const readyMsMax = 180_000;
/** How long until the desired state is reached again after a fault (and, for what lasts, its healing). */
const healthyMsMax = 240_000;
/** A fault that recovery has to notice shows within this time; then the system is taken to have shrugged it off. */
const noticeMsMax = 3_000;
const lookMs = 100;

/** Why the run cannot go on and says nothing. */
class Invalid extends Error {
  override name = "Invalid";
}

export class Run {
  readonly #options: RunOptions;
  readonly #random: Random;
  readonly #faults: FaultRecord[] = [];
  readonly #record: RunRecord;
  #workload: Workload | undefined;
  #wasReadBack = false;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const { lab, seed, command, rate, program, wanted, repeat } = options;
    this.#record = {
      ...{ lab: lab.name, seed, command, rate, program },
      startedAt: now(),
      endedAt: now(),
      budgets: [],
      switches: [],
      skipped: [],
      notes: [],
      ...(wanted.length > 0 ? { asked: wanted.length * repeat } : {}),
      host: { cpus: cpus().length, loadAverages: [] },
    };
  }

  get #load(): Workload {
    if (this.#workload === undefined) throw new Invalid("the load was never started");
    return this.#workload;
  }

  #file(name: string): string {
    return join(this.#options.folder, name);
  }

  /** Runs to the end, or until it is interrupted; then the folder has everything that is known. */
  async go(): Promise<void> {
    const { lab } = this.#options;
    const status = await this.#untilHealthy(fitMsMax, (why) => {
      throw new Error(`lab ${lab.name} is not healthy, so nothing could be shown: ${why}`);
    });
    const secrets = await this.#secrets();
    mkdirSync(this.#file("logs"));
    const logs = new Logs(lab, this.#file("logs"), hideIn(secrets.hidden));
    const observer = new Observer({
      lab,
      shards: status.shards.map(({ index, port }) => ({ index, redisPort: port })),
      credentials: secrets.recovery,
      file: this.#file(observationsFile),
    });
    try {
      await this.#startLoad(secrets.client);
      await this.#injectAll(status.shards.length).catch((error: Error) => this.#invalid(error));
      // A run that did not come to its end leaves no fault behind.
      if (this.#record.invalid !== undefined) await this.#heal();
      await this.#endLoad().catch((error: Error) => this.#invalid(error));
    } finally {
      await this.#attempt("the load could not be ended", this.#workload?.end());
      await this.#attempt("the looks could not be ended", observer.stop());
      await this.#attempt("the logs could not be ended", logs.stop());
    }
    await this.#keep();
  }

  #invalid(error: Error): void {
    this.#record.invalid ??= this.#options.signal.aborted ? "interrupted" : error.message;
    this.#options.say(`the run is invalid: ${this.#record.invalid}`);
  }

  async #heal(): Promise<void> {
    const { lab, say } = this.#options;
    await this.#attempt(
      "the faults could not be healed",
      healEverything(lab).then((healed) => say(`healed: ${healed.join("; ") || "nothing had to be"}`)),
    );
  }

  /** A part of the ending: when it fails, that is noted, and what is known by then is kept and judged all the same. */
  async #attempt(trouble: string, work: Promise<void> | undefined): Promise<void> {
    await work?.catch((error: Error) => {
      this.#record.notes.push(`${trouble}: ${error.message}`);
      this.#options.say(`${trouble}: ${error.message}`);
    });
  }

  /** Passwords of clients and of recovery, and what therefore must not be in any log. */
  async #secrets() {
    const { lab } = this.#options;
    const client = await clientCredentials(lab);
    const text = (await askMachine(lab, "monit", ["cat", "/etc/barton/recovery.json"], 10_000)) ?? "";
    const { redisUser, redisPassword } = JSON.parse(text) as { redisUser: string; redisPassword: string };
    return {
      client,
      recovery: { user: redisUser, password: redisPassword },
      hidden: [client.password, redisPassword],
    };
  }

  async #startLoad(credentials: { username: string; password: string }): Promise<void> {
    const { lab, rate } = this.#options;
    const shards = await clientPorts(lab);
    this.#workload = new Workload(insideApp(lab), {
      host: "127.0.0.1",
      ...credentials,
      shards,
      prefix: `chaos:${Math.round(this.#record.startedAt).toString(36)}:`,
      rate,
      waitMs,
      historyFile: this.#file(historyFile),
      finalsFile: this.#file(finalsFile),
    });
  }

  async #injectAll(shards: number): Promise<void> {
    const { wanted, repeat, minutes, say } = this.#options;
    let deadline = Number.POSITIVE_INFINITY;
    for (const each of planned(wanted, repeat, this.#random)) {
      const status = await this.#untilReady(shards);
      if (this.#faults.length === 0) deadline = now() + minutes * 60_000;
      if (now() > deadline) break;
      try {
        await this.#injectOne(each, await this.#withMaster(each, status));
      } catch (error) {
        if (!(error instanceof NotPossible)) throw error;
        this.#record.skipped.push(error.message);
        say(`not possible here: ${error.message}`);
      }
    }
    // What the last fault may have broken shows in calm traffic.
    await this.#untilReady(shards);
  }

  /** Sees to it that a fault of a master finds one on the machine that was asked for: the roles may have moved. */
  async #withMaster(each: Wanted, status: LabStatus): Promise<LabStatus> {
    const to = needsMaster(each, status.shards);
    if (to === undefined) return status;
    const { lab, say, signal } = this.#options;
    const because = `${to} has no master: moving the masters there (barton switchover ${counterpartOf(to)})`;
    say(because);
    this.#record.switches.push({ at: now(), because });
    await moveMasters(new LabOperator(lab.name), to).finally(() => signal.throwIfAborted());
    // So that the gate, and the checker that takes two switches within a second for two masters, see only what comes after.
    await this.#pause(lookBackMs);
    const after = await this.#untilReady(status.shards.length);
    if (needsMaster(each, after.shards))
      throw new NotPossible(`${each.kind.name}: ${to} still has no master`);
    return after;
  }

  /** The health gate. Gives the status; throws when the system does not become fit for a fault. */
  async #untilReady(shards: number): Promise<LabStatus> {
    const deadline = now() + readyMsMax;
    for (;;) {
      const status = await quickStatus(this.#options.lab);
      const why = this.#load.ended ?? whyNotReady(status, this.#load.recent(lookBackMs), shards);
      if (why === undefined && !(await this.#refillBudget())) return status;
      if (now() > deadline) throw new Invalid(`no fault can be injected: ${why}`);
      await this.#pause(250);
    }
  }

  /** Gives every machine a new budget when one has only one replacement left. Whether that had to be done. */
  async #refillBudget(): Promise<boolean> {
    const { machine, left } = replacementsLeft(this.#options.lab);
    if (left > 1) return false;
    const replacements = left === 1 ? "1 replacement" : `${left} replacements`;
    const because = `${machine} had ${replacements} left in this hour (rule 8); the run gave every machine a new budget`;
    this.#options.say(because);
    this.#record.budgets.push({ at: now(), because });
    await forgiveAll(new LabOperator(this.#options.lab.name));
    return true;
  }

  async #injectOne({ kind, target }: Wanted, status: LabStatus): Promise<void> {
    const { lab, say, signal } = this.#options;
    const scene: Scene = {
      shards: status.shards,
      activeProxy: await activeProxy(lab),
      random: this.#random,
      ...(target === undefined ? {} : { wanted: target }),
    };
    const injury = kind.make(scene);
    const loadBefore = loadOf(this.#load.recent(lookBackMs));
    const [loadAverage = 0] = loadavg();
    this.#record.host.loadAverages.push(loadAverage);
    const number = this.#faults.length + 1;
    signal.throwIfAborted();
    say(`fault ${number}: ${injury.title}`);
    const at = now();
    const fault: FaultRecord = {
      ...{ number, kind: kind.name, title: injury.title, at, doneAt: at, loadBefore, loadAverage },
      processCrash: kind.processCrash === true,
      strict: kind.lenient !== true,
      ...(kind.refusesMs === undefined ? {} : { refusesMs: kind.refusesMs }),
    };
    // Half a fault counts: what clients see from then on comes of it.
    const { healed } = await inject(lab, injury, signal, () => this.#faults.push(fault)).finally(() => {
      fault.doneAt = now();
    });
    const healedAt = await healed;
    if (healedAt !== undefined) fault.healedAt = healedAt;
    await this.#untilNoticed();
    await this.#untilHealthy(healthyMsMax, (why) => {
      fault.waitedInVainMs = healthyMsMax;
      throw new Invalid(`not healthy ${healthyMsMax / 1000} s after ${fault.title}: ${why}`);
    });
    fault.healthyAt = now();
    const slowest = this.#slowestSince(at);
    say(`  all well after ${inSeconds(fault.healthyAt - at)}, longest answer ${inSeconds(slowest)}`);
  }

  #slowestSince(at: number): number {
    const ticks = this.#load.recent(now() - at);
    return Math.max(0, ...ticks.flatMap((tick) => Object.values(tick.shards).map((each) => each.slowestMs)));
  }

  /** Waits until the fault shows in the status, or has not for so long that it never will. */
  async #untilNoticed(): Promise<void> {
    const deadline = now() + noticeMsMax;
    while ((await quickStatus(this.#options.lab)).healthy && now() < deadline) await this.#pause(lookMs);
  }

  /** Waits for the desired state, and says what is amiss meanwhile; calls `onLate` with the last of it. */
  async #untilHealthy(msMax: number, onLate: (why: string) => never): Promise<LabStatus> {
    const { lab, say } = this.#options;
    const began = now();
    let said = "";
    for (;;) {
      const status = await quickStatus(lab);
      if (status.healthy) return status;
      if (status.sentence !== said) say(`  ${inSeconds(now() - began)}: ${status.sentence}`);
      said = status.sentence;
      if (now() - began > msMax) onLate(status.sentence);
      await this.#pause(lookMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#options.signal });
  }

  /** Ends the load and reads back what there is. */
  async #endLoad(): Promise<void> {
    const { say } = this.#options;
    const operations = await this.#load.stop().finally(() => {
      this.#record.endedAt = now();
    });
    this.#record.host.loadAverages.push(loadavg()[0] ?? 0);
    say(`load ended after ${operations} operations; reading back`);
    await this.#load.readBack();
    this.#wasReadBack = true;
    await this.#load.clean();
  }

  /** Puts what only this process knows beside the files that have grown meanwhile. */
  async #keep(): Promise<void> {
    const { folder } = this.#options;
    const kept: KeptRun = { run: this.#record, faults: this.#faults, wasReadBack: this.#wasReadBack };
    await writeFile(join(folder, runFile), `${JSON.stringify(kept, null, 2)}\n`);
    await writeFile(join(folder, incidentsFile), `${JSON.stringify(await this.#incidents(), null, 2)}\n`);
  }

  /** What recovery recorded since the run began; nothing when monit cannot be asked. */
  async #incidents(): Promise<Incident[]> {
    const all = await new LabOperator(this.#options.lab.name).incidents().catch(() => []);
    return all.filter(({ noticedAt }) => Date.parse(noticedAt) >= this.#record.startedAt);
  }
}

/** What runs: the commit of this clone, or the name of the folder without one. */
export async function programOf(root: string): Promise<string> {
  const { execa } = await import("execa");
  const { stdout, exitCode } = await execa("git", ["describe", "--always", "--dirty"], {
    cwd: root,
    reject: false,
  });
  if (exitCode === 0) return stdout;
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
  return `version ${version}`;
}
