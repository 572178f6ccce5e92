/** The model of the cloud's API and of Pulumi: late, slow, failing, and interrupted when the monitor dies. */
import type { Cloud, Instance as Listed } from "../../recovery/cloud/cloud.ts";
import type { Engine } from "../../recovery/cloud/engine.ts";
import {
  type MachineName,
  machineNames,
  type RedisMachine,
  redisMachines,
  type Topology,
} from "../../recovery/topology.ts";
import type { Life } from "./life.ts";
import { type Instance, isOneOf, type World } from "./world.ts";

/** How the cloud and the engine are now. */
export interface CloudMood {
  api: "well" | "failing" | "hanging";
  engine: "well" | "failing" | "hanging" | "locked";
  /** No machine is to be had. */
  isFull: boolean;
  /** Why the program on monit is not that of the last `up`. */
  differs?: string;
}

/** Pulumi's state: which instance is which machine, and which are tainted. It outlives the monitor. */
export class StackState {
  readonly instances = new Map<MachineName, Instance>();
  readonly tainted = new Set<MachineName>();
}

export class SimulatedCloud {
  readonly mood: CloudMood = { api: "well", engine: "well", isFull: false };
  readonly state = new StackState();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    for (const machine of machineNames) this.state.instances.set(machine, world.current(machine));
  }

  /** The cloud's API as a living process uses it. */
  api(life: Life): Cloud {
    return {
      describe: async () => {
        await this.#reach(life, "api", 5, 60);
        return this.#world.instances.flatMap((instance) => listed(instance));
      },
      powerOff: async (instanceId) => {
        const instance = this.#world.instances.find(({ id }) => id === instanceId);
        if (!instance) throw new Error(`${instanceId} does not exist`);
        this.#takeAwayCheck(instance);
        const request = { isCarriedOut: false };
        this.#carryOutFor(life, request, instance);
        await this.#reach(life, "api", 5, 60);
        request.isCarriedOut = true;
        this.#takeAway(instance);
      },
    };
  }

  /** The engine as a living process uses it: what is under way when that process dies stays half done. */
  engine(life: Life): Engine {
    return {
      topology: async () => this.built(),
      whyProgramDiffers: async () => {
        await this.#reach(life, "engine", 20, 400, false);
        return this.mood.differs;
      },
      taint: async (machines) => {
        await this.#reach(life, "engine", 20, 300);
        for (const machine of machines) this.state.tainted.add(machine);
      },
      untaint: async (machines) => {
        await this.#reach(life, "engine", 20, 300);
        for (const machine of machines) this.state.tainted.delete(machine);
      },
      updateRecords: async () => {
        await this.#reach(life, "engine", 50, 300);
        this.state.instances.set("monit", this.#world.current("monit"));
      },
      launch: async (machines) => {
        const replaced = machines.filter((machine) => this.state.tainted.has(machine));
        for (const machine of replaced) this.#takeAwayCheck(this.#world.current(machine));
        await this.#reach(life, "engine", 50, 300);
        for (const machine of replaced) await this.#replace(life, machine);
        for (const machine of machines)
          if (isOneOf(redisMachines, machine)) await this.#attachVolume(life, machine);
        for (const machine of machines) this.#world.checks.launched(machine);
        return this.built();
      },
    };
  }

  async #replace(life: Life, machine: MachineName): Promise<void> {
    const world = this.#world;
    if (this.mood.isFull) throw new Error("InsufficientInstanceCapacity");
    const old = this.state.instances.get(machine);
    const created = world.create(machine);
    created.shown = world.cloudLagMs === 0 ? "pending" : undefined;
    if (created.proxy && world.random.chance(0.1)) created.proxy.configuration = "an older configuration";
    world.say(() => `the cloud launches ${created.id} at ${created.address}`);
    const bootMs = world.random.int(200, 1_200);
    world.scheduler.in(bootMs, () => world.boot(created));
    await this.#reach(life, "api", bootMs, bootMs + 300);
    this.state.instances.set(machine, created);
    this.state.tainted.delete(machine);
    await this.#reach(life, "api", 5, 100);
    world.records.set(`${machine}.barton`, created.address);
    if (old) this.#takeAway(old);
    await this.#reach(life, "api", 5, 800);
  }

  /** The data volume goes to the machine's present instance, once the one that has it is off. */
  async #attachVolume(life: Life, machine: RedisMachine): Promise<void> {
    const world = this.#world;
    const instance = this.state.instances.get(machine);
    const holder = world.volumes.get(machine);
    if (!instance || !holder || holder === instance) return;
    this.#takeAway(holder);
    while (holder.on) await this.#reach(life, "api", 20, 100);
    await this.#reach(life, "api", 5, 100);
    world.say(() => `the volume of ${holder.id} is attached to ${instance.id}`);
    world.moveVolume(machine, instance);
  }

  /** A request that is on its way when its caller dies takes effect all the same, or not. */
  #carryOutFor(life: Life, request: { isCarriedOut: boolean }, instance: Instance): void {
    const { scheduler, random } = this.#world;
    const arrives = random.chance(0.5);
    scheduler.in(random.int(5, 60), () => {
      if (arrives && life.ended && !request.isCarriedOut && this.mood.api === "well")
        this.#takeAway(instance);
    });
  }

  #takeAwayCheck(instance: Instance): void {
    if (instance.state === "running" || instance.state === "stopped") this.#world.checks.takingAway(instance);
  }

  #takeAway(instance: Instance): void {
    if (instance.state === "terminated" || instance.state === "shutting-down") return;
    this.#world.say(() => `the cloud terminates ${instance.id}`);
    this.#world.terminate(instance, "recovery", this.#world.random.int(50, 1_500));
  }

  /** One call: its time, and its failure. Whoever has died never learns how it ended. */
  #reach(life: Life, what: "api" | "engine", minMs: number, maxMs: number, needsLock = true): Promise<void> {
    const { scheduler, random } = this.#world;
    return new Promise((resolve, reject) => {
      const end = () => {
        if (life.ended) return;
        const mood = this.mood[what];
        if (mood === "hanging") {
          scheduler.in(250, end);
          return;
        }
        const isRefused = mood === "failing" || (mood === "locked" && needsLock);
        life.reach(isRefused ? () => reject(new Error(`the ${what} fails`)) : resolve);
      };
      scheduler.in(random.int(minMs, maxMs), end);
    });
  }

  /** What the last `up` has built. */
  built(): Topology {
    const { topology } = this.#world;
    const machines = { ...topology.machines };
    for (const machine of machineNames) {
      const instance = this.state.instances.get(machine);
      if (!instance) continue;
      machines[machine] = { ...machines[machine], instanceId: instance.id, address: instance.address };
    }
    return { ...topology, machines };
  }
}

function listed({ machine, id, shown, address, launchedAt }: Instance): Listed[] {
  if (!shown) return [];
  const isGone = shown === "terminated";
  return [{ machine, instanceId: id, state: shown, launchedAt, address: isGone ? undefined : address }];
}
