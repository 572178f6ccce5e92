/** The monitor's eyes in the model: what the real board and its watchers would make of the same world. */
import type { Subject } from "../../recovery/decide/decide.ts";
import {
  type ClientLook,
  type Facts,
  noLook,
  type ProxyFacts,
  type ProxyView,
  type RedisInfo,
  type ServerFacts,
  serverId,
} from "../../recovery/observe/facts.ts";
import { type Machines, machinesOf, succeededBy, withCloudView } from "../../recovery/observe/machines.ts";
import type { ProxyLink } from "../../recovery/observe/proxy-link.ts";
import type { RedisLink } from "../../recovery/observe/redis-link.ts";
import { count, freshTally, lookOf, type Tally } from "../../recovery/observe/tally.ts";
import {
  type MachineName,
  type ProxyMachine,
  proxyMachines,
  type RedisMachine,
  redisMachines,
  type Topology,
} from "../../recovery/topology.ts";
import type { Life, SimulatedCloud } from "./cloud.ts";
import { proxyLink, redisLink } from "./links.ts";
import type { HaProxy } from "./proxy.ts";
import type { RedisServer } from "./redis-server.ts";
import type { Process, World } from "./world.ts";

type Pace = "calm" | "hurry";

/** One server or proxy that is watched at one address. */
interface Party<Answer, Link> {
  address: string;
  process: Process | undefined;
  link: Link;
  tally: Tally;
  connected: boolean;
  nextMs: number;
  latest?: { value: Answer; askedMs: number };
  ask: () => Answer;
  /** What of the answer is worth a cycle of its own. */
  gist(answer: Answer): string;
  lastGist: string;
}

export interface BoardOptions {
  world: World;
  cloud: SimulatedCloud;
  life: Life;
  machines?: Machines;
  onNews: () => void;
}

const cloudPauseMs = { calm: 2_000, hurry: 300 } as const;
const cloudPauseMaxMs = 4_000;

export class Board {
  readonly #options: BoardOptions;
  readonly #world: World;
  readonly #servers = new Map<string, Party<RedisInfo, RedisLink>>();
  readonly #proxies = new Map<ProxyMachine, Party<ProxyView, ProxyLink>>();
  readonly #apps = new Map<"app", Party<Record<ProxyMachine, ClientLook>, undefined>>();
  machines: Machines;
  /** By subject: when the newest answers that a refresh got were asked for. */
  readonly #refreshedMs = new Map<Subject | "all", number>();
  #nextCloudMs = 0;
  #isAskingCloud = false;
  #cloudFailures = 0;

  constructor(options: BoardOptions) {
    this.#options = options;
    this.#world = options.world;
    this.machines = options.machines ?? machinesOf(this.#world.topology, this.#world.nowMs);
    for (const machine of Object.values(this.machines)) machine.knownSinceMs = this.#world.nowMs;
    this.#retarget();
  }

  /** Takes the looks that are due. */
  tick(pace: Pace, cloudPace: Pace): void {
    const { nowMs } = this.#world;
    for (const party of this.#servers.values()) if (nowMs >= party.nextMs) this.#look(party, pace);
    for (const party of this.#proxies.values()) if (nowMs >= party.nextMs) this.#look(party, pace);
    for (const party of this.#apps.values()) if (nowMs >= party.nextMs) this.#look(party, pace);
    this.#nextCloudMs = Math.min(this.#nextCloudMs, nowMs + cloudPauseMs[cloudPace]);
    if (nowMs >= this.#nextCloudMs && !this.#isAskingCloud) void this.#askCloud(cloudPace);
  }

  forgive(): void {
    for (const party of [...this.#servers.values(), ...this.#proxies.values(), ...this.#apps.values()]) {
      if (party.tally.failures > 0) party.tally = { ...freshTally, looked: true };
    }
  }

  redis(machine: RedisMachine, shard: number): RedisLink | undefined {
    return this.#servers.get(serverId(machine, shard))?.link;
  }

  proxy(machine: ProxyMachine): ProxyLink | undefined {
    return this.#proxies.get(machine)?.link;
  }

  facts(): Facts {
    const { topology, nowMs, scheduler } = this.#world;
    const proxies = { haproxy1: this.#proxyFacts("haproxy1"), haproxy2: this.#proxyFacts("haproxy2") };
    const servers: Facts["servers"] = {};
    for (const machine of redisMachines) {
      for (const shard of this.#world.shards) {
        servers[serverId(machine, shard)] = this.#serverFacts(proxies, machine, shard);
      }
    }
    const apps = this.#apps.get("app");
    const app = { look: this.#lookOf(apps), view: apps?.latest?.value };
    return { nowMs, wallMs: scheduler.wallMs, topology, machines: this.machines, servers, proxies, app };
  }

  learn(topology: Topology, machines: MachineName[]): void {
    for (const machine of machines) {
      const { instanceId, address } = topology.machines[machine];
      const before = this.machines[machine];
      if (before.instanceId === instanceId) continue;
      const news = succeededBy(before, { instanceId, address }, this.#world.nowMs);
      this.machines = { ...this.machines, [machine]: news };
    }
    this.#retarget();
  }

  /** Asks everybody who has a connection once more; who does not answer is waited for `timeoutMs`. */
  async refresh(shards: number[], timeoutMs: number): Promise<void> {
    const { scheduler, nowMs } = this.#world;
    const ids = shards.flatMap((shard) => redisMachines.map((machine) => serverId(machine, shard)));
    const parties = [
      ...this.#apps.values(),
      ...this.#proxies.values(),
      ...ids.flatMap((id) => this.#servers.get(id) ?? []),
    ];
    const asked = parties.filter(({ connected }) => connected);
    const isSilent = asked.some((party) => this.#knock(party) !== "ok");
    await scheduler.clock.sleep(isSilent ? timeoutMs : 1);
    for (const party of asked) if (this.#knock(party) === "ok") this.#hear<unknown>(party);
    for (const about of ["all", ...shards.map((shard) => `shard ${shard}` as const)] as const) {
      // One that was begun earlier may end later.
      this.#refreshedMs.set(about, Math.max(nowMs, this.#refreshedMs.get(about) ?? 0));
    }
  }

  /** When the newest of what refreshes have told about this subject was asked for. */
  refreshedMs(subject: Subject): number {
    const isShard = subject.startsWith("shard ");
    return this.#refreshedMs.get(isShard ? subject : "all") ?? Number.NEGATIVE_INFINITY;
  }

  #look<Answer>(party: Party<Answer, unknown>, pace: Pace): void {
    const { topology, nowMs } = this.#world;
    const { detection } = topology;
    const outcome = this.#world.isProbeLost() ? "silent" : this.#knock(party);
    const before = lookOf(party.tally, detection.failures).state;
    party.tally = count(party.tally, outcome, nowMs);
    const after = lookOf(party.tally, detection.failures).state;
    party.connected = outcome === "ok" || (party.connected && outcome === "stalled");
    const isNews = outcome === "ok" && this.#hear(party);
    if (isNews || before !== after) this.#options.onNews();
    const waitedMs = outcome === "ok" || outcome === "refused" ? 0 : detection.connectTimeoutMs;
    const isDoubted = after === "failing" || pace === "hurry";
    party.nextMs = nowMs + waitedMs + (isDoubted ? detection.fastIntervalMs : detection.intervalMs);
    if (after === "down") party.nextMs = nowMs + waitedMs + detection.intervalMs;
  }

  /** Takes in the answer; true if it tells something new of importance. */
  #hear<Answer>(party: Party<Answer, unknown>): boolean {
    const value = party.ask();
    party.latest = { value, askedMs: this.#world.nowMs };
    const gist = party.gist(value);
    const isNews = gist !== party.lastGist;
    party.lastGist = gist;
    return isNews;
  }

  #knock({ address, process }: Party<unknown, unknown>) {
    return this.#world.knockAt(this.#world.current("monit"), address, process);
  }

  #serverFacts(proxies: Facts["proxies"], machine: RedisMachine, shard: number): ServerFacts {
    const party = this.#servers.get(serverId(machine, shard));
    return {
      looks: {
        haproxy1: this.#lookThrough(proxies.haproxy1, machine, shard),
        haproxy2: this.#lookThrough(proxies.haproxy2, machine, shard),
        monit: this.#lookOf(party),
      },
      info: party?.latest?.value,
      askedMs: party?.latest?.askedMs,
    };
  }

  #lookThrough({ look, view }: ProxyFacts, machine: RedisMachine, shard: number) {
    const probe = view?.shards[shard]?.[machine].probe;
    const isCounted = look.state === "up" && probe?.ready && probe.address === this.machines[machine].address;
    return isCounted ? probe.look : noLook;
  }

  #proxyFacts(machine: ProxyMachine): ProxyFacts {
    const party = this.#proxies.get(machine);
    return { look: this.#lookOf(party), view: party?.latest?.value };
  }

  #lookOf(party: Party<unknown, unknown> | undefined) {
    return party ? lookOf(party.tally, this.#world.topology.detection.failures) : noLook;
  }

  async #askCloud(pace: Pace): Promise<void> {
    const { cloud, life, onNews } = this.#options;
    this.#isAskingCloud = true;
    try {
      const instances = await cloud.api(life).describe();
      this.#cloudFailures = 0;
      const before = JSON.stringify(this.machines);
      this.machines = withCloudView(this.machines, instances, this.#world.nowMs);
      if (JSON.stringify(this.machines) !== before) {
        this.#retarget();
        onNews();
      }
    } catch {
      this.#cloudFailures += 1;
    }
    this.#isAskingCloud = false;
    const pauseMs = Math.min(cloudPauseMs[pace] * 2 ** this.#cloudFailures, cloudPauseMaxMs);
    this.#nextCloudMs = this.#world.nowMs + pauseMs;
  }

  #retarget(): void {
    const { cloud, life } = this.#options;
    const world = this.#world;
    for (const machine of redisMachines) {
      for (const shard of world.shards) {
        const id = serverId(machine, shard);
        const { address } = this.machines[machine];
        if (!address || this.#servers.get(id)?.address === address) continue;
        const process = world.serverAt(address, shard);
        const ask = () => (process as RedisServer).info(this.#doubtedProxyAddresses());
        this.#servers.set(id, {
          ...fresh(address),
          process,
          ask,
          gist: gistOfServer,
          link: redisLink(world, life, cloud, process),
        });
      }
    }
    for (const machine of proxyMachines) {
      const { address } = this.machines[machine];
      if (!address || this.#proxies.get(machine)?.address === address) continue;
      const process = world.instanceAt(address)?.proxy;
      const ask = () => (process as HaProxy).view();
      this.#proxies.set(machine, {
        ...fresh(address),
        process,
        ask,
        gist: gistOfProxy,
        link: proxyLink(world, life, process),
      });
    }
    this.#watchApp();
  }

  #watchApp(): void {
    const { address } = this.machines.app;
    const { clients } = this.#world;
    if (!address || !clients || this.#apps.get("app")?.address === address) return;
    const ask = () => clients.view();
    const process = { running: true, hung: false };
    this.#apps.set("app", { ...fresh(address), process, ask, gist: gistOfApp, link: undefined });
  }

  #doubtedProxyAddresses(): string[] {
    return [...this.#proxies.values()]
      .filter(({ tally }) => tally.failures > 0)
      .map(({ address }) => address);
  }
}

function fresh(address: string) {
  return { address, tally: freshTally, connected: false, nextMs: 0, lastGist: "" };
}

/** What of a redis server's answer is worth a cycle of its own: everything but offsets and idle times. */
function gistOfServer({ runId, role, loading, follows, epoch }: RedisInfo): string {
  return `${runId} ${role} ${loading} ${epoch} ${follows?.host} ${follows?.linkUp} ${follows?.syncing}`;
}

/** Likewise of app's. */
function gistOfApp(view: Record<ProxyMachine, ClientLook>): string {
  return Object.values(view)
    .map(({ address, look, usable }) => `${address} ${look.state} ${usable}`)
    .join(" ");
}

/** Likewise of a proxy's. */
function gistOfProxy({ registered, shards }: ProxyView): string {
  let gist = `${registered}`;
  for (const lines of Object.values(shards)) {
    for (const machine of redisMachines) {
      const { traffic, probe } = lines[machine];
      gist += ` ${traffic.address} ${traffic.ready} ${traffic.maintenance} ${probe.address} ${probe.ready} ${probe.look.state}`;
    }
  }
  return gist;
}
