/**
 * The faults that a run injects, each as the lab's own requests (`scripts/lab fault --help`). Targets are chosen by
 * role at the moment of the injection: roles wander, and a fault is interesting for what it hits.
 */
import type { FaultRequest } from "../../../lab/control-plane/fault-request.ts";
import type { LabStatus } from "../../../lab/status.ts";
import {
  counterpartOf,
  proxyMachines,
  type RedisMachine,
  redisMachines,
} from "../../../recovery/topology.ts";
import type { Random } from "../../simulation/random.ts";

/** What a fault may look at to choose its targets. */
export interface Scene {
  shards: Pick<LabStatus["shards"][number], "index" | "port" | "master" | "replica">[];
  /** The proxy that app's clients go through. */
  activeProxy: string;
  random: Random;
  /** The machine that somebody asked for (`--fault vanish:redis2`). */
  wanted?: string;
}

/** A fault ready to be injected. */
export interface Injury {
  title: string;
  /** Asked of the lab, one right after the other. */
  requests: FaultRequest[];
  /** Besides: `barton-monitor` is killed this long after the injection. */
  killMonitorAfterMs?: number;
  /** What lasts is undone after this long; without it, recovery alone ends the fault. */
  lastsMs?: number;
}

export interface FaultKind {
  name: string;
  about: string;
  /** Only processes die. */
  processCrash?: true;
  /** Machines or links stall or half work: see `FaultRecord.strict`. */
  lenient?: true;
  /** See `FaultRecord.refusesMs`. */
  refusesMs?: number;
  /** How often it comes in a random sequence, compared with the others. */
  weight: number;
  /** Machines that may be asked for. */
  targets?: readonly string[];
  /** It is a fault of a master: a machine that is asked for must have one. */
  hitsMaster?: true;
  make: (scene: Scene) => Injury;
}

/** How long disturbances last that recovery does not end by itself, in milliseconds. */
const disturbanceMs = 8_000;

function masterOf(shard: Scene["shards"][number]): RedisMachine {
  if (shard.master === null) throw new Error(`shard ${shard.index} has no master`);
  return shard.master as RedisMachine;
}

/** The shards whose master is on the machine that was asked for; without one, all. */
function fittingShards({ shards, wanted }: Scene): Scene["shards"] {
  const fitting = wanted === undefined ? shards : shards.filter(({ master }) => master === wanted);
  if (fitting.length === 0) throw new Error(`${wanted} has no master`);
  return fitting;
}

/** The machine of a master: the one that was asked for, or that of the first shard's master. */
const masterMachine = (scene: Scene): RedisMachine =>
  masterOf(fittingShards(scene)[0] as Scene["shards"][number]);

/** One master process: of the machine that was asked for, or of a shard by chance. */
function masterProcess(scene: Scene): string {
  const shard = scene.random.pick(fittingShards(scene));
  return `${masterOf(shard)}:${shard.port}`;
}

const proxy = ({ wanted, random }: Scene) => wanted ?? random.pick(proxyMachines);
const machine = ({ wanted, random }: Scene) => wanted ?? random.pick([...redisMachines, ...proxyMachines]);

/** A cut between two machines: in both directions, or in one of the two. */
function cut(a: string, b: string, random: Random): Injury {
  const way = random.pick(["both", "there", "back"] as const);
  const [target, peer] = way === "back" ? [b, a] : [a, b];
  return {
    title: way === "both" ? `partition ${a} ${b}` : `partition --one-way ${target} ${peer}`,
    requests: [{ kind: "partition", target, peer, oneWay: way !== "both" }],
    lastsMs: disturbanceMs,
  };
}

const vanish = (target: string): Injury => ({
  title: `vanish ${target}`,
  requests: [{ kind: "vanish", target }],
});

/** A master machine vanishes while something else is amiss that the promotion must not need. */
function vanishWhile(scene: Scene, what: string, before: FaultRequest, lastsMs?: number): Injury {
  const target = masterMachine(scene);
  return {
    title: `${what}, then vanish ${target}`,
    requests: [before, { kind: "vanish", target }],
    ...(lastsMs === undefined ? {} : { lastsMs }),
  };
}

export const catalogue: readonly FaultKind[] = [
  {
    name: "crash",
    about: "a master's redis process is killed",
    processCrash: true,
    weight: 4,
    targets: redisMachines,
    hitsMaster: true,
    make(scene) {
      const target = masterProcess(scene);
      return { title: `crash ${target}`, requests: [{ kind: "crash", target }] };
    },
  },
  {
    name: "vanish",
    about: "a master's machine falls silent: no packet, no reset",
    weight: 4,
    targets: redisMachines,
    hitsMaster: true,
    make: (scene) => vanish(masterMachine(scene)),
  },
  {
    name: "poweroff",
    about: "a master's machine loses its power",
    weight: 3,
    targets: redisMachines,
    hitsMaster: true,
    make(scene) {
      const target = masterMachine(scene);
      return { title: `poweroff ${target}`, requests: [{ kind: "poweroff", target }] };
    },
  },
  {
    name: "hang",
    about: "a master's redis process is stopped for good: it accepts and does not answer",
    lenient: true,
    weight: 2,
    targets: redisMachines,
    hitsMaster: true,
    make(scene) {
      const target = masterProcess(scene);
      return { title: `hang ${target}`, requests: [{ kind: "hang", target }], lastsMs: 15_000 };
    },
  },
  {
    name: "pause",
    about: "a master's redis process is stopped for a second, as by a fork: nothing may come of it",
    lenient: true,
    weight: 2,
    targets: redisMachines,
    hitsMaster: true,
    make(scene) {
      const target = masterProcess(scene);
      return { title: `pause ${target}`, requests: [{ kind: "pause", target, seconds: 1 }], lastsMs: 1_000 };
    },
  },
  {
    name: "crash-replica",
    about: "a replica's redis process is killed",
    processCrash: true,
    weight: 1,
    make({ shards, random }) {
      const shard = random.pick(shards);
      const target = `${counterpartOf(masterOf(shard))}:${shard.port}`;
      return { title: `crash ${target}`, requests: [{ kind: "crash", target }] };
    },
  },
  {
    name: "vanish-replica",
    about: "the machine of the first shard's replica falls silent",
    weight: 1,
    make: ({ shards }) => vanish(counterpartOf(masterOf(shards[0] as Scene["shards"][number]))),
  },
  {
    name: "crash-haproxy",
    about: "the process of the proxy in use is killed",
    processCrash: true,
    weight: 2,
    targets: proxyMachines,
    make({ activeProxy, wanted }) {
      const target = `${wanted ?? activeProxy}:haproxy`;
      return { title: `crash ${target}`, requests: [{ kind: "crash", target }] };
    },
  },
  {
    name: "vanish-haproxy",
    about: "a proxy's machine falls silent",
    weight: 3,
    targets: proxyMachines,
    make: (scene) => vanish(proxy(scene)),
  },
  {
    name: "poweroff-haproxy",
    about: "a proxy's machine loses its power",
    weight: 2,
    targets: proxyMachines,
    make(scene) {
      const target = proxy(scene);
      return { title: `poweroff ${target}`, requests: [{ kind: "poweroff", target }] };
    },
  },
  {
    name: "hang-haproxy",
    about: "the process of the proxy in use is stopped",
    lenient: true,
    weight: 1,
    targets: proxyMachines,
    make({ activeProxy, wanted }) {
      const target = `${wanted ?? activeProxy}:haproxy`;
      return { title: `hang ${target}`, requests: [{ kind: "hang", target }], lastsMs: 15_000 };
    },
  },
  {
    name: "partition-monit",
    about: "monit and one machine no longer reach each other, in one direction or both",
    lenient: true,
    weight: 2,
    targets: [...redisMachines, ...proxyMachines],
    make: (scene) => cut("monit", machine(scene), scene.random),
  },
  {
    name: "partition-redis",
    about: "redis1 and redis2 no longer reach each other, in one direction or both",
    lenient: true,
    weight: 1,
    make: ({ random }) => cut("redis1", "redis2", random),
  },
  {
    name: "partition-proxy",
    about: "a proxy and a redis machine no longer reach each other, in one direction or both",
    lenient: true,
    weight: 1,
    targets: proxyMachines,
    make: (scene) => cut(proxy(scene), scene.random.pick(redisMachines), scene.random),
  },
  {
    name: "partition-app",
    about: "app and the proxy in use no longer reach each other, in one direction or both",
    lenient: true,
    weight: 1,
    make: ({ activeProxy, random }) => cut("app", activeProxy, random),
  },
  {
    name: "lossy",
    about: "a machine's link loses a tenth of its packets",
    lenient: true,
    weight: 1,
    targets: [...redisMachines, ...proxyMachines],
    make(scene) {
      const target = machine(scene);
      return {
        title: `lossy ${target}`,
        requests: [{ kind: "lossy", target, percent: 10 }],
        lastsMs: disturbanceMs,
      };
    },
  },
  {
    name: "disk-full",
    about: "the disk of a master's machine has no space left",
    lenient: true,
    // Redis notices with its next write to the disk, a second at most, and then answers MISCONF.
    refusesMs: 2_000,
    weight: 1,
    targets: redisMachines,
    hitsMaster: true,
    make(scene) {
      const target = masterMachine(scene);
      return {
        title: `disk-full ${target}`,
        requests: [{ kind: "disk-full", target }],
        lastsMs: disturbanceMs,
      };
    },
  },
  {
    name: "api-slow",
    about: "the cloud's API answers late, and a master's machine vanishes",
    weight: 1,
    make: (scene) =>
      vanishWhile(scene, "api slow", { kind: "api", target: "slow", lateSeconds: 5, seconds: 15 }),
  },
  {
    name: "api-failing",
    about: "the cloud's API refuses every call, and a master's machine vanishes",
    weight: 1,
    make: (scene) => vanishWhile(scene, "api failing", { kind: "api", target: "failing", seconds: 10 }),
  },
  {
    name: "api-full",
    about: "the cloud has no capacity, and a master's machine vanishes",
    weight: 1,
    make: (scene) => vanishWhile(scene, "api full", { kind: "api", target: "full", seconds: 10 }),
  },
  {
    name: "dns",
    about: "the resolver answers nobody, and a master's machine vanishes",
    weight: 1,
    make: (scene) => vanishWhile(scene, "dns", { kind: "dns" }, disturbanceMs),
  },
  {
    name: "stale-lock",
    about: "Pulumi's stack is locked by a process that is gone, and a master's machine vanishes",
    weight: 1,
    make: (scene) => vanishWhile(scene, "stale-lock", { kind: "stale-lock" }),
  },
  {
    name: "kill-monitor",
    about: "a master's machine vanishes, and the monitor is killed at a random moment of the recovery",
    weight: 2,
    make(scene) {
      const afterMs = scene.random.int(0, 4_000);
      const injury = vanish(masterMachine(scene));
      return {
        ...injury,
        title: `${injury.title}, kill the monitor ${afterMs} ms later`,
        killMonitorAfterMs: afterMs,
      };
    },
  },
  {
    name: "pair",
    about: "a master's machine and a proxy's machine fall silent at once",
    weight: 2,
    make(scene) {
      const targets = [masterMachine(scene), scene.random.pick(proxyMachines)];
      return {
        title: `vanish ${targets.join(" and ")}`,
        requests: targets.map((target) => ({ kind: "vanish", target })),
      };
    },
  },
];

/** The kind with this name, or an error that lists them. */
export function kindNamed(name: string): FaultKind {
  const kind = catalogue.find((each) => each.name === name);
  if (kind) return kind;
  throw new Error(
    `there is no fault ${JSON.stringify(name)}; there are: ${catalogue.map((each) => each.name).join(", ")}`,
  );
}
