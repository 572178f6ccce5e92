/**
 * A small world on the loopback: real redis servers and real haproxies with the program's own
 * configuration files, each "machine" at an address of its own. Only the cloud, the engine and ssh are
 * stand-ins. Ends only the processes that it has started.
 */
import { mkdtempSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../../recovery/clock.ts";
import { systemClock } from "../../../recovery/clock.ts";
import type { Cloud, Instance } from "../../../recovery/cloud/cloud.ts";
import type { Engine } from "../../../recovery/cloud/engine.ts";
import type { Remote } from "../../../recovery/cloud/remote.ts";
import { serve, stopServing } from "../../../recovery/control/server.ts";
import type { Step } from "../../../recovery/decide/steps.ts";
import { readIncidents } from "../../../recovery/incidents/journal.ts";
import { createLog } from "../../../recovery/log.ts";
import { keptMemory } from "../../../recovery/loop/kept-memory.ts";
import { Reconciler } from "../../../recovery/loop/reconciler.ts";
import type { Status } from "../../../recovery/report/status.ts";
import { defaultLimits, type Limits } from "../../../recovery/settings.ts";
import { DiskFiles } from "../../../recovery/storage/files.ts";
import { type Detection, type MachineName, machineNames, type Topology } from "../../../recovery/topology.ts";
import { startNameServer } from "../../infra/servers.ts";
import { type FakeMachine, recordName, startMachine } from "./machines.ts";

export const passwords = {
  clientPassword: "client-password-of-this-test",
  replicationPassword: "replication-password-of-this-test",
  recoveryPassword: "recovery-password-of-this-test",
};
const credentials = { redisUser: "recovery", redisPassword: passwords.recoveryPassword };

export const detection: Detection = {
  intervalMs: 200,
  fastIntervalMs: 50,
  connectTimeoutMs: 200,
  failures: 3,
  stallMs: 2_500,
};

export interface WorldOptions {
  shards?: number;
  limits?: Partial<Limits>;
}

export interface MonitorOptions {
  afterStep?: (step: Step) => void;
  clock?: Clock;
  self?: string;
  state?: string;
}

export interface Monitor {
  reconciler: Reconciler;
  /** Aborted as by SIGTERM. */
  signal: AbortSignal;
  stop: () => Promise<void>;
}

/**
 * Different for every test process, so that test runs beside each other never meet: haproxy would share an
 * address with another one without a word. The generation of a machine is added to the third number.
 */
const network = { second: 10 + (process.pid % 240), third: (Math.floor(process.pid / 240) % 6) * 40 };
const addressOf = (generation: number, number: number) =>
  `127.${network.second}.${network.third + generation}.${number}`;

/** The last number of each machine's address. */
const numbers = { redis1: 11, redis2: 12, haproxy1: 21, haproxy2: 22, app: 31, monit: 41 };

export class TestWorld {
  readonly folder = mkdtempSync(join(tmpdir(), "barton-recovery-"));
  readonly machines = new Map<MachineName, FakeMachine>();
  readonly calls: string[] = [];
  readonly lines: string[] = [];
  readonly shards: Topology["shards"];
  readonly #limits: Limits;
  /** The private zone's records, and what answers for them. */
  readonly #records = new Map<string, string>();
  #nameServer: Awaited<ReturnType<typeof startNameServer>> | undefined;
  #dead: Instance[] = [];
  #generation = 0;
  #running: Monitor | undefined;
  /** Every recovery that this world had: one that was stopped may have steps under way. */
  readonly #recoveries: Reconciler[] = [];
  #server: Server | undefined;
  /** Set to make the cloud's API fail with this message. */
  cloudFailure: string | undefined;
  /** Set to hold replacements: the message says that the program differs. */
  programDiffers: string | undefined;

  constructor({ shards = 2, limits = {} }: WorldOptions = {}) {
    this.shards = Array.from({ length: shards }, (_, position) => ({
      index: position + 1,
      clientPort: 7001 + position,
      proxyPort: 8001 + position,
      redisPort: 9001 + position,
    }));
    this.#limits = { ...defaultLimits, graceMs: 6_000, ...limits };
  }

  /** A world with recovery, in the desired state. */
  static async healthy(options?: WorldOptions): Promise<TestWorld> {
    const world = new TestWorld(options);
    await world.startMachines();
    await world.startRecovery();
    await world.untilHealthy();
    return world;
  }

  /** Starts all machines that have processes. */
  async startMachines(): Promise<void> {
    this.#nameServer = await startNameServer(this.#records);
    await Promise.all(
      (["redis1", "redis2", "haproxy1", "haproxy2", "app"] as const).map((machine) =>
        this.#launch(machine, 0),
      ),
    );
  }

  machine(name: MachineName): FakeMachine {
    const found = this.machines.get(name);
    if (!found) throw new Error(`no machine ${name}`);
    return found;
  }

  get topology(): Topology {
    const entries = machineNames.map((name) => {
      const { address, instanceId } = this.machines.get(name) ?? {
        address: "127.0.0.1",
        instanceId: `i-${name}`,
      };
      const role = name.replace(/\d$/, "");
      return [name, { role, instanceId, address, urn: `urn:${name}`, recordUrn: `urn:record:${name}` }];
    });
    return {
      domain: "barton",
      machines: Object.fromEntries(entries),
      shards: this.shards,
      ports: { runtime: 8999, health: 8900 },
      detection,
    } as Topology;
  }

  /** Starts recovery, as the monitor does. `afterStep` may stop it anywhere. */
  async startRecovery(afterStep?: (step: Step) => void, clock: Clock = systemClock): Promise<Reconciler> {
    this.#running = await this.startMonitor({ afterStep, clock });
    return this.#running.reconciler;
  }

  /** Starts one more monitor; `self` is its id, and `state` its folder for what it remembers. */
  async startMonitor({
    afterStep,
    clock = systemClock,
    self,
    state = "state",
  }: MonitorOptions): Promise<Monitor> {
    const stop = new AbortController();
    const stateDir = join(this.folder, state);
    const log = createLog(
      { write: (text) => this.lines.push(`${Math.round(performance.now())} ${self ?? ""} ${text.trim()}`) },
      {},
    );
    const files = new DiskFiles({ log });
    const reconciler = new Reconciler({
      topology: this.topology,
      credentials,
      limits: this.#limits,
      cloud: this.#cloud(),
      engine: this.engine(),
      remote: this.#remote(),
      clock,
      log,
      files,
      stateDir,
      self,
      memory: await keptMemory(files, stateDir, clock, log),
      incidents: await readIncidents(files, join(stateDir, "incidents"), log),
      hooks: { afterStep },
    });
    this.#recoveries.push(reconciler);
    const running = reconciler.run(stop.signal);
    const ended = async () => {
      stop.abort();
      await running;
    };
    return { reconciler, signal: stop.signal, stop: ended };
  }

  /** Serves recovery's socket, as the monitor does; gives its path. */
  async serveSocket(): Promise<string> {
    const socket = join(this.folder, "run/monitor.sock");
    const { reconciler, signal } = this.#monitor;
    this.#server = await serve(socket, { reconciler, engine: this.engine(), clock: systemClock, signal });
    return socket;
  }

  /** Ends recovery and its socket in the order in which the monitor ends them. */
  async stopRecovery(): Promise<void> {
    const [running, server] = [this.#running, this.#server];
    this.#server = undefined;
    try {
      await running?.stop();
      this.#running = undefined;
    } finally {
      if (server) await stopServing(server, systemClock);
    }
  }

  get reconciler(): Reconciler {
    return this.#monitor.reconciler;
  }

  get #monitor(): Monitor {
    if (!this.#running) throw new Error("recovery does not run");
    return this.#running;
  }

  get status(): Status | undefined {
    return this.#running?.reconciler.status();
  }

  /** Waits until recovery reports the desired state. */
  untilHealthy(deadlineMs = 40_000): Promise<Status> {
    return this.until(
      "the desired state",
      () => (this.status?.healthy ? this.status : undefined),
      deadlineMs,
    );
  }

  /** Waits for a condition; the error tells what recovery saw and did last. */
  async until<T>(
    what: string,
    condition: () => T | undefined | false | Promise<T | undefined | false>,
    deadlineMs = 40_000,
  ): Promise<T> {
    const startedMs = performance.now();
    while (performance.now() - startedMs < deadlineMs) {
      const value = await condition();
      if (value) return value;
      await systemClock.sleep(10);
    }
    const status = JSON.stringify({ ...this.status, incidents: undefined });
    throw new Error(
      `not seen within ${deadlineMs} ms: ${what}\n${status}\n${this.lines.slice(-60).join("\n")}`,
    );
  }

  /** Ends everything, also when recovery has ended with an error (which is thrown afterwards). */
  async close(): Promise<void> {
    try {
      await this.stopRecovery();
      await Promise.all(this.#recoveries.map((reconciler) => reconciler.idle()));
    } finally {
      await Promise.all([...this.machines.values()].map((machine) => machine.end()));
      await this.#nameServer?.close();
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  /** The machine goes away without recovery's doing; the cloud shows it as `state`. */
  async loseMachine(name: MachineName, state: Instance["state"] = "stopped"): Promise<void> {
    const machine = this.machine(name);
    await machine.end();
    machine.state = state;
  }

  /** Starts a machine of this name at a new address, as a launch does. */
  async #launch(name: MachineName, generation: number): Promise<FakeMachine> {
    const address = addressOf(generation, numbers[name]);
    const machine = await startMachine({
      name,
      instanceId: `i-${name}-${generation}`,
      address,
      folder: join(this.folder, `${name}-${generation}`),
      dataFolder: join(this.folder, `${name}-data`),
      shards: this.shards,
      detection,
      passwords,
      resolver: `127.0.0.1:${this.#nameServer?.port}`,
    });
    this.machines.set(name, machine);
    this.#records.set(recordName(name), address);
    return machine;
  }

  #cloud(): Cloud {
    return {
      describe: async () => {
        if (this.cloudFailure) throw new Error(this.cloudFailure);
        const monit: Instance = {
          machine: "monit",
          instanceId: "i-monit",
          state: "running",
          address: "127.0.0.1",
          launchedAt: "1",
        };
        return [...[...this.machines.values()].map((machine) => machine.asInstance()), ...this.#dead, monit];
      },
      powerOff: async (instanceId) => {
        if (this.cloudFailure) throw new Error(this.cloudFailure);
        this.calls.push(`power off ${instanceId}`);
        const machine = [...this.machines.values()].find((one) => one.instanceId === instanceId);
        if (!machine || machine.state === "terminated") return;
        machine.state = "shutting-down";
        void machine.end().then(() => {
          machine.state = "terminated";
        });
      },
    };
  }

  engine(): Engine {
    return {
      topology: async () => this.topology,
      whyProgramDiffers: async () => this.programDiffers,
      taint: async (machines) => {
        this.calls.push(`taint ${machines.join(",")}`);
      },
      untaint: async (machines) => {
        this.calls.push(`untaint ${machines.join(",")}`);
      },
      updateRecords: async (machines) => {
        this.calls.push(`records of ${machines.join(",")}`);
      },
      launch: async (machines) => {
        this.calls.push(`launch ${machines.join(",")}`);
        this.#generation += 1;
        for (const machine of machines) {
          const old = this.machine(machine);
          // The data volume comes when the former machine is off.
          if (machine.startsWith("redis")) await old.end();
          await this.#launch(machine, this.#generation);
          await old.end();
          this.#dead.push({ ...old.asInstance(), state: "terminated" });
        }
        return this.topology;
      },
    };
  }

  #remote(): Remote {
    return {
      run: async (address, script, input) => {
        const machine = [...this.machines.values()].find((one) => one.address === address);
        if (!machine) throw new Error(`no machine at ${address}`);
        if (script.startsWith("cat /etc/haproxy/haproxy.cfg")) {
          return machine.comparable(await readFile(machine.configFile, "utf8"));
        }
        if (input !== undefined) await writeFile(machine.configFile, machine.own(input));
        await machine.reload();
        return "";
      },
    };
  }
}
