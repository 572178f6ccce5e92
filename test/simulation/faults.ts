/** The faults of design section 7, as a seeded schedule, and their end. */
import { type MachineName, machineNames, proxyMachines, redisMachines } from "../../recovery/topology.ts";
import type { HaProxy } from "./proxy.ts";
import type { Random } from "./random.ts";
import type { RedisServer } from "./redis-server.ts";
import type { Simulation } from "./simulation.ts";
import { type Instance, isOneOf, type World } from "./world.ts";

export interface Fault {
  atMs: number;
  inject: (simulation: Simulation) => void;
}

type Kind = (simulation: Simulation) => void;

/** Faults with the weights of their drawing. */
const kinds: [weight: number, kind: Kind][] = [
  [6, crashRedis],
  [4, hangRedis],
  [6, (simulation) => vanish(simulation, redisMachineOf(simulation))],
  [3, (simulation) => stop(simulation, redisMachineOf(simulation))],
  [3, (simulation) => terminate(simulation, redisMachineOf(simulation))],
  [3, crashProxy],
  [2, hangProxy],
  [3, (simulation) => vanish(simulation, simulation.world.random.pick(proxyMachines))],
  [2, (simulation) => stop(simulation, simulation.world.random.pick(proxyMachines))],
  [2, (simulation) => terminate(simulation, simulation.world.random.pick(proxyMachines))],
  [6, cutPair],
  [2, isolate],
  [3, troubleCloud],
  [3, troubleEngine],
  [1, breakDns],
  [4, killMonitor],
  [4, killMonitorAfterStep],
  [1, pauseMonitor],
  [1, jumpWallClock],
  [2, orderFailover],
  [1, loseProbes],
  [1, slowReplication],
];
const weights = kinds.reduce((sum, [weight]) => sum + weight, 0);

/** Draws a schedule: mostly one to five faults of any kind, sometimes a scenario of its own. */
export function drawFaults(random: Random): Fault[] {
  const scenario = random.next();
  if (scenario < 0.06) return cloudIsDead(random);
  if (scenario < 0.09) return cursedMachine(random);
  const count = random.int(1, 5);
  const faults = Array.from({ length: count }, () => ({
    atMs: random.int(2_500, 7_000),
    inject: draw(random),
  }));
  return faults.sort((a, b) => a.atMs - b.atMs);
}

/** Ends everything that goes on by itself: links, stopped processes and machines, the cloud's moods. */
export function healAll(simulation: Simulation): void {
  const { world, cloud } = simulation;
  world.say(() => "HEALED: all faults are over");
  world.blocked.clear();
  world.slow.clear();
  world.isDnsDown = false;
  world.cloudLagMs = 0;
  world.probeLoss = 0;
  Object.assign(cloud.mood, { api: "well", engine: "well" });
  for (const instance of world.instances) {
    instance.vanished = false;
    if (instance.shown !== instance.state) instance.shown = instance.state;
    if (instance.state === "stopped" && instance === world.current(instance.machine)) world.boot(instance);
    for (const process of processesOf(instance)) {
      process.hung = false;
      process.start();
    }
  }
  // The hour of the budget passes.
  world.scheduler.wallOffsetMs += 7_200_000;
  simulation.reviveMonitor();
}

function draw(random: Random): Kind {
  let at = random.next() * weights;
  for (const [weight, kind] of kinds) {
    at -= weight;
    if (at < 0) return kind;
  }
  return crashRedis;
}

/** Rule 9's scenario: the cloud and the engine are away, and then a master is lost. */
function cloudIsDead(random: Random): Fault[] {
  const mood = random.chance(0.5) ? "failing" : "hanging";
  const lose: Kind = random.pick([
    crashRedis,
    (simulation) => vanish(simulation, redisMachineOf(simulation), 60_000),
  ]);
  return [
    { atMs: 100, inject: ({ cloud }) => Object.assign(cloud.mood, { api: mood, engine: mood }) },
    { atMs: random.int(4_000, 5_000), inject: lose },
    { atMs: 9_500, inject: () => {} },
  ];
}

/** Rule 8's scenario: whenever a machine has come back, it fails again. */
function cursedMachine(random: Random): Fault[] {
  const machine = random.pick([...redisMachines, ...proxyMachines]);
  const times = [3_000, 9_000, 15_000, 21_000, 27_000, 33_000];
  return times.map((atMs) => ({ atMs, inject: (simulation) => terminate(simulation, machine) }));
}

function crashRedis(simulation: Simulation): void {
  const { world } = simulation;
  const { random } = world;
  const { servers } = world.current(redisMachineOf(simulation));
  const chosen = random.chance(0.5) ? servers : [random.pick(servers)];
  const restartMs = random.chance(0.2) ? undefined : random.int(100, 3_500);
  for (const server of chosen) crash(world, server, restartMs);
}

function crashProxy({ world }: Simulation): void {
  const { proxy } = world.current(world.random.pick(proxyMachines));
  if (proxy) crash(world, proxy, world.random.chance(0.2) ? undefined : world.random.int(50, 2_000));
}

function crash(world: World, process: RedisServer | HaProxy, restartMs: number | undefined): void {
  if (!process.running) return;
  world.say(() => `FAULT: a process on ${process.instance.id} crashes, back ${inText(restartMs)}`);
  process.crash();
  if (restartMs !== undefined) world.scheduler.in(restartMs, () => process.start());
}

function hangRedis(simulation: Simulation): void {
  const { world } = simulation;
  const { servers } = world.current(redisMachineOf(simulation));
  hang(world, world.random.chance(0.3) ? servers : [world.random.pick(servers)]);
}

function hangProxy({ world }: Simulation): void {
  const { proxy } = world.current(world.random.pick(proxyMachines));
  if (proxy) hang(world, [proxy]);
}

function hang(world: World, processes: (RedisServer | HaProxy)[]): void {
  const forMs = world.random.int(200, 5_000);
  for (const process of processes) {
    world.say(() => `FAULT: a process on ${process.instance.id} hangs for ${forMs} ms`);
    process.hung = true;
    world.scheduler.in(forMs, () => {
      process.hung = false;
    });
  }
}

function vanish({ world }: Simulation, machine: MachineName, longestMs = 7_000): void {
  const instance = world.current(machine);
  const forMs = world.random.int(Math.min(300, longestMs), longestMs);
  world.say(() => `FAULT: ${instance.id} vanishes for ${forMs} ms`);
  instance.vanished = true;
  world.scheduler.in(forMs, () => {
    world.say(() => `${instance.id} is back on the network`);
    instance.vanished = false;
  });
}

function stop({ world }: Simulation, machine: MachineName): void {
  const instance = world.current(machine);
  if (!instance.on) return;
  world.say(() => `FAULT: ${instance.id} is switched off`);
  world.cutPower(instance, "stopped");
}

function terminate({ world }: Simulation, machine: MachineName): void {
  const instance = world.current(machine);
  if (instance.state === "terminated" || instance.state === "shutting-down") return;
  world.say(() => `FAULT: ${instance.id} is terminated`);
  world.terminate(instance, "fault", world.random.int(2, 600));
}

function cutPair({ world }: Simulation): void {
  const { random } = world;
  const a = random.pick(machineNames);
  const b = random.pick(machineNames.filter((name) => name !== a));
  const direction = random.pick(["both", "there", "both"] as const);
  const forMs = random.int(200, 6_000);
  world.say(() => `FAULT: ${a} and ${b} are cut off from each other (${direction}) for ${forMs} ms`);
  const ends = [cut(world, a, b), direction === "both" ? cut(world, b, a) : () => {}];
  world.scheduler.in(forMs, () => {
    for (const end of ends) end();
  });
}

function isolate({ world }: Simulation): void {
  const machine = world.random.pick(machineNames);
  const forMs = world.random.int(300, 6_000);
  world.say(() => `FAULT: ${machine} is cut off from most others for ${forMs} ms`);
  const others = machineNames.filter((name) => name !== machine && world.random.chance(0.8));
  const ends = others.flatMap((other) => [cut(world, machine, other), cut(world, other, machine)]);
  world.scheduler.in(forMs, () => {
    for (const end of ends) end();
  });
}

function cut(world: World, from: MachineName, to: MachineName): () => void {
  const pair = `${world.current(from).id}>${world.current(to).id}`;
  world.blocked.add(pair);
  return () => world.blocked.delete(pair);
}

function troubleCloud({ world, cloud }: Simulation): void {
  const { random } = world;
  const forMs = random.int(500, 8_000);
  if (random.chance(0.4)) {
    world.cloudLagMs = random.int(200, 3_000);
    world.say(() => `FAULT: the cloud's view is ${world.cloudLagMs} ms late`);
    return;
  }
  cloud.mood.api = random.pick(["failing", "hanging"]);
  world.say(() => `FAULT: the cloud's API is ${cloud.mood.api} for ${forMs} ms`);
  world.scheduler.in(forMs, () => {
    cloud.mood.api = "well";
  });
}

function troubleEngine({ world, cloud }: Simulation): void {
  const forMs = world.random.int(500, 8_000);
  cloud.mood.engine = world.random.pick(["failing", "hanging"]);
  world.say(() => `FAULT: the engine is ${cloud.mood.engine} for ${forMs} ms`);
  world.scheduler.in(forMs, () => {
    cloud.mood.engine = "well";
  });
}

function breakDns({ world }: Simulation): void {
  world.say(() => "FAULT: no name can be resolved");
  world.isDnsDown = true;
  world.scheduler.in(world.random.int(500, 8_000), () => {
    world.isDnsDown = false;
  });
}

function killMonitor(simulation: Simulation): void {
  simulation.killMonitor(simulation.world.random.int(100, 4_000));
}

function killMonitorAfterStep(simulation: Simulation): void {
  simulation.stepsToLive = simulation.world.random.int(1, 8);
}

function pauseMonitor(simulation: Simulation): void {
  const { world, monitor } = simulation;
  const forMs = world.random.int(1_000, 4_000);
  world.say(() => `FAULT: the monitor is stopped for ${forMs} ms`);
  if (monitor) monitor.isPaused = true;
  world.scheduler.in(forMs, () => monitor?.resume());
}

function jumpWallClock({ world }: Simulation): void {
  const jumpMs = world.random.pick([-3_600_000, 3_600_000]);
  world.say(() => `FAULT: the wall clock jumps by ${jumpMs / 60_000} minutes`);
  world.scheduler.wallOffsetMs += jumpMs;
}

function orderFailover({ world, monitor }: Simulation): void {
  const machine = world.random.pick([...redisMachines, ...proxyMachines]);
  world.say(() => `a person orders the failover of ${machine}`);
  world.hasOrders = true;
  monitor?.order(machine);
}

function loseProbes({ world }: Simulation): void {
  world.probeLoss = world.random.pick([0.1, 0.3]);
  world.say(() => `FAULT: ${world.probeLoss * 100} % of the monitor's probes are lost`);
  world.scheduler.in(world.random.int(1_000, 4_000), () => {
    world.probeLoss = 0;
  });
}

function slowReplication({ world }: Simulation): void {
  const { id } = world.current(world.random.pick(redisMachines));
  world.say(() => `FAULT: ${id} receives its replication slowly`);
  world.slow.add(id);
  world.scheduler.in(world.random.int(1_000, 5_000), () => world.slow.delete(id));
}

/** Mostly the machine of the first shard's master: that is where it hurts. */
function redisMachineOf({ world }: Simulation): (typeof redisMachines)[number] {
  const master = world.checks.promotedOf(1)?.instance.machine;
  if (master && isOneOf(redisMachines, master) && world.random.chance(0.6)) return master;
  return world.random.pick(redisMachines);
}

const processesOf = ({ servers, proxy }: Instance) => (proxy ? [...servers, proxy] : servers);
const inText = (ms: number | undefined) => (ms === undefined ? "when all is healed" : `in ${ms} ms`);
