/**
 * `barton:redisOptions`: the settings of redis that may be changed, by redis's own names. Everything else is fixed by
 * roles/redis/redis.conf, because recovery relies on it.
 *
 * They are part of the machine's configuration: a change reaches each redis machine with `barton roll`, as a change of `shards` does.
 */
import { z } from "zod";

const wholeNumber = (min: number, max = 2 ** 31 - 1) =>
  z.int(`a whole number from ${min} to ${max}`).min(min, `${min} or more`).max(max, `${max} or less`);
const yesNo = z.enum(["yes", "no"], '"yes" or "no"');

const units: Record<string, number> = {
  "": 1,
  k: 1000,
  kb: 1024,
  m: 1000 ** 2,
  mb: 1024 ** 2,
  g: 1000 ** 3,
  gb: 1024 ** 3,
};

/** Bytes of a size as redis writes it ("512mb"); undefined if it is none. */
function bytesOf(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^(\d+)([kmg]b?)?$/i.exec(text) ?? [];
  return digits ? Number(digits) * (units[unit.toLowerCase()] ?? Number.NaN) : undefined;
}

const size = (smallest: string, largest: string) => {
  const inBounds = (text: string) => {
    const bytes = bytesOf(text) ?? -1;
    return bytes >= (bytesOf(smallest) ?? 0) && bytes <= (bytesOf(largest) ?? 0);
  };
  return z.string("a size like 512mb").refine(inBounds, `a size like 512mb, from ${smallest} to ${largest}`);
};

/** Evicting from all keys could evict recovery's own (docs/decisions/006). */
const evictionPolicies = [
  "noeviction",
  "volatile-lru",
  "volatile-lfu",
  "volatile-random",
  "volatile-ttl",
] as const;

export const redisOptions = z.strictObject({
  /** Of one server, in place of what the machine computes from its memory. */
  maxmemory: size("16mb", "1024gb").optional(),
  "maxmemory-policy": z
    .enum(evictionPolicies, `${evictionPolicies.join(", ")} (allkeys-… would evict recovery's own keys)`)
    .optional(),
  "maxmemory-samples": wholeNumber(1, 64).optional(),
  "lfu-log-factor": wholeNumber(0).optional(),
  "lfu-decay-time": wholeNumber(0).optional(),
  "notify-keyspace-events": z
    .string()
    .regex(/^[KEg$lshzxetdmnA]*$/, "letters of redis's keyspace events, for example Ex")
    .optional(),
  /** Seconds after which an idle client is disconnected; 0: never. */
  timeout: wholeNumber(0).optional(),
  "proto-max-bulk-len": size("1mb", "512mb").optional(),
  "slowlog-log-slower-than": wholeNumber(-1).optional(),
  "slowlog-max-len": wholeNumber(0, 100_000).optional(),
  "latency-monitor-threshold": wholeNumber(0).optional(),
  /** `always` confirms a write only when it is on disk, and costs throughput. */
  appendfsync: z.enum(["everysec", "always"], '"everysec" or "always"').optional(),
  "auto-aof-rewrite-percentage": wholeNumber(10, 1000).optional(),
  "auto-aof-rewrite-min-size": size("1mb", "64gb").optional(),
  "hash-max-listpack-entries": wholeNumber(0).optional(),
  "hash-max-listpack-value": wholeNumber(0).optional(),
  "list-max-listpack-size": wholeNumber(-5, 65_536).optional(),
  "set-max-intset-entries": wholeNumber(0).optional(),
  "zset-max-listpack-entries": wholeNumber(0).optional(),
  "zset-max-listpack-value": wholeNumber(0).optional(),
  "stream-node-max-bytes": wholeNumber(0).optional(),
  "stream-node-max-entries": wholeNumber(0).optional(),
  "lazyfree-lazy-eviction": yesNo.optional(),
  "lazyfree-lazy-expire": yesNo.optional(),
  "lazyfree-lazy-user-del": yesNo.optional(),
  "lazyfree-lazy-user-flush": yesNo.optional(),
});

export type RedisOptions = z.output<typeof redisOptions>;

/** The options as lines of redis.conf, in the order in which they are declared. */
export function redisOptionLines(options: RedisOptions): string[] {
  return Object.keys(redisOptions.shape).flatMap((name) => {
    const value = options[name as keyof RedisOptions];
    return value === undefined ? [] : [`${name} ${value === "" ? '""' : value}`];
  });
}
