/** What the steps of acting are tested in: time that passes only by waiting, and a proxy and redis servers that note what they are told. */
import type { World } from "../../../recovery/act/world.ts";
import type { Session } from "../../../recovery/observe/proxy-stat.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { addresses, World as FactsWorld, topologyOf } from "../world-of-facts.ts";

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
      facts: () => ({
        machines: { redis1: { address: addresses.redis1 }, redis2: { address: addresses.redis2 } },
        proxies: {},
      }),
    },
    remember: (event: unknown) => void this.remembered.push(event),
  } as unknown as World;

  #note(who: string, what: string): void {
    this.told.push(`${this.nowMs} ${who}: ${what}`);
  }

  #proxy(name: string) {
    return {
      tell: async (commands: string[]) => {
        for (const command of commands) this.#note(name, command);
      },
      generation: () => this.generation,
      nextGeneration: async (shard: number) => this.#note(name, `next generation of shard ${shard}`),
      sessions: async () => (this.listings.length > 1 ? this.listings.shift() : this.listings[0]),
      cut: async (sessions: Session[]) => this.#note(name, `cut ${sessions.map(({ id }) => id)}`),
      ask: async () => ({ view: this.facts.facts.proxies.haproxy1.view }),
    };
  }

  #redis(machine: RedisMachine) {
    return {
      run: async (commands: string[][]) => {
        const told = commands.map((words) =>
          words.map((word) => (word.includes("\n") ? "(script)" : word)).join(" "),
        );
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
