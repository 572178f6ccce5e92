/** One run: a world, a monitor, a schedule of faults, and how it ended. Same seed, same run. */
import { proxyMachines, redisMachines } from "../../recovery/topology.ts";
import { type Violation, whyNotWell } from "./checks.ts";
import { Clients } from "./clients.ts";
import { SimulatedCloud } from "./cloud.ts";
import { drawFaults, healAll } from "./faults.ts";
import { type Kept, Monitor } from "./monitor.ts";
import type { Mutations } from "./mutants.ts";
import { World } from "./world.ts";

export interface RunOptions {
  seed: number;
  mutations?: Mutations;
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
}

const tickMs = 50;
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
  readonly #kept: Kept = {};
  readonly #seed: number;
  monitor: Monitor | undefined;
  /** The monitor dies after so many steps; undefined: it lives on. */
  stepsToLive: number | undefined;
  #isHealed = false;
  #isWell = false;

  constructor({ seed, mutations = {}, trace }: RunOptions) {
    this.#seed = seed;
    this.world = new World({ seed, mutations, trace, shards: seed % 3 === 0 ? 2 : 1 });
    this.cloud = new SimulatedCloud(this.world);
    this.#clients = new Clients(this.world);
    this.world.clients = this.#clients;
    if (this.world.random.chance(0.95)) this.#beginServing();
  }

  async run(): Promise<RunResult> {
    const { world } = this;
    const { scheduler } = world;
    const faults = drawFaults(world.random);
    this.reviveMonitor();
    for (const { atMs, inject } of faults) scheduler.in(atMs, () => inject(this));
    scheduler.in(tickMs, () => this.#tick());
    const healMs = Math.max(...faults.map(({ atMs }) => atMs)) + world.random.int(0, 2_500);
    const isDone = () => world.checks.violation !== undefined || this.#isWell;
    await scheduler.runUntil(healMs, isDone);
    this.#isHealed = true;
    healAll(this);
    await scheduler.runUntil(healMs + recoveryMaxMs, isDone);
    this.monitor?.die();
    if (!isDone() && !world.isTotalLoss) world.checks.eventuallyWell(this.#whyNotWell());
    return {
      seed: this.#seed,
      violation: world.checks.violation,
      virtualMs: world.nowMs,
      written: this.#clients.written,
      confirmed: world.confirmed.length,
    };
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
      this.stepsToLive = undefined;
      if (this.monitor) this.monitor.isPaused = false;
    }
    if (this.monitor) return;
    const { world, cloud } = this;
    world.say(() => "the monitor starts");
    this.monitor = new Monitor({ world, cloud, kept: this.#kept, afterStep: () => this.#afterStep() });
  }

  #afterStep(): void {
    if (this.stepsToLive === undefined) return;
    this.stepsToLive -= 1;
    if (this.stepsToLive > 0) return;
    this.stepsToLive = undefined;
    this.killMonitor(this.world.random.int(100, 3_000));
  }

  /** A moment of life for everybody. */
  #tick(): void {
    const { world } = this;
    for (const { on, proxy, servers } of world.instances) {
      if (!on) continue;
      for (const server of servers) server.pump();
      proxy?.probe();
    }
    this.#clients.tick();
    this.monitor?.tick();
    world.checks.tick(this.#isMonitored());
    this.#isWell = this.#isHealed && (world.isTotalLoss || this.#whyNotWell() === undefined);
    world.scheduler.in(tickMs, () => this.#tick());
  }

  #whyNotWell(): string | undefined {
    const why = this.monitor?.isSettled ? undefined : `the monitor says: ${this.monitor?.sentence}`;
    return why ?? whyNotWell(this.world);
  }

  /** Does nothing but the cloud stand in the way of a promotion? */
  #isMonitored(): boolean {
    const { world, monitor } = this;
    if (!monitor || monitor.isPaused || monitor.isBlind || world.hasOrders) return false;
    if (world.blocked.size > 0 || world.probeLoss > 0) return false;
    return proxyMachines.every((name) => {
      const { proxy, vanished } = world.current(name);
      return proxy?.serves && proxy.registered && !vanished;
    });
  }

  /** The desired state, as it was before the simulation began. */
  #beginServing(): void {
    const { world } = this;
    for (const shard of world.shards) {
      const machine = world.random.pick(redisMachines);
      const other = redisMachines.find((name) => name !== machine) ?? "redis2";
      const master = world.current(machine).servers[shard - 1];
      const replica = world.current(other).servers[shard - 1];
      if (!master || !replica) continue;
      master.loading = false;
      master.promote();
      master.setEpoch(1);
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
