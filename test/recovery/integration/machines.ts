/** A "machine" of the test world: redis servers, a haproxy, or app's local haproxy, at one loopback address. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientProxyConfig } from "../../../infra/roles/app/role.ts";
import { proxyConfig } from "../../../infra/roles/haproxy/role.ts";
import { redisConf, shardConf, usersAcl } from "../../../infra/roles/redis/role.ts";
import type { Instance } from "../../../recovery/cloud/cloud.ts";
import type { Detection, MachineName, Topology } from "../../../recovery/topology.ts";
import { cutScript, keepScript, memoryLimits, redisServer } from "../../infra/servers.ts";

export interface MachineOptions {
  name: MachineName;
  instanceId: string;
  address: string;
  folder: string;
  /** The data volume, which outlives the machine. */
  dataFolder: string;
  shards: Topology["shards"];
  detection: Detection;
  passwords: { clientPassword: string; replicationPassword: string; recoveryPassword: string };
  /** ADDRESS:PORT of the name server that knows the proxies. */
  resolver: string;
}

/** A machine's name in the private zone. */
export const recordName = (machine: MachineName) => `${machine}.barton`;

/** Creates the machine's files and starts its processes. */
export async function startMachine(options: MachineOptions): Promise<FakeMachine> {
  mkdirSync(options.folder, { recursive: true });
  const machine = new FakeMachine(options);
  machine.start();
  return machine;
}

export class FakeMachine {
  readonly name: MachineName;
  readonly instanceId: string;
  readonly address: string;
  readonly configFile: string;
  state: Instance["state"] = "running";
  readonly #options: MachineOptions;
  readonly #processes = new Map<number, ChildProcess>();
  readonly #launchedAt = new Date().toISOString();

  constructor(options: MachineOptions) {
    this.#options = options;
    this.name = options.name;
    this.instanceId = options.instanceId;
    this.address = options.address;
    this.configFile = join(options.folder, "haproxy.cfg");
  }

  asInstance(): Instance {
    const { name: machine, instanceId, address, state } = this;
    return { machine, instanceId, state, address, launchedAt: this.#launchedAt };
  }

  /** Starts everything that a boot would start. */
  start(): void {
    if (this.name.startsWith("redis"))
      for (const { redisPort } of this.#options.shards) this.startRedis(redisPort);
    else if (this.name === "app") this.#startClientProxy();
    else this.startProxy();
  }

  /** Starts one redis server from its boot configuration, as systemd does after a crash. */
  startRedis(port: number): void {
    const { folder, dataFolder, address, passwords } = this.#options;
    const dataDir = join(dataFolder, String(port));
    const runDir = join(folder, String(port));
    for (const dir of [dataDir, runDir]) mkdirSync(dir, { recursive: true });
    const aclFile = join(runDir, "users.acl");
    const commonFile = join(runDir, "common.conf");
    const memoryFile = join(runDir, "memory.conf");
    const configFile = join(runDir, "redis.conf");
    writeFileSync(aclFile, usersAcl(passwords));
    writeFileSync(memoryFile, memoryLimits(4096, 2));
    const { replicationPassword } = passwords;
    writeFileSync(commonFile, redisConf({ bind: address, aclFile, memoryFile, replicationPassword }));
    writeFileSync(configFile, shardConf({ port, commonFile, dataDir, runDir }));
    this.#spawn(port, redisServer, [configFile]);
  }

  startProxy(): void {
    const { folder, address, shards, detection } = this.#options;
    mkdirSync(join(folder, "kept"), { recursive: true });
    const text = proxyConfig({
      shards,
      detection,
      adminSocket: join(folder, "admin.sock"),
      runtimeBind: `${address}:8999`,
      healthBind: `${address}:8900`,
      proxyBind: address,
      keepScript: keepScript,
      keptIn: join(folder, "kept"),
    });
    writeFileSync(this.configFile, forLoopback(text, address));
    this.restartProxy();
  }

  #startClientProxy(): void {
    const { folder, address, shards, detection, resolver } = this.#options;
    const text = clientProxyConfig({
      shards,
      detection,
      adminSocket: join(folder, "admin.sock"),
      runtimeBind: `${address}:8999`,
      clientBind: address,
      resolver,
      haproxy1: recordName("haproxy1"),
      haproxy2: recordName("haproxy2"),
      healthPort: 8900,
      cutScript,
    });
    writeFileSync(this.configFile, forLoopback(text, address));
    this.restartProxy();
  }

  /** Starts haproxy with the file as it is now. */
  restartProxy(): void {
    this.#spawn(0, "haproxy", ["-W", "-f", this.configFile, "-p", join(this.#options.folder, "haproxy.pid")]);
  }

  async reload(): Promise<void> {
    this.process(0).kill("SIGUSR2");
  }

  /** The process at a redis port, or the haproxy (0). */
  process(port: number): ChildProcess {
    const found = this.#processes.get(port);
    if (!found) throw new Error(`${this.name} has no process at ${port}`);
    return found;
  }

  /** Kills one process without a chance to say goodbye. */
  async crash(port: number): Promise<void> {
    const child = this.process(port);
    // haproxy's master would start a new worker: the whole group goes.
    process.kill(-(child.pid ?? 0), "SIGKILL");
    if (isRunning(child)) await once(child, "exit");
  }

  stop(port: number): void {
    process.kill(-(this.process(port).pid ?? 0), "SIGSTOP");
  }

  continue(port: number): void {
    process.kill(-(this.process(port).pid ?? 0), "SIGCONT");
  }

  async end(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((port) => this.#endOne(port)));
  }

  /** Addresses differ between these machines where production binds 0.0.0.0. */
  comparable(config: string): string {
    return config.replaceAll(this.address, "ADDRESS").replaceAll(this.#options.folder, "FOLDER");
  }

  own(config: string): string {
    return config.replaceAll("ADDRESS", this.address).replaceAll("FOLDER", this.#options.folder);
  }

  async #endOne(port: number): Promise<void> {
    const child = this.process(port);
    if (isRunning(child)) await this.crash(port);
  }

  #spawn(port: number, command: string, args: string[]): void {
    const log = openSync(join(this.#options.folder, `${command}-${port}.log`), "a");
    const child = spawn(command, args, { stdio: ["ignore", log, log], detached: true, ...ofMachines });
    this.#processes.set(port, child);
    // A test run that is broken off leaves nothing behind.
    const end = () => void (isRunning(child) && process.kill(-(child.pid ?? 0), "SIGKILL"));
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
  }
}

/** A group that tells the machines' processes from monit, which is the test itself (see silence.ts). */
const ofMachines = process.getuid?.() === 0 ? { gid: 65_534 } : {};

const isRunning = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null;

/**
 * Not root's business in a test: no chroot, no other user, no system log. And connections come from the machine's own address,
 * where the loopback would give them 127.0.0.1.
 */
function forLoopback(config: string, address: string): string {
  return config
    .replace(/^\s*(chroot|user|group|log \/dev\/log|log global).*\n/gm, "")
    .replace("\ndefaults\n", `\ndefaults\n  source ${address}\n`)
    .replaceAll(" source 0.0.0.0:", ` source ${address}:`);
}
