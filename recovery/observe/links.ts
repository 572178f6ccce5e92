/**
 * Recovery's connections to the servers, the proxies and app, as everybody else sees them: what can be asked, told and
 * closed. The program makes real ones; the simulation brings links into its model world.
 */
import type { Clock } from "../clock.ts";
import type { Shard, Topology } from "../topology.ts";
import { AppLink } from "./app-link.ts";
import { ProxyLink } from "./proxy-link.ts";
import { type RedisCredentials, RedisLink } from "./redis-link.ts";

/** The public part of a class: whatever else has it may stand in for the class. */
type PublicPart<T> = Pick<T, keyof T>;

/** The connection to one redis server. */
export type RedisConnection = PublicPart<RedisLink>;
/** The connection to one proxy's runtime API. */
export type ProxyConnection = PublicPart<ProxyLink>;
/** The connection to the runtime API of app's local proxy. */
export type AppConnection = PublicPart<AppLink>;

/** Makes the connection to whoever is at an address; each one lasts until it is closed. */
export interface Links {
  redis(address: string, shard: Shard): RedisConnection;
  proxy(address: string): ProxyConnection;
  app(address: string): AppConnection;
}

/** A port that every machine's kernel knows about; whether open or not, an answer proves life. */
const sshPort = 22;

/** Links over TCP. */
export function tcpLinks(topology: Topology, credentials: RedisCredentials, clock: Clock): Links {
  const { ports, shards } = topology;
  const { connectTimeoutMs } = topology.detection;
  const nowMs = () => clock.now();
  return {
    redis: (address, { redisPort }) => new RedisLink(address, redisPort, credentials, connectTimeoutMs),
    proxy: (address) =>
      new ProxyLink({
        address,
        ports: [ports.runtime, ports.health, sshPort],
        shards: shards.map(({ index }) => index),
        connectTimeoutMs,
        nowMs,
      }),
    app: (address) => new AppLink({ address, ports: [ports.runtime, sshPort], connectTimeoutMs, nowMs }),
  };
}
