/** After the load: what there is of it, read through the same way as the clients; and its removal. */
import type { FinalLine } from "../history.ts";
import { connectLasting, type Endpoint } from "./connections.ts";

/** How many keys are asked for at once. */
const chunk = 500;

export interface WrittenShard {
  shard: number;
  endpoint: Endpoint;
  prefix: string;
  /** Keys that were attempted, without the prefix: for each name how many. */
  counts: { name: string; count: number }[];
}

function* chunksOf({ counts }: WrittenShard): Generator<string[]> {
  for (const { name, count } of counts) {
    for (let from = 1; from <= count; from += chunk) {
      const length = Math.min(chunk, count - from + 1);
      yield Array.from({ length }, (_, i) => `${name}:${from + i}`);
    }
  }
}

const asNumber = (text: string | null | undefined) => (text == null ? null : Number(text));

/** Reads a shard's final state, in pieces. */
export async function* readBack(written: WrittenShard): AsyncGenerator<FinalLine> {
  const { shard, endpoint, prefix } = written;
  const { redis } = connectLasting(endpoint);
  try {
    for (const keys of chunksOf(written)) {
      const values = await redis.mget(keys.map((key) => `${prefix}${key}`));
      yield { shard, keys, values: values.map(asNumber) };
    }
    const members = (await redis.smembers(`${prefix}set`)).map(Number);
    const [counter, register] = await redis.mget(`${prefix}counter`, `${prefix}register`);
    yield { shard, members, counter: asNumber(counter), register: asNumber(register) };
  } finally {
    redis.disconnect();
  }
}

/** Removes everything that the run wrote into a shard. */
export async function clean(written: WrittenShard): Promise<void> {
  const { endpoint, prefix } = written;
  const { redis } = connectLasting(endpoint);
  try {
    for (const keys of chunksOf(written)) await redis.unlink(keys.map((key) => `${prefix}${key}`));
    await redis.unlink(`${prefix}set`, `${prefix}counter`, `${prefix}register`);
  } finally {
    redis.disconnect();
  }
}
