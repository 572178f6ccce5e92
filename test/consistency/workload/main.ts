/** The workload's process, inside app's network: see `WorkloadSpec` for what it is told. */
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { Client } from "./client.ts";
import { clean, readBack, type WrittenShard } from "./read-back.ts";
import { Recorder } from "./recorder.ts";
import { clientSpecs, type Order, type Told, tickMs, type WorkloadSpec } from "./spec.ts";

const tell = (told: Told) => void process.stdout.write(`${JSON.stringify(told)}\n`);

class Load {
  readonly #spec: WorkloadSpec;
  readonly #recorder: Recorder;
  readonly #clients: { name: string; shard: number; client: Client; ended: Promise<void> }[];
  readonly #ticking: NodeJS.Timeout;

  constructor(spec: WorkloadSpec) {
    this.#spec = spec;
    this.#recorder = new Recorder(spec.historyFile);
    this.#clients = spec.shards.flatMap(({ index }) => clientSpecs.map((each) => this.#start(each, index)));
    this.#ticking = setInterval(() => tell({ tick: this.#recorder.tick(this.#waiting()) }), tickMs);
  }

  get operations(): number {
    return this.#recorder.operations;
  }

  #endpoint(shard: number) {
    const { host, username, password, shards } = this.#spec;
    return { host, port: shards.find(({ index }) => index === shard)?.port ?? 0, username, password };
  }

  #start(spec: (typeof clientSpecs)[number], shard: number) {
    const { prefix, rate, waitMs } = this.#spec;
    const client = new Client({
      ...{ spec, shard, prefix, rate, waitMs },
      endpoint: this.#endpoint(shard),
      record: (operation) => this.#recorder.record(operation),
    });
    return { name: spec.name, shard, client, ended: client.run() };
  }

  /** How long somebody has been waiting, per shard. */
  #waiting(): Record<string, number> {
    return Object.fromEntries(
      this.#spec.shards.map(({ index }) => {
        const own = this.#clients.filter(({ shard }) => shard === index);
        return [index, Math.max(...own.map(({ client }) => client.waitingMs))];
      }),
    );
  }

  async stop(): Promise<void> {
    for (const { client } of this.#clients) client.stop();
    await Promise.all(this.#clients.map(({ ended }) => ended));
    clearInterval(this.#ticking);
    await this.#recorder.close();
  }

  #written(): WrittenShard[] {
    return this.#spec.shards.map(({ index }) => ({
      shard: index,
      endpoint: this.#endpoint(index),
      prefix: this.#spec.prefix,
      counts: this.#clients
        .filter(
          ({ name, shard }) =>
            shard === index && clientSpecs.some((each) => each.name === name && each.action === "set"),
        )
        .map(({ name, client }) => ({ name, count: client.count })),
    }));
  }

  async readBack(): Promise<void> {
    const file = createWriteStream(this.#spec.finalsFile, { mode: 0o600 });
    for (const written of this.#written()) {
      for await (const line of readBack(written)) file.write(`${JSON.stringify(line)}\n`);
    }
    await new Promise<void>((resolve) => file.end(resolve));
  }

  async clean(): Promise<void> {
    for (const written of this.#written()) await clean(written);
  }
}

// Whoever started this is gone, or has all it wants; also while something is under way.
process.stdin.on("end", () => process.exit(0));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const first = await lines.next();
if (first.done) throw new Error("the workload expects its specification on standard input");
const load = new Load(JSON.parse(first.value) as WorkloadSpec);
const deeds: Record<Order, () => Promise<void>> = {
  stop: () => load.stop(),
  "read back": () => load.readBack(),
  clean: () => load.clean(),
};
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const order = line.value as Order;
  try {
    await deeds[order]();
    tell({ done: order, operations: load.operations });
  } catch (error) {
    tell({ trouble: `${order}: ${(error as Error).message}` });
  }
}
