/** Random schedules: which faults come when. */
import { type MachineName, machineNames, proxyMachines, redisMachines } from "../../../recovery/topology.ts";
import type { Random } from "../random.ts";
import type { Fault, Planned, RedisTarget, Schedule, Target } from "./fault.ts";

type Draw = (random: Random, shards: number) => Fault;

const redisTargets = ["the master", "the master", "the master", "the replica", "redis1", "redis2"] as const;
const silences = ["failing", "hanging"] as const;

/** Faults with the weights of their drawing. */
const draws: [weight: number, draw: Draw][] = [
  [6, (random, shards) => crash(random, redisTarget(random), shardOrAll(random, shards))],
  [3, (random) => crash(random, random.pick(proxyMachines))],
  [4, (random, shards) => hang(random, redisTarget(random), shardOrAll(random, shards))],
  [2, (random) => hang(random, random.pick(proxyMachines))],
  [6, (random) => vanish(random, redisTarget(random))],
  [3, (random) => vanish(random, random.pick(proxyMachines))],
  [3, (random) => powerOff(random, redisTarget(random))],
  [2, (random) => powerOff(random, random.pick(proxyMachines))],
  [3, (random) => ({ fault: "terminate", machine: redisTarget(random) })],
  [2, (random) => ({ fault: "terminate", machine: random.pick(proxyMachines) })],
  [4, cutPair],
  [2, cutWhereItHurts],
  [2, isolate],
  [2, (random) => ({ fault: "cloud", mood: random.pick(silences), forMs: random.int(500, 8_000) })],
  [1, (random) => ({ fault: "late cloud", lagMs: random.int(200, 3_000) })],
  [3, (random) => ({ fault: "engine", mood: random.pick(silences), forMs: random.int(500, 8_000) })],
  [1, (random) => ({ fault: "no capacity", forMs: random.int(500, 8_000) })],
  [1, (random) => ({ fault: "no names", forMs: random.int(500, 8_000) })],
  [4, (random) => ({ fault: "kill the monitor", forMs: random.int(100, 4_000) })],
  [4, killAfterStep],
  [1, (random) => ({ fault: "stop the monitor", forMs: random.int(1_000, 4_000) })],
  [
    1,
    (random) => ({ fault: "lose probes", share: random.pick([0.1, 0.3]), forMs: random.int(1_000, 4_000) }),
  ],
  [
    1,
    (random) => ({
      fault: "slow replication",
      machine: redisTarget(random),
      forMs: random.int(1_000, 5_000),
    }),
  ],
  [1, (random) => ({ fault: "clock jump", minutes: random.pick([-60, 60]) })],
  [2, (random) => ({ fault: "order failover", machine: random.pick([...redisMachines, ...proxyMachines]) })],
  [1, (random, shards) => ({ fault: "order switchover", shard: random.int(1, shards), to: "the replica" })],
  [1, (random) => ({ fault: "pause recovery", forMs: random.int(500, 5_000) })],
  [1, (random) => ({ fault: "engine", mood: "locked", forMs: random.int(500, 8_000) })],
  [1, (random) => ({ fault: "other program", forMs: random.int(500, 8_000) })],
  [2, loseMemory],
  [1, loseMonit],
  [1, secondMonitor],
  [1, (random) => ({ fault: "monit's disk is full", forMs: random.int(500, 6_000) })],
  [2, (random, shards) => ({ fault: "backlog overflow", shard: random.int(1, shards) })],
  [
    1,
    (random) => ({
      fault: "redis disk is full",
      machine: redisTarget(random),
      forMs: random.int(500, 6_000),
    }),
  ],
  [2, refuse],
  [2, hangInBatch],
  [2, latePackets],
  [2, lateConnections],
  [1, shutFrontend],
];

/**
 * Faults under which the simulation still finds broken rules (docs/bugs-found.md, "Open"). `./scripts/test` does not draw them
 * until that is mended; `scripts/simulate --open` does.
 */
const openFaults: Draw[] = [loseMemory, loseMonit, secondMonitor, latePackets, hangInBatch];
const provenDraws = draws.filter(([, draw]) => !openFaults.includes(draw));

/** What a careless person does, at most one thing in a schedule: two of them could undo the rules by themselves. */
const carelessness: Draw[] = [
  (random, shards) => ({
    fault: "REPLICAOF by hand",
    machine: redisTarget(random),
    shard: random.int(1, shards),
    master: random.pick(["nobody", "the counterpart", "a stranger"] as const),
  }),
  (random, shards) => ({
    fault: "proxy changed by hand",
    proxy: random.pick(proxyMachines),
    shard: random.int(1, shards),
    machine: random.pick(["the master", "the replica"] as const),
    state: random.pick(["ready", "drain", "maint"] as const),
  }),
  (random) => ({ fault: "proxy unregistered by hand", proxy: random.pick(proxyMachines) }),
];

/** Draws a schedule: mostly one to five faults of any kind, sometimes a scenario of its own. */
export function drawSchedule(random: Random, shards: number): Schedule {
  const scenario = random.next();
  if (scenario < 0.05) return cloudIsDead(random);
  if (scenario < 0.07) return cursedMachine(random);
  if (scenario < 0.1) return returningMaster(random);
  const faults = Array.from({ length: random.int(1, 5) }, () => at(random, drawOne(random, shards)));
  const [first] = faults;
  if (first && scenario < 0.2) faults.push(twinOf(random, first));
  if (scenario > 0.95) faults.push(at(random, random.pick(carelessness)(random, shards)));
  const lastMs = Math.max(...faults.map(({ atMs }) => atMs));
  return { faults, endMs: lastMs + random.int(0, 2_500) };
}

const at = (random: Random, fault: Fault): Planned => ({ atMs: random.int(2_500, 7_000), fault });

function drawOne(random: Random, shards: number): Fault {
  const drawn = process.env.BARTON_SIMULATION_OPEN === "1" ? draws : provenDraws;
  let at = random.next() * drawn.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, draw] of drawn) {
    at -= weight;
    if (at < 0) return draw(random, shards);
  }
  return crash(random, "the master");
}

/** The same once more: at the same moment at the machine's counterpart, or a little later at the same target. */
function twinOf(random: Random, { atMs, fault }: Planned): Planned {
  const isAtOnce = random.chance(0.5);
  if (!isAtOnce || !("machine" in fault)) return { atMs: atMs + random.int(300, 4_000), fault };
  const others: Partial<Record<Target, Target>> = {
    redis1: "redis2",
    redis2: "redis1",
    haproxy1: "haproxy2",
    haproxy2: "haproxy1",
    "the master": "the replica",
    "the replica": "the master",
  };
  const machine = others[fault.machine] ?? fault.machine;
  return { atMs: atMs + random.int(0, 50), fault: { ...fault, machine } as Fault };
}

/** Rule 9's scenario: the cloud and the engine are away, and then a master is lost. */
function cloudIsDead(random: Random): Schedule {
  const mood = random.pick(silences);
  const lose: Fault = random.chance(0.5)
    ? crash(random, "the master")
    : { fault: "vanish", machine: "the master", forMs: 60_000 };
  const faults: Planned[] = [
    { atMs: 100, fault: { fault: "cloud", mood, forMs: 60_000 } },
    { atMs: 100, fault: { fault: "engine", mood, forMs: 60_000 } },
    { atMs: random.int(4_000, 5_000), fault: lose },
  ];
  return { faults, endMs: 9_500 + random.int(0, 2_500) };
}

/** Rule 1's scenario: a master that was cut off, and not powered off, is back when its successor's process has just restarted. */
function returningMaster(random: Random): Schedule {
  const lostMs = random.int(500, 3_000);
  const lose: Fault = { fault: "vanish", machine: "the master", forMs: lostMs };
  const restart: Fault = { fault: "crash", machine: "the master", forMs: random.int(20, 300) };
  const faults: Planned[] = [
    { atMs: 2_900, fault: { fault: "cloud", mood: "failing", forMs: 60_000 } },
    { atMs: 2_900, fault: { fault: "engine", mood: "failing", forMs: 60_000 } },
    { atMs: 3_000, fault: lose },
    { atMs: 3_000 + lostMs - random.int(0, 400), fault: restart },
  ];
  return { faults, endMs: 5_000 + lostMs };
}

/** Rule 8's scenario: whenever a machine has come back, it fails again. */
function cursedMachine(random: Random): Schedule {
  const machine = random.pick([...redisMachines, ...proxyMachines]);
  const times = [3_000, 9_000, 15_000, 21_000, 27_000, 33_000];
  const faults = times.map((atMs): Planned => ({ atMs, fault: { fault: "terminate", machine } }));
  return { faults, endMs: 33_000 + random.int(0, 2_500) };
}

function crash(random: Random, machine: Target, shard?: number): Fault {
  return { fault: "crash", machine, shard, forMs: random.chance(0.2) ? undefined : random.int(50, 3_500) };
}

function hang(random: Random, machine: Target, shard?: number): Fault {
  return { fault: "hang", machine, shard, forMs: random.int(200, 5_000) };
}

function vanish(random: Random, machine: Target): Fault {
  return { fault: "vanish", machine, forMs: random.int(300, 7_000) };
}

/** It comes back by itself, or stays off. */
function powerOff(random: Random, machine: Target): Fault {
  return { fault: "power off", machine, forMs: random.chance(0.5) ? random.int(300, 4_000) : undefined };
}

function cutPair(random: Random): Fault {
  const from = random.pick(machineNames);
  const to = random.pick(machineNames.filter((name) => name !== from));
  return cut(random, from, [to]);
}

/** Between the two redis machines, or between monit and one proxy. */
function cutWhereItHurts(random: Random): Fault {
  return random.chance(0.5)
    ? cut(random, "redis1", ["redis2"])
    : cut(random, "monit", [random.pick(proxyMachines)]);
}

function cut(random: Random, from: MachineName, to: MachineName[]): Fault {
  const direction = random.pick(["both", "there", "both"] as const);
  return { fault: "cut", from, to, direction, forMs: random.int(200, 6_000) };
}

function isolate(random: Random): Fault {
  const from = random.pick(machineNames);
  const to = machineNames.filter((name) => name !== from && random.chance(0.8));
  return { fault: "cut", from, to, direction: "both", forMs: random.int(300, 6_000) };
}

function killAfterStep(random: Random): Fault {
  return { fault: "kill the monitor", forMs: random.int(100, 3_000), afterSteps: random.int(1, 8) };
}

function loseMemory(random: Random): Fault {
  const how = random.pick(["gone", "cut off", "other values"] as const);
  return { fault: "lose the memory", how, forMs: random.int(100, 3_000) };
}

function loseMonit(random: Random): Fault {
  return { fault: "lose monit", forMs: random.int(500, 4_000) };
}

function secondMonitor(random: Random): Fault {
  return { fault: "second monitor", forMs: random.int(1_000, 6_000) };
}

function hangInBatch(random: Random): Fault {
  return { fault: "hang in a batch", machine: anyTarget(random), forMs: random.int(200, 4_000) };
}

function refuse(random: Random): Fault {
  const why = random.pick(["BUSY", "max number of clients"] as const);
  return { fault: "refuses recovery", machine: redisTarget(random), why, forMs: random.int(200, 5_000) };
}

function latePackets(random: Random): Fault {
  const machine = random.pick(["monit", "monit", ...proxyMachines, ...redisMachines] as const);
  const upToMs = random.pick([20, 80, 200, 400]);
  return { fault: "late packets", machine, upToMs, forMs: random.int(500, 5_000) };
}

function lateConnections(random: Random): Fault {
  const share = random.pick([0.05, 0.3]);
  return { fault: "late connections", share, upToMs: 90, forMs: random.int(1_000, 6_000) };
}

function shutFrontend(random: Random): Fault {
  const state = random.pick(["paused", "shut"] as const);
  const shard = random.chance(0.5) ? 1 : undefined;
  return { fault: "frontend shut", proxy: random.pick(proxyMachines), shard, state };
}

const anyTarget = (random: Random): Target =>
  random.chance(0.6) ? redisTarget(random) : random.pick(proxyMachines);

/** Mostly the machine of the first shard's master: that is where it hurts. */
const redisTarget = (random: Random): RedisTarget => random.pick(redisTargets);
const shardOrAll = (random: Random, shards: number) =>
  random.chance(0.5) ? undefined : random.int(1, shards);
