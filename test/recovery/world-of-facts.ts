/** Facts for tests of `decide`: a healthy world, and the ways in which it can be unwell. */

import { decide, type Outcome } from "../../recovery/decide/decide.ts";
import {
  emptyMemory,
  entryOf,
  type MachineMemory,
  type Memory,
  type ShardMemory,
} from "../../recovery/decide/memory/memory.ts";
import type { Phase } from "../../recovery/decide/memory/replacement.ts";
import { holdAddress } from "../../recovery/decide/rules/proxy-changes.ts";
import {
  type CloudState,
  type Facts,
  type Look,
  type RedisInfo,
  type Silence,
  serverId,
} from "../../recovery/observe/facts.ts";
import { defaultLimits } from "../../recovery/settings.ts";
import {
  counterpartOf,
  type MachineName,
  machineNames,
  type ProxyMachine,
  proxyMachines,
  type RedisMachine,
  redisMachines,
  type Topology,
} from "../../recovery/topology.ts";

export const addresses: Record<MachineName, string> = {
  redis1: "10.42.1.11",
  redis2: "10.42.2.12",
  haproxy1: "10.42.1.21",
  haproxy2: "10.42.2.22",
  app: "10.42.1.31",
  monit: "10.42.2.41",
};

export function topologyOf(shards = 2): Topology {
  const machine = (name: MachineName) => ({
    role: name.replace(/\d$/, ""),
    instanceId: `i-${name}`,
    address: addresses[name],
    urn: `urn:${name}`,
    recordUrn: `urn:record:${name}`,
  });
  return {
    domain: "barton",
    machines: Object.fromEntries(machineNames.map((name) => [name, machine(name)])),
    shards: Array.from({ length: shards }, (_, i) => ({
      index: i + 1,
      clientPort: 7001 + i,
      proxyPort: 8001 + i,
      redisPort: 9001 + i,
    })),
    ports: { runtime: 8999, health: 8900 },
    detection: { intervalMs: 200, fastIntervalMs: 50, connectTimeoutMs: 200, failures: 3, stallMs: 4000 },
  } as Topology;
}

/** Phases of a replacement, as they are until its power-off is requested. */
export const condemnedPhase: Phase = { phase: "condemned", powerOff: "not requested" };
export const taintedPhase: Phase = { phase: "tainted", powerOff: "not requested" };

export const up: Look = { state: "up" };
export const none: Look = { state: "none" };

/** A look whose failures began `ago` milliseconds before `startMs`. */
export function down(silence: Silence, ago = 700): Look {
  return { state: "down", silence, sinceMs: startMs - ago };
}
export function failing(silence: Silence, ago = 100): Look {
  return { state: "failing", silence, sinceMs: startMs - ago };
}

export const startMs = 1_000_000;

export function masterInfo(overrides: Partial<RedisInfo> = {}): RedisInfo {
  return { runId: "run-redis1", role: "master", loading: false, offset: 1000, epoch: 1, ...overrides };
}

export function replicaInfo(of: RedisMachine, port: number, overrides: Partial<RedisInfo> = {}): RedisInfo {
  const follows = { host: addresses[of], port, linkUp: true, syncing: false };
  return {
    runId: `run-${counterpartOf(of)}`,
    role: "replica",
    loading: false,
    offset: 1000,
    epoch: 1,
    follows,
    ...overrides,
  };
}

/** Everything well: redis1 is master of every shard, both proxies registered. */
export class World {
  facts: Facts;
  memory: Memory;

  constructor(shards = 2) {
    const topology = topologyOf(shards);
    this.facts = {
      nowMs: startMs,
      wallMs: Date.parse("2026-01-01T12:00:00Z"),
      topology,
      machines: Object.fromEntries(
        machineNames.map((name) => [
          name,
          {
            instanceId: `i-${name}`,
            address: addresses[name],
            cloud: "running" as CloudState,
            knownSinceMs: 0,
            othersAlive: [],
          },
        ]),
      ) as unknown as Facts["machines"],
      servers: {},
      proxies: { haproxy1: this.#proxy(topology), haproxy2: this.#proxy(topology) },
      app: {
        look: up,
        view: {
          haproxy1: { address: addresses.haproxy1, look: up, usable: true },
          haproxy2: { address: addresses.haproxy2, look: up, usable: true },
        },
      },
    };
    for (const { index, redisPort } of topology.shards) {
      this.facts.servers[serverId("redis1", index)] = {
        looks: { haproxy1: up, haproxy2: up, monit: up },
        info: masterInfo(),
        askedMs: startMs,
      };
      this.facts.servers[serverId("redis2", index)] = {
        looks: { haproxy1: up, haproxy2: up, monit: up },
        info: replicaInfo("redis1", redisPort),
        askedMs: startMs,
      };
    }
    this.memory = structuredClone(emptyMemory);
    this.memory.sightSinceMs = 0;
    for (const { index } of topology.shards) {
      this.memory.durable.shards[index] = {
        epoch: 1,
        attempted: 0,
        master: { machine: "redis1", runId: "run-redis1", epoch: 1 },
        inSync: { master: "run-redis1", replica: "run-redis2" },
      };
    }
  }

  server(machine: RedisMachine, shard: number) {
    const found = this.facts.servers[serverId(machine, shard)];
    if (!found) throw new Error(`no server ${machine}/${shard}`);
    return found;
  }

  lines(proxy: ProxyMachine, shard: number) {
    const found = this.facts.proxies[proxy].view?.shards[shard];
    if (!found) throw new Error(`no lines of shard ${shard}`);
    return found;
  }

  /** What is remembered of the shard. */
  remembered(shard: number): ShardMemory {
    return entryOf(this.memory.durable.shards, shard, { epoch: 0, attempted: 0 });
  }

  /** What is remembered of the machine. */
  machine(name: MachineName): MachineMemory {
    return entryOf(this.memory.durable.machines, name, {});
  }

  /** Somebody orders the machine's failover. */
  order(...names: MachineName[]): this {
    for (const name of names) this.machine(name).ordered = "by hand";
    return this;
  }

  /** The machine is being replaced, because of this instance. */
  replacing(name: MachineName, phase: Phase, instanceId = `i-${name}`): this {
    this.machine(name).replacement = { instanceId, because: "test", ...phase };
    return this;
  }

  get shards(): number[] {
    return this.facts.topology.shards.map(({ index }) => index);
  }

  /** All vantage points see the server like this. */
  look(machine: RedisMachine, shard: number, look: Look): this {
    this.server(machine, shard).looks = { haproxy1: look, haproxy2: look, monit: look };
    return this;
  }

  /** The whole machine is seen like this by everybody. */
  lookAll(machine: RedisMachine, look: Look): this {
    for (const shard of this.shards) this.look(machine, shard, look);
    return this;
  }

  /** Clients see the proxy like this. */
  clientLook(proxy: ProxyMachine, look: Look): this {
    const { view } = this.facts.app;
    if (!view) throw new Error("app has no view");
    view[proxy] = { ...view[proxy], look, usable: look.state === "up" };
    return this;
  }

  /** Whether the proxy hears app: `never` if this process has not, undefined if it does not note it. */
  hearing(
    proxy: ProxyMachine,
    heard: "lately" | "before" | "never" | undefined,
    listeningMs = 600_000,
  ): this {
    const { view } = this.facts.proxies[proxy];
    if (!view) throw new Error(`${proxy} has no view`);
    const lately = heard === "never" ? {} : { [addresses.app]: heard === "lately" };
    view.hearing = heard && { lately, sinceMs: startMs - listeningMs };
    return this;
  }

  /** Nobody has ever been master: both are replicas without an epoch, nothing is registered. */
  brandNew(): this {
    this.memory = structuredClone(emptyMemory);
    this.memory.sightSinceMs = 0;
    for (const { index, redisPort } of this.facts.topology.shards) {
      for (const machine of redisMachines) {
        const follows = {
          host: `${counterpartOf(machine)}.barton`,
          port: redisPort,
          linkUp: false,
          syncing: false,
        };
        const server = this.server(machine, index);
        server.info = replicaInfo(counterpartOf(machine), redisPort, { epoch: 0, offset: 0, follows });
        server.looks = { haproxy1: none, haproxy2: none, monit: up };
      }
    }
    for (const proxy of proxyMachines) this.freshProxy(proxy);
    return this;
  }

  /** The proxy has just started from its file: everything is out. */
  freshProxy(proxy: ProxyMachine): this {
    const { view } = this.facts.proxies[proxy];
    if (!view) throw new Error(`${proxy} has no view`);
    view.registered = false;
    for (const shard of this.shards) {
      for (const machine of redisMachines) {
        view.shards[shard] = {
          ...this.lines(proxy, shard),
          [machine]: {
            traffic: { address: "127.0.0.1", port: 1, ready: false, maintenance: true },
            probe: { address: "127.0.0.1", port: 1, ready: false, maintenance: true, look: none },
          },
        };
      }
    }
    return this;
  }

  /** Time goes on; nothing else changes. */
  later(ms: number): this {
    this.facts.nowMs += ms;
    this.facts.wallMs += ms;
    return this;
  }

  /** One cycle; the memory is kept for the next. */
  decide(): Outcome {
    const outcome = decide(this.facts, this.memory, defaultLimits);
    this.memory = outcome.memory;
    return outcome;
  }

  /** The situation of one subject. */
  situation(subject: string): string | undefined {
    return this.decide().decisions.find((decision) => decision.subject === subject)?.situation;
  }

  #proxy(topology: Topology): Facts["proxies"]["haproxy1"] {
    const line = (machine: RedisMachine, port: number, ready: boolean) => ({
      address: addresses[machine],
      port,
      ready,
      maintenance: !ready,
    });
    const shards = topology.shards.map(({ index, redisPort }) => [
      index,
      {
        redis1: {
          traffic: line("redis1", redisPort, true),
          probe: { ...line("redis1", redisPort, true), look: up },
        },
        redis2: {
          traffic: line("redis2", redisPort, false),
          probe: { ...line("redis2", redisPort, true), look: up },
        },
      },
    ]);
    const hold = { ...holdAddress, ready: true, maintenance: false };
    const names = topology.shards.map(({ index }) => index);
    const hearing = { lately: { [addresses.app]: true }, sinceMs: 0 };
    const view = {
      registered: true,
      hearing,
      frontends: Object.fromEntries(
        ["health", ...names.map((i) => `shard${i}`)].map((n) => [n, "open" as const]),
      ),
      holds: Object.fromEntries(names.map((index) => [index, { ...hold }])),
      shards: Object.fromEntries(shards),
    };
    return { look: up, view };
  }
}
