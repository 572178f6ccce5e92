/** One run: a world, a monitor, a schedule of faults, and how it ended. Same seed, same run. */
import { counterpartOf, proxyMachines, type RedisMachine, redisMachines } from "../../recovery/topology.ts";
import { type Violation, whyNotWell } from "./checks.ts";
import { Clients } from "./clients.ts";
import { SimulatedCloud } from "./cloud.ts";
import { Disk } from "./disk.ts";
import { drawSchedule } from "./faults/draw.ts";
import type { Schedule } from "./faults/fault.ts";
import { healAll, inject } from "./faults/inject.ts";
import { Life } from "./life.ts";
import { Monitor, pauseOnDisk } from "./monitor.ts";
import type { Mutations } from "./mutants.ts";
import { type Instance, World } from "./world.ts";

export interface RunOptions {
  seed: number;
  mutations?: Mutations;
  /** Instead of the seed's own schedule. */
  schedule?: Schedule;
  /** Who is master of each shard in the beginning, instead of what the seed draws. */
  masters?: RedisMachine[];
  /** Gets the trace, line by line. */
  trace?: (line: string) => void;
}

export interface RunResult {
  seed: number;
  violation?: Violation;
  /** Virtual milliseconds until all was well. */
  virtualMs: number;
  written: number;
  confirmed: number;
  /** It was not asked to recover: the only data of the present term were destroyed by faults. */
  isTotalLoss: boolean;
}

/** A moment is so long, at least and at most. */
const tickMs = [40, 60] as const;
/** After the end of all faults, virtual milliseconds until all must be well. */
const recoveryMaxMs = 90_000;

/** Runs the schedule of this seed. */
export function run(options: RunOptions): Promise<RunResult> {
  return new Simulation(options).run();
}

export class Simulation {
  readonly world: World;
  readonly cloud: SimulatedCloud;
  readonly #clients: Clients;
  /** What outlives the monitor's process, by its machine. */
  readonly #disks = new Map<Instance, Disk>();
  /** The monitor of an older machine, which lives on. */
  #elder: Monitor | undefined;
  readonly #options: RunOptions;
  monitor: Monitor | undefined;
  /** The monitor dies after so many steps; undefined: it lives on. */
  dying: { afterSteps: number; forMs: number } | undefined;
  #isHealed = false;
  #isWell = false;

  constructor(options: RunOptions) {
    const { seed, mutations = {}, masters, trace } = options;
    this.#options = options;
    const shards = masters?.length ?? (seed % 3 === 0 ? 2 : 1);
    this.world = new World({ seed, mutations, trace, shards });
    this.cloud = new SimulatedCloud(this.world);
    this.#clients = new Clients(this.world);
    this.world.clients = this.#clients;
  }

  async run(): Promise<RunResult> {
    const { world } = this;
    try {
      await this.#live();
    } catch (error) {
      // A finding like any other: the run of many goes on, and its seed is told.
      world.checks.neverThrows("the model", error);
    }
    this.monitor?.die();
    this.#elder?.die();
    return {
      seed: this.#options.seed,
      violation: world.checks.violation,
      virtualMs: world.nowMs,
      written: this.#clients.written,
      confirmed: world.confirmed.length,
      isTotalLoss: world.isTotalLoss,
    };
  }

  /** All of the schedule, and what comes after it until all is well. */
  async #live(): Promise<void> {
    const { world } = this;
    const { scheduler } = world;
    const { schedule } = this.#options;
    if (schedule || world.random.chance(0.95)) this.#beginServing();
    const { faults, endMs } = schedule ?? drawSchedule(world.random, world.shards.length);
    this.reviveMonitor();
    for (const { atMs, fault } of faults) scheduler.in(atMs, () => inject(this, fault));
    scheduler.in(0, () => this.#tick());
    const isDone = () => world.checks.violation !== undefined || this.#isWell;
    await scheduler.runUntil(endMs, isDone);
    this.#isHealed = true;
    healAll(this);
    await scheduler.runUntil(endMs + recoveryMaxMs, isDone);
    if (!isDone() && !world.isTotalLoss) world.checks.eventuallyWell(this.#whyNotWell());
  }

  /** The monitor's process dies; another one starts after `forMs`. */
  killMonitor(forMs: number): void {
    if (!this.monitor) return;
    this.world.say(() => `FAULT: the monitor is killed for ${forMs} ms`);
    this.monitor.die();
    this.monitor = undefined;
    this.world.scheduler.in(forMs, () => this.reviveMonitor());
  }

  /** Starts a monitor if there is none. */
  reviveMonitor(): void {
    if (this.#isHealed) {
      this.dying = undefined;
      this.monitor?.goOn();
    }
    if (this.monitor) return;
    const { world, cloud } = this;
    const instance = world.current("monit");
    if (!instance.on) return;
    world.say(() => "the monitor starts");
    const afterStep = () => this.#afterStep();
    this.monitor = new Monitor({ world, cloud, disk: this.diskOf(instance), instance, afterStep });
  }

  /** Monit's machine is lost, and its group launches another one. */
  loseMonit(forMs: number): void {
    const { world } = this;
    this.monitor?.die();
    this.monitor = undefined;
    world.checks.memoryLost();
    world.terminate(world.current("monit"), "fault", 20);
    world.scheduler.in(forMs, () => this.#launchMonit());
  }

  /** The group launches another monit, while the first one is lost to the cloud alone. */
  startSecond(forMs: number): void {
    const { world, monitor } = this;
    if (!monitor || this.#elder) return;
    this.#elder = monitor;
    this.monitor = undefined;
    world.checks.memoryLost();
    this.#launchMonit();
    world.scheduler.in(forMs, () => this.#endElder());
  }

  /** Ends what goes on by itself about the monitors. */
  endAll(): void {
    const { world } = this;
    this.monitor?.endPause();
    for (const disk of this.#disks.values()) disk.isFull = false;
    this.#endElder();
    if (!world.current("monit").on) this.#launchMonit();
  }

  #endElder(): void {
    const elder = this.#elder;
    this.#elder = undefined;
    if (!elder) return;
    elder.die();
    this.world.terminate(elder.instance, "fault", 20);
  }

  #launchMonit(): void {
    const { world } = this;
    if (world.current("monit").on && !this.#elder) return;
    const instance = world.create("monit");
    world.boot(instance);
    world.say(() => `the group launches ${instance.id}`);
    this.reviveMonitor();
  }

  diskOf(instance: Instance): Disk {
    const disk = this.#disks.get(instance) ?? new Disk(this.world);
    this.#disks.set(instance, disk);
    return disk;
  }

  /** A person pauses recovery. */
  pause(forMs: number): void {
    const { world } = this;
    if (this.monitor) this.monitor.pause(forMs);
    else pauseOnDisk(this.diskOf(world.current("monit")), new Life(world.scheduler), forMs);
  }

  #afterStep(): void {
    if (!this.dying) return;
    this.dying.afterSteps -= 1;
    if (this.dying.afterSteps > 0) return;
    const { forMs } = this.dying;
    this.dying = undefined;
    this.killMonitor(forMs);
  }

  /** A moment of life for everybody. */
  #tick(): void {
    const { world } = this;
    const { random, scheduler } = world;
    // Nobody promises that things happen in any order within a moment.
    const first = random.int(0, world.instances.length - 1);
    const isClientsFirst = random.chance(0.5);
    if (isClientsFirst) this.#clients.tick();
    for (let i = 0; i < world.instances.length; i += 1) {
      const { on, proxy, servers } = world.instances[(first + i) % world.instances.length] as Instance;
      if (!on) continue;
      for (const server of servers) server.pump();
      proxy?.probe();
    }
    if (!isClientsFirst) this.#clients.tick();
    world.checks.tick(this.#isMonitored());
    this.#isWell = this.#isHealed && (world.isTotalLoss || this.#whyNotWell() === undefined);
    scheduler.in(random.int(...tickMs), () => this.#tick());
  }

  #whyNotWell(): string | undefined {
    const why = this.monitor?.isSettled ? undefined : `the monitor says: ${this.monitor?.sentence}`;
    return why ?? whyNotWell(this.world);
  }

  /** Does nothing but the cloud stand in the way of a promotion? */
  #isMonitored(): boolean {
    const { world, monitor } = this;
    if (
      this.#elder ||
      !monitor ||
      monitor.isStopped ||
      monitor.isPaused ||
      monitor.isBlind ||
      world.hasOrders
    )
      return false;
    if (world.blocked.size > 0 || world.probeLoss > 0 || world.lagMs.size > 0) return false;
    const isRefused = redisMachines.some((name) =>
      world.current(name).servers.some(({ refuses, isDiskFull }) => refuses !== undefined || isDiskFull),
    );
    if (isRefused) return false;
    return proxyMachines.every((name) => {
      const { proxy, vanished } = world.current(name);
      return proxy?.serves && proxy.registered && proxy.closed.size === 0 && !vanished;
    });
  }

  /** The desired state, as it was before the simulation began. */
  #beginServing(): void {
    const { world } = this;
    const { masters } = this.#options;
    for (const shard of world.shards) {
      const machine = masters?.[shard - 1] ?? world.random.pick(redisMachines);
      const other = counterpartOf(machine);
      const master = world.current(machine).servers[shard - 1];
      const replica = world.current(other).servers[shard - 1];
      if (!master || !replica) continue;
      master.loading = false;
      master.promote();
      master.raiseEpoch(1);
      replica.beginAsReplicaOf(master);
      replica.data.epoch = 1;
      for (const name of proxyMachines) {
        const { proxy } = world.current(name);
        for (const one of redisMachines) {
          const address = `${world.current(one).address} port ${world.redisPort(shard)}`;
          proxy?.command(`set server probe${shard}/${one} addr ${address}`);
          proxy?.command(`set server probe${shard}/${one} state ready`);
          proxy?.command(`set server shard${shard}/${one} addr ${address}`);
        }
        proxy?.command(`set server shard${shard}/${machine} state ready`);
        proxy?.command("set server registered/self state ready");
      }
    }
  }
}
