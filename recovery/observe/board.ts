/**
 * The board has all watchers, each in its own loop, and gives a snapshot of what they know (`facts`).
 * When a machine gets a new address because it was replaced, the board makes new watchers for that address.
 */
import type { Clock } from "../clock.ts";
import type { Cloud, Instance } from "../cloud/cloud.ts";
import {
  type MachineName,
  type ProxyMachine,
  proxyMachines,
  type RedisMachine,
  redisMachines,
  type Shard,
  type Topology,
} from "../topology.ts";
import type { AppAnswer } from "./app-link.ts";
import { CloudWatcher } from "./cloud-watcher.ts";
import { type AppFacts, type Facts, noLook, type ProxyFacts, type ServerFacts, serverId } from "./facts.ts";
import {
  type AppConnection,
  type Links,
  type ProxyConnection,
  type RedisConnection,
  tcpLinks,
} from "./links.ts";
import { type Machines, machinesOf, succeededBy, withCloudView } from "./machines.ts";
import type { Pace } from "./pace.ts";
import type { ProxyAnswer } from "./proxy-link.ts";
import type { RedisAnswer, RedisCredentials } from "./redis-link.ts";
import { type Watched, Watcher } from "./watcher.ts";

export interface BoardOptions {
  topology: Topology;
  credentials: RedisCredentials;
  cloud: Cloud;
  clock: Clock;
  /** Instead of links over TCP. */
  links?: Links;
  /** This monitor's id; see decide/rules/one-monitor.ts. */
  self?: string;
  /** Called after each probe of any watcher, and when the cloud's view has changed. */
  onLook: () => void;
  /** Called when the cloud has news about the machines, for the cache on disk. */
  onMachines?: (machines: Machines) => void;
  /** Machines as they were last known, if newer than the topology. */
  machines?: Machines;
}

interface Party<Link, Answer> {
  address: string;
  link: Link;
  watcher: Watcher<Answer>;
}

export class Board {
  readonly #options: BoardOptions;
  readonly #links: Links;
  readonly #servers = new Map<string, Party<RedisConnection, RedisAnswer>>();
  readonly #proxies = new Map<ProxyMachine, Party<ProxyConnection, ProxyAnswer>>();
  readonly #apps = new Map<"app", Party<AppConnection, AppAnswer>>();
  readonly #cloud: CloudWatcher;
  #machines: Machines;
  #pace: Pace = "calm";

  constructor(options: BoardOptions) {
    const { topology, credentials, clock } = options;
    this.#options = options;
    this.#links = options.links ?? tcpLinks(topology, credentials, clock);
    this.#machines = options.machines ?? machinesOf(topology, clock.now());
    this.#cloud = new CloudWatcher({
      cloud: options.cloud,
      clock,
      onView: (instances) => this.#takeCloudView(instances),
    });
  }

  start(): void {
    this.#retarget();
    this.#cloud.start();
  }

  stop(): void {
    this.#cloud.stop();
    for (const watcher of this.#watchers()) watcher.stop();
  }

  /** Sets how often to probe servers and proxies (faster while in doubt), and to ask the cloud (faster while not settled). */
  setPace(pace: Pace, cloudPace: Pace): void {
    this.#pace = pace;
    this.#cloud.setPace(cloudPace);
  }

  /** Why the cloud's view is out of date, or undefined. */
  get cloudTrouble(): string | undefined {
    return this.#cloud.trouble;
  }

  /** The connection to a redis server, for acting; undefined while its machine has no address. */
  redis(machine: RedisMachine, shard: number): RedisConnection | undefined {
    return this.#servers.get(serverId(machine, shard))?.link;
  }

  /** The connection to a proxy's runtime API, for acting. */
  proxy(machine: ProxyMachine): ProxyConnection | undefined {
    return this.#proxies.get(machine)?.link;
  }

  /** Snapshot of everything that is known now. */
  facts(): Facts {
    const { clock, topology, self } = this.#options;
    return {
      nowMs: clock.now(),
      wallMs: clock.date().getTime(),
      topology,
      self,
      machines: this.#machines,
      servers: this.#serverFacts(),
      proxies: { haproxy1: this.#proxyFacts("haproxy1"), haproxy2: this.#proxyFacts("haproxy2") },
      app: this.#appFacts(),
    };
  }

  /** Takes in the instances that an `up` has just built. The cloud's own view may be late, or its API may fail. */
  learn(topology: Topology, machines: MachineName[]): void {
    for (const machine of machines) {
      const { instanceId, address } = topology.machines[machine];
      const before = this.#machines[machine];
      if (before.instanceId === instanceId) continue;
      const news = succeededBy(before, { instanceId, address }, this.#options.clock.now());
      this.#machines = { ...this.#machines, [machine]: news };
    }
    this.#retarget();
  }

  /** Probes app, the proxies and the servers of these shards again (rule 7), for at most `timeoutMs`. */
  async refresh(shards: number[], timeoutMs: number): Promise<void> {
    const ids = shards.flatMap((shard) => redisMachines.map((machine) => serverId(machine, shard)));
    const parties = [
      ...this.#apps.values(),
      ...this.#proxies.values(),
      ...ids.flatMap((id) => this.#servers.get(id) ?? []),
    ];
    await Promise.all(parties.map(({ watcher }) => watcher.refresh(timeoutMs)));
  }

  /** Forgets all rows of failures, because recovery itself was not running. */
  forgive(): void {
    for (const watcher of this.#watchers()) watcher.forgive();
  }

  #watchers() {
    const parties = [...this.#servers.values(), ...this.#proxies.values(), ...this.#apps.values()];
    return parties.map(({ watcher }) => watcher);
  }

  #serverFacts(): Facts["servers"] {
    const facts: Facts["servers"] = {};
    for (const machine of redisMachines) {
      for (const { index } of this.#options.topology.shards) {
        facts[serverId(machine, index)] = this.#oneServer(machine, index);
      }
    }
    return facts;
  }

  #oneServer(machine: RedisMachine, shard: number): ServerFacts {
    const id = serverId(machine, shard);
    const party = this.#servers.get(id);
    const answer = party?.watcher.latest?.value;
    const refusal = answer && "refusal" in answer ? answer.refusal : undefined;
    return {
      looks: {
        haproxy1: this.#lookThrough("haproxy1", machine, shard),
        haproxy2: this.#lookThrough("haproxy2", machine, shard),
        monit: party?.watcher.look ?? noLook,
      },
      info: answer && "info" in answer ? answer.info : undefined,
      askedMs: party?.watcher.latest?.askedMs,
      refusal,
    };
  }

  /** A proxy's probe counts only while the proxy answers, and probes the address that the machine has now. */
  #lookThrough(proxy: ProxyMachine, machine: RedisMachine, shard: number) {
    const { look, view } = this.#proxyFacts(proxy);
    const probe = view?.shards[shard]?.[machine].probe;
    if (look.state !== "up" || !probe?.ready || probe.address !== this.#machines[machine].address)
      return noLook;
    return probe.look;
  }

  #proxyFacts(machine: ProxyMachine): ProxyFacts {
    const party = this.#proxies.get(machine);
    const answer = party?.watcher.latest?.value;
    const view = answer && "view" in answer ? answer.view : undefined;
    return {
      look: party?.watcher.look ?? noLook,
      view,
      refusal: answer && "refusal" in answer ? answer.refusal : undefined,
    };
  }

  #appFacts(): AppFacts {
    const party = this.#apps.get("app");
    const answer = party?.watcher.latest?.value;
    return {
      look: party?.watcher.look ?? noLook,
      view: answer && "view" in answer ? answer.view : undefined,
      unusedSinceMs: answer && "view" in answer ? answer.unusedSinceMs : undefined,
      inTouchSinceMs: answer && "view" in answer ? answer.inTouchSinceMs : undefined,
    };
  }

  #takeCloudView(instances: Instance[]): void {
    const before = JSON.stringify(this.#machines);
    this.#machines = withCloudView(this.#machines, instances, this.#options.clock.now());
    if (JSON.stringify(this.#machines) === before) return;
    this.#retarget();
    this.#options.onMachines?.(this.#machines);
    this.#options.onLook();
  }

  /** Makes a watcher for every address that has none, and stops the watchers of former addresses. */
  #retarget(): void {
    for (const machine of redisMachines) {
      for (const shard of this.#options.topology.shards) {
        const id = serverId(machine, shard.index);
        this.#aim(this.#servers, id, machine, (address) => this.#redisLink(address, shard));
      }
    }
    for (const machine of proxyMachines) {
      this.#aim(this.#proxies, machine, machine, (address) => this.#links.proxy(address));
    }
    this.#aim(this.#apps, "app", "app", (address) => this.#links.app(address));
  }

  #aim<Key extends string, Link, Answer>(
    parties: Map<Key, Party<Link, Answer>>,
    key: Key,
    machine: MachineName,
    make: (address: string) => Link & Watched<Answer>,
  ): void {
    const { address } = this.#machines[machine];
    const present = parties.get(key);
    if (!address || present?.address === address) return;
    present?.watcher.stop();
    const link = make(address);
    const watcher = this.#watch<Answer>(link);
    parties.set(key, { address, link, watcher });
  }

  #watch<Answer>(watched: Watched<Answer>): Watcher<Answer> {
    const { clock, onLook, topology } = this.#options;
    const { detection } = topology;
    const paceMs = () => (this.#pace === "hurry" ? detection.fastIntervalMs : detection.intervalMs);
    const watcher = new Watcher<Answer>({ watched, clock, detection, paceMs, onLook });
    watcher.start();
    return watcher;
  }

  #redisLink(address: string, shard: Shard): RedisConnection {
    const link = this.#links.redis(address, shard);
    link.watchedAddresses = () => this.#doubtedProxyAddresses();
    return link;
  }

  /** Addresses of the proxies that monit cannot see. The redis servers may know whether they still carry traffic. */
  #doubtedProxyAddresses(): string[] {
    return [...this.#proxies.values()]
      .filter(({ watcher }) => watcher.look.state === "failing" || watcher.look.state === "down")
      .map(({ address }) => address);
  }
}
