/** The dnsmasq of each VPC: starts it, reloads it after changes, restarts it when it has ended. It outlives the control plane. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Lab } from "../lab.ts";
import { formatIpv4 } from "../schema/names.ts";
import { netmaskOf, parseCidr, resolverOf } from "./addresses.ts";
import { dhcpHostsFile, type HostRecord, hostsFile, resolverConfig } from "./dnsmasq-config.ts";
import { interfaceName } from "./names.ts";
import { commandName, isAlive, netnsInode, type ProcessId, processNow, signalProcess } from "./processes.ts";
import { run } from "./system.ts";

export type ResolverPlan = {
  vpc: { id: string; cidr: string };
  subnets: { id: string; cidr: string }[];
  domains: string[];
  dhcpDomain: string;
  records: HostRecord[];
  machines: { mac: string; privateIp: string }[];
};

/** One VPC's resolver. */
export class Resolver {
  readonly #dir: string;
  #process: ProcessId | undefined;

  constructor(lab: Lab, vpcId: string) {
    this.#dir = join(lab.dir, "resolver", vpcId);
    this.#process = survivor(this.#file("pid"));
  }

  #file(name: string): string {
    return join(this.#dir, name);
  }

  /** Makes it answer as the plan says. Machines' answers change without a restart. */
  async apply(plan: ResolverPlan): Promise<void> {
    mkdirSync(this.#dir, { recursive: true });
    const restart = this.#write("config", this.#config(plan));
    // Both are written, whatever the first says.
    const changes = [
      this.#write("hosts", hostsFile(plan.records)),
      this.#write("dhcp-hosts", dhcpHostsFile(plan.machines)),
    ];
    if (restart || this.#process === undefined || !isAlive(this.#process)) await this.#start();
    else if (changes.includes(true)) signalProcess(this.#process, "SIGHUP");
  }

  #config({ vpc, subnets, domains, dhcpDomain }: ResolverPlan): string {
    return resolverConfig({
      interface: interfaceName("r", vpc.id),
      resolver: resolverOf(vpc.cidr),
      subnets: subnets.map(({ id, cidr }) => ({
        bridge: interfaceName("b", id),
        network: formatIpv4(parseCidr(cidr).first),
        netmask: netmaskOf(cidr),
      })),
      domains,
      dhcpDomain,
      hostsFile: this.#file("hosts"),
      dhcpHostsFile: this.#file("dhcp-hosts"),
      pidFile: this.#file("pid"),
      logFile: this.#file("log"),
    });
  }

  /** True when the file's content was another; written by a rename, so that dnsmasq never reads half a file. */
  #write(name: string, content: string): boolean {
    const file = this.#file(name);
    if (existsSync(file) && readFileSync(file, "utf8") === content) return false;
    writeFileSync(`${file}.new`, content);
    renameSync(`${file}.new`, file);
    return true;
  }

  /** dnsmasq goes to the background when it is ready: from then on it can be told by signal. */
  async #start(): Promise<void> {
    await this.#end();
    await run(["dnsmasq", `--conf-file=${this.#file("config")}`]);
    this.#process = survivor(this.#file("pid"));
  }

  async #end(): Promise<void> {
    while (this.#process !== undefined && signalProcess(this.#process, "SIGKILL")) await delay(5);
    this.#process = undefined;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && isAlive(this.#process);
  }

  /** Ends it and forgets its files: its VPC is gone. */
  async remove(): Promise<void> {
    await this.#end();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** The dnsmasq that wrote this pid file, if it is still that one: by name and network, because pids are reused. */
function survivor(pidFile: string): ProcessId | undefined {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, "utf8"));
  const ours = commandName(pid) === "dnsmasq" && netnsInode(pid) === netnsInode(process.pid);
  return ours ? processNow(pid) : undefined;
}
