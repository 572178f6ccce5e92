/**
 * The topology: what the program (`infra/`) built, as recovery sees it.
 *
 * The program exports it as the stack output `topology`. Recovery validates it when it reads it, so a mismatch between the two is
 * one clear error and never an `undefined` in the middle of a failover.
 */
import { z } from "zod";

/** The names of the machines that can be masters or replicas; every server's counterpart is on the other one. */
export const redisMachines = ["redis1", "redis2"] as const;
/** The names of the identical TCP proxies. */
export const proxyMachines = ["haproxy1", "haproxy2"] as const;
/** All six machines, in the order in which people read them. */
export const machineNames = [...redisMachines, ...proxyMachines, "app", "monit"] as const;
/** The machines that recovery replaces; monit, on which it runs, is its auto scaling group's. */
export const replaceableMachines = [...redisMachines, ...proxyMachines, "app"] as const;

export type RedisMachine = (typeof redisMachines)[number];
export type ProxyMachine = (typeof proxyMachines)[number];
export type ReplaceableMachine = (typeof replaceableMachines)[number];
export type MachineName = (typeof machineNames)[number];

/** One port index: clients use `clientPort` on app, the proxies listen on `proxyPort`, redis on `redisPort`. */
export const shardSchema = z.object({
  index: z.int().positive(),
  clientPort: z.int(),
  proxyPort: z.int(),
  redisPort: z.int(),
});
export type Shard = z.infer<typeof shardSchema>;

/** How failures are noticed. All durations are milliseconds. */
export const detectionSchema = z.object({
  /** Between two probes of a healthy server. */
  intervalMs: z.int().positive(),
  /** Between two probes of a server that has just failed one. */
  fastIntervalMs: z.int().positive(),
  /** How long a connection attempt may take. */
  connectTimeoutMs: z.int().positive(),
  /** Outages in a row before a verdict, as in the original. */
  failures: z.int().positive(),
  /** How long a server that accepts but does not answer is left alone (fork, long script, swap). */
  stallMs: z.int().positive(),
});
export type Detection = z.infer<typeof detectionSchema>;

export const machineSchema = z.object({
  role: z.enum(["redis", "haproxy", "app", "monit"]),
  instanceId: z.string(),
  /** Private IPv4 address at the time of the last `up`; the cloud's tags tell a newer one. */
  address: z.string(),
  /** URN of the instance: what is tainted. Of monit's, its auto scaling group. */
  urn: z.string(),
  /** URN of the machine's DNS record: updated together with the instance. */
  recordUrn: z.string(),
  /** URN of the attachment of a redis machine's data volume: replaced with the instance. */
  attachmentUrn: z.string().optional(),
  /** What the running instance was made from (image, configuration, type, disk); missing on one of an older program. */
  build: z.string().optional(),
  /** What the last `up` would make it from: `barton roll` replaces the machines where this is another one. */
  wantedBuild: z.string().optional(),
});
export type Machine = z.infer<typeof machineSchema>;

export const topologySchema = z.object({
  domain: z.string(),
  machines: z.record(z.enum(machineNames), machineSchema),
  shards: z.array(shardSchema).min(1),
  /** Port of the proxies' runtime API (open to monit alone) and of their registration health page. */
  ports: z.object({ runtime: z.int(), health: z.int() }),
  detection: detectionSchema,
});
export type Topology = z.infer<typeof topologySchema>;

/** The other machine of a pair. */
export function counterpartOf(machine: RedisMachine): RedisMachine;
export function counterpartOf(machine: ProxyMachine): ProxyMachine;
export function counterpartOf(machine: RedisMachine | ProxyMachine): RedisMachine | ProxyMachine {
  return { redis1: "redis2", redis2: "redis1", haproxy1: "haproxy2", haproxy2: "haproxy1" }[machine] as
    | RedisMachine
    | ProxyMachine;
}
