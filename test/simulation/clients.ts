/** The clients on app: the local proxy's choice of haproxy1 or haproxy2, and writes of two kinds through it. */
import type { ClientLook } from "../../recovery/observe/facts.ts";
import { count, freshTally, lookOf, type Tally } from "../../recovery/observe/tally.ts";
import { type ProxyMachine, proxyMachines } from "../../recovery/topology.ts";
import type { HaProxy, Way } from "./proxy.ts";
import type { Instance, World } from "./world.ts";

const checkMs = 100;

export class Clients {
  readonly #world: World;
  /** Addresses as app's haproxy last resolved them, and its checks of the health page. */
  readonly #addresses = new Map<ProxyMachine, string>();
  readonly #failures = new Map<ProxyMachine, number>();
  /** The same checks, as to whether the machine answers at all. */
  readonly #answers = new Map<ProxyMachine, Tally>();
  /** The persistent connection of each shard: session and the proxy it goes through. */
  readonly #persistent = new Map<number, { id: string; proxy: HaProxy }>();
  #nextCheckMs = 0;
  written = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** A moment of traffic: one new connection and the persistent one, for each shard. */
  tick(): void {
    this.#check();
    const proxy = this.#chosen();
    if (!proxy) return;
    for (const shard of this.#world.shards) {
      if (proxy.closed.has(`shard${shard}`)) continue;
      const chosen = proxy.choose(shard);
      if (chosen) this.#connect(proxy, shard, chosen);
      this.#writePersistently(proxy, shard);
    }
  }

  /** What app's haproxy says of the proxies when monit asks. */
  view(): Record<ProxyMachine, ClientLook> {
    const { failures } = this.#world.topology.detection;
    const of = (machine: ProxyMachine): ClientLook => ({
      address: this.#addresses.get(machine) ?? "",
      look: lookOf(this.#answers.get(machine) ?? freshTally, failures),
      usable: this.#failures.get(machine) === 0,
    });
    return { haproxy1: of("haproxy1"), haproxy2: of("haproxy2") };
  }

  /** A new connection for one write, which mostly is there at once. */
  #connect(proxy: HaProxy, shard: number, way: Way): void {
    const { random, lateConnections } = this.#world;
    const isLate = lateConnections.share > 0 && random.chance(lateConnections.share);
    if (!isLate) this.#write(proxy, way);
    else
      proxy.connect(shard, way, random.int(1, lateConnections.upToMs), () => this.#write(proxy, way, true));
  }

  /** Sends one write on its way, by this proxy and the last on the way, which may be its twin. */
  #write(proxy: HaProxy, { server, last }: Pick<Way, "server" | "last">, isLate = false): void {
    const world = this.#world;
    const app = world.current("app");
    if (!world.reaches(app, proxy.instance) || !world.reaches(last.instance, server.instance)) return;
    if (last !== proxy && !world.reaches(proxy.instance, last.instance)) return;
    if (!proxy.serves || !last.serves || !server.serves || server.loading || server.role !== "master") return;
    if (server.pausesWrites || server.isDiskFull || server.refuses === "BUSY") return;
    this.written += 1;
    world.checks.writing(server, isLate);
    server.activeMs.set(last.instance.address, world.nowMs);
    const write = world.newWrite(server.shard);
    server.write(write, last.instance);
    if (world.canAnswer(server, last.instance)) world.acknowledge(write);
  }

  #writePersistently(proxy: HaProxy, shard: number): void {
    const kept = this.#persistent.get(shard);
    const session = kept?.proxy.session(kept.id);
    if (kept && session && this.#isUp(kept.proxy.instance)) {
      this.#write(kept.proxy, session);
      return;
    }
    const opened = proxy.open(shard);
    if (opened) this.#persistent.set(shard, { id: opened.id, proxy });
    else this.#persistent.delete(shard);
  }

  #check(): void {
    const world = this.#world;
    if (world.nowMs < this.#nextCheckMs) return;
    this.#nextCheckMs = world.nowMs + checkMs;
    for (const machine of proxyMachines) {
      const address = world.resolve(`${machine}.barton`);
      if (address && address !== this.#addresses.get(machine)) {
        this.#addresses.set(machine, address);
        this.#answers.delete(machine);
      }
      const proxy = this.#proxy(machine);
      const reply = world.knockAt(world.current("app"), this.#addresses.get(machine) ?? "", proxy);
      if (reply === "ok") proxy?.hear(world.current("app").address);
      this.#answers.set(machine, count(this.#answers.get(machine) ?? freshTally, reply, world.nowMs));
      const isOpen = proxy?.serves && !proxy.closed.has("health");
      const isWell = isOpen && proxy.registered && world.talks(world.current("app"), proxy.instance);
      const failures = isWell ? 0 : (this.#failures.get(machine) ?? 0) + 1;
      this.#failures.set(machine, failures);
      // infra/roles/app/cut.lua
      if (failures === world.topology.detection.failures && proxy) proxy.sessions = [];
    }
  }

  #chosen(): HaProxy | undefined {
    for (const machine of proxyMachines) {
      const proxy = this.#proxy(machine);
      if (proxy && this.#isUp(proxy.instance)) return proxy;
    }
    return undefined;
  }

  #isUp({ machine, address }: Instance): boolean {
    const name = machine as ProxyMachine;
    const isKnown = this.#addresses.get(name) === address;
    return isKnown && (this.#failures.get(name) ?? 0) < this.#world.topology.detection.failures;
  }

  #proxy(machine: ProxyMachine): HaProxy | undefined {
    return this.#world.instanceAt(this.#addresses.get(machine))?.proxy;
  }
}
