/** What the steps of acting are tested in: time that passes only by waiting, and a proxy and redis servers that note what they are told. */
import type { World } from "../../../recovery/act/world.ts";
import type { Instance } from "../../../recovery/cloud/cloud.ts";
import type { Session } from "../../../recovery/observe/proxy-stat.ts";
import { shortly } from "../../../recovery/observe/redis-link.ts";
import type { ProxyMachine, RedisMachine, Topology } from "../../../recovery/topology.ts";
import { addresses, World as FactsWorld, masterInfo, topologyOf } from "../world-of-facts.ts";

export class FakeWorld {
  nowMs = 0;
  /** What was told, in order: `haproxy1: …` and `redis1: …`, each with the time. */
  readonly told: string[] = [];
  readonly remembered: unknown[] = [];
  /** The sessions of each listing; the last one is repeated. */
  listings: Session[][] = [[]];
  /** Of the proxies' lines; a proxy of an older build has none. */
  generation: string | undefined;
  /** What redis answers to a command. */
  replies: Record<string, unknown> = {};
  /** What redis answers to recovery's question for its state. */
  answers: Record<RedisMachine, unknown> = {
    redis1: { info: masterInfo() },
    redis2: { info: masterInfo() },
  };
  /** What a proxy's runtime API fails with. */
  proxyFaults: Partial<Record<ProxyMachine, string>> = {};
  /** The processes that answer for a proxy, one after the other; the last one is repeated. "" is silence. */
  processes: string[] = ["100"];
  /** haproxy.cfg of each proxy, as `cat` shows it. */
  files: Record<ProxyMachine, string> = { haproxy1: "the file\n", haproxy2: "the file\n" };
  /** What the engine says, and what EC2 lists. */
  whyProgramDiffers: string | undefined;
  built: () => Promise<Topology | undefined> = async () => undefined;
  instances: Instance[] = [];
  /** Warnings and notes in recovery's log. */
  readonly logged: unknown[][] = [];
  readonly facts = new FactsWorld();
  readonly #topology = topologyOf(1);

  readonly world = {
    topology: this.#topology,
    clock: {
      now: () => this.nowMs,
      sleep: async (ms: number, signal?: AbortSignal) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (!signal?.aborted) this.nowMs += ms;
      },
    },
    board: {
      proxy: (name: string) => this.#proxy(name),
      redis: (machine: RedisMachine) => this.#redis(machine),
      facts: () => this.facts.facts,
      refresh: async (shards: number[], ms: number) =>
        this.#note("board", `look again at [${shards}], ${ms} ms`),
      learn: (_: Topology, machines: string[]) => this.#note("board", `learn ${machines}`),
    },
    engine: {
      topology: () => this.built(),
      whyProgramDiffers: async () => {
        this.#note("engine", "compare the program");
        return this.whyProgramDiffers;
      },
      taint: async (machines: string[]) => this.#note("engine", `taint ${machines}`),
      untaint: async (machines: string[]) => this.#note("engine", `untaint ${machines}`),
      launch: async (machines: string[]) => {
        this.#note("engine", `launch ${machines}`);
        return this.built();
      },
      updateRecords: async (machines: string[]) => this.#note("engine", `update the records of ${machines}`),
    },
    cloud: {
      describe: async () => this.instances,
      powerOff: async (id: string) => this.#note("EC2", `power off ${id}`),
    },
    remote: {
      run: async (address: string, script: string, input?: string) => {
        const name = address === addresses.haproxy1 ? "haproxy1" : "haproxy2";
        this.#note(`${name}'s shell`, input === undefined ? script : `${script} <<< ${input}`);
        return this.files[name];
      },
    },
    log: {
      info: (...words: unknown[]) => void this.logged.push(words),
      warn: (...words: unknown[]) => void this.logged.push(words),
      error: (...words: unknown[]) => void this.logged.push(words),
    },
    remember: (event: unknown) => void this.remembered.push(event),
  } as unknown as World;

  #note(who: string, what: string): void {
    this.told.push(`${this.nowMs} ${who}: ${what}`);
  }

  #proxy(name: string) {
    return {
      tell: async (commands: string[]) => {
        const fault = this.proxyFaults[name as ProxyMachine];
        if (fault) throw new Error(fault);
        for (const command of commands) this.#note(name, command);
      },
      generation: () => this.generation,
      nextGeneration: async (shard: number) => this.#note(name, `next generation of shard ${shard}`),
      sessions: async () => (this.listings.length > 1 ? this.listings.shift() : this.listings[0]),
      cut: async (sessions: Session[]) => this.#note(name, `cut ${sessions.map(({ id }) => id)}`),
      cutAll: async (server: string) => this.#note(name, `cut all of ${server}`),
      ask: async () => ({ view: this.facts.facts.proxies.haproxy1.view }),
      processId: async () => {
        const [first = "", ...rest] = this.processes;
        if (rest.length > 0) this.processes = rest;
        if (first === "") throw new Error("no answer");
        return first;
      },
      drop: () => this.#note(name, "reconnect"),
    };
  }

  #redis(machine: RedisMachine) {
    return {
      ask: async () => this.answers[machine],
      run: async (commands: string[][]) => {
        const told = commands.map(shortly);
        for (const command of told) this.#note(machine, command);
        return told.map((command) => this.replies[command] ?? "OK");
      },
    };
  }
}

/** A session of shard 1 with this machine's server. */
export const session = (id: string, server: RedisMachine, established = true): Session => ({
  id,
  backend: "shard1",
  server,
  established,
});
