/**
 * The faults of docs/lab.md. Each request is checked completely before anything is touched. A fault that lasts is on record until it
 * is healed or its machine ends.
 */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { volumesOf } from "./attachments.ts";
import type { Cloud } from "./cloud.ts";
import { emptyDisk, fillDisk, hasDisk } from "./disk.ts";
import { ApiError } from "./errors.ts";
import type { FaultRequest } from "./fault-request.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { leaderOf, machineFiles } from "./machine.ts";
import { restoreLink, silenceLink } from "./network.ts";
import { hasEnded, isAlive, type ProcessId, signalProcess } from "./processes.ts";
import { parseService, processesOf } from "./services.ts";
import { leaveLocks, removeLock } from "./stale-lock.ts";
import { type ApiFault, type Fault, isFaultOf } from "./store.ts";
import { run } from "./system.ts";
import { faultText, findMachine, type MachineView, machineViews } from "./view.ts";
import { fillVolumes } from "./volumes.ts";

/** Faults that are no machine's: what `heal` calls them. */
const labWide = ["api", "dns", "stale-lock"];
/** How long a process that was killed may take to be gone, in milliseconds; the fault is told as done only then. */
const deathMsMax = 5000;
/** How late a slow API answers, unless somebody says so, in seconds. */
const usualLateSeconds = 20;

export class Faults {
  readonly #cloud: Cloud;
  readonly #lifecycle: Lifecycle;

  constructor(cloud: Cloud, lifecycle: Lifecycle) {
    this.#cloud = cloud;
    this.#lifecycle = lifecycle;
    for (const fault of cloud.store.faults) this.#arm(fault);
  }

  #views(): MachineView[] {
    const { store } = this.#cloud;
    return machineViews({ resources: store.list("ec2/instance"), instances: store.instances.values() });
  }

  /** The machine by name, if it exists. */
  #machine(name: string): MachineView {
    const machine = findMachine(this.#views(), name);
    if (machine) return machine;
    const names = [...new Set(this.#views().map((each) => each.name))].sort().join(", ") || "none";
    throw new ApiError(
      "UnknownMachine",
      `there is no machine ${JSON.stringify(name)} in lab ${this.#cloud.lab.name}; it has: ${names}`,
      404,
    );
  }

  #running(name: string): MachineView {
    const machine = this.#machine(name);
    if (machine.state === "running") return machine;
    throw new ApiError("NotRunning", `${name} is ${machine.state}: the fault needs a running machine`, 409);
  }

  /** Injects a fault; gives a sentence that says what was done. */
  async inject(request: FaultRequest): Promise<string> {
    const said = await this.#inject(request);
    this.#cloud.log(`fault: ${said}`);
    return said;
  }

  async #inject(request: FaultRequest): Promise<string> {
    const target = "target" in request ? (request.target ?? "") : "";
    switch (request.kind) {
      case "crash":
        return this.#crash(target);
      case "hang":
        return this.#hang(target);
      case "pause":
        return this.#pause(target, request.seconds);
      case "poweroff": {
        const machine = this.#running(target);
        await this.#lifecycle.losePower(machine.instanceId);
        return `${machine.name} has lost its power`;
      }
      case "poweron": {
        const machine = this.#machine(target);
        if (machine.state !== "stopped")
          throw new ApiError("NotStopped", `${target} is ${machine.state}, not stopped`, 409);
        await this.#lifecycle.start(machine.instanceId);
        return `${machine.name} has its power back and boots`;
      }
      case "vanish": {
        const machine = this.#running(target);
        await silenceLink(machine.instanceId);
        this.#remember({ kind: "vanish", instanceId: machine.instanceId });
        await this.#cloud.converge();
        return `the link of ${machine.name} is silent; the machine runs on`;
      }
      case "partition":
        return this.#partition(target, request.peer, request.oneWay === true);
      case "lossy": {
        const { name, instanceId } = this.#running(target);
        this.#remember({ kind: "lossy", instanceId, percent: request.percent });
        await this.#cloud.converge();
        return `the link of ${name} loses ${request.percent} % of its packets, in each direction`;
      }
      case "disk-full":
        return this.#diskFull(target);
      case "api":
        return this.#api(request);
      case "dns":
        this.#remember({ kind: "dns" });
        await this.#cloud.converge();
        return "the resolver answers nobody";
      case "stale-lock":
        return this.#staleLock(request.target);
    }
  }

  async #diskFull(target: string): Promise<string> {
    const { name, instanceId } = this.#running(target);
    const { dir } = machineFiles(this.#cloud.lab, instanceId);
    const { lab, store } = this.#cloud;
    for (const fault of store.faults)
      if (fault.kind === "disk-full" && fault.instanceId === instanceId) await this.#undo(fault);
    const holders = await fillVolumes(lab, instanceId, volumesOf(store, instanceId));
    if (!hasDisk(dir) && holders.length === 0) {
      throw new ApiError(
        "NoDisk",
        `${name} writes to the host's disk, which is not to be filled: only instances that were made with ` +
          "rootBlockDevice.volumeSize have a volume of their own (and only where the host has loop devices)",
        409,
      );
    }
    this.#remember({ kind: "disk-full", instanceId, holders });
    if (hasDisk(dir)) await fillDisk(dir);
    return `the disk of ${name} is full`;
  }

  #api(request: FaultRequest & { kind: "api" }): string {
    const { target: mode, seconds } = request;
    const lateSeconds = request.lateSeconds ?? usualLateSeconds;
    this.#remember({
      kind: "api",
      mode,
      ...(mode === "slow" ? { lateSeconds } : {}),
      ...(seconds === undefined ? {} : { seconds, until: inSeconds(seconds) }),
    });
    const what: Record<ApiFault["mode"], string> = {
      slow: `answers ${lateSeconds} s late`,
      failing: "answers every call with the error RequestLimitExceeded (503)",
      full: "refuses to launch or start instances: InsufficientInstanceCapacity",
    };
    return `the cloud's API ${what[mode]}${seconds === undefined ? "" : `, for ${seconds} s`}`;
  }

  /** As if a pulumi on `name` (default: monit, else this host) had been killed. */
  async #staleLock(name?: string): Promise<string> {
    const { lab } = this.#cloud;
    const machine = name === undefined ? findMachine(this.#views(), "monit") : this.#running(name);
    const leader = machine && leaderOf(lab, machine.instanceId);
    const holder = leader
      ? await run(["nsenter", `--target=${leader.pid}`, "--uts", "--", "hostname"])
      : hostname();
    for (const file of leaveLocks(lab.stateDir, { hostname: holder })) {
      this.#remember({ kind: "stale-lock", file });
    }
    return `Pulumi's stack is locked by a process of ${holder} that does not exist`;
  }

  /** The processes that MACHINE:PORT or MACHINE:haproxy means. */
  #service(target: string): { machine: MachineView; service: string; processes: ProcessId[] } {
    const [name = "", text = "", ...rest] = target.split(":");
    const service = rest.length > 0 ? undefined : parseService(text);
    if (service === undefined) {
      throw new ApiError(
        "InvalidTarget",
        `${JSON.stringify(target)} names no process: use MACHINE:PORT (a redis) or MACHINE:haproxy, for example redis1:9001`,
      );
    }
    const machine = this.#running(name);
    const processes = processesOf(this.#cloud.lab, machine.instanceId, service);
    if (processes.length > 0) return { machine, service: text, processes };
    const what = service === "haproxy" ? "haproxy" : `redis-server on port ${service}`;
    throw new ApiError("NoSuchProcess", `no ${what} runs on ${name}`, 409);
  }

  async #crash(target: string): Promise<string> {
    const { processes } = this.#service(target);
    for (const process of processes) signalProcess(process, "SIGKILL");
    const deadline = performance.now() + deathMsMax;
    while (!processes.every(hasEnded) && performance.now() < deadline) await delay(1);
    return `killed ${target} (${processes.length} process${processes.length === 1 ? "" : "es"})`;
  }

  #hang(target: string): string {
    const { machine, service, processes } = this.#service(target);
    for (const process of processes) signalProcess(process, "SIGSTOP");
    this.#remember({ kind: "hang", instanceId: machine.instanceId, service, processes });
    return `stopped ${target}: it accepts connections and does not answer`;
  }

  #pause(target: string, seconds: number): string {
    const { machine, service, processes } = this.#service(target);
    for (const process of processes) signalProcess(process, "SIGSTOP");
    this.#remember({
      kind: "pause",
      instanceId: machine.instanceId,
      service,
      processes,
      seconds,
      until: inSeconds(seconds),
    });
    return `stopped ${target} for ${seconds} s`;
  }

  async #partition(from: string, to: string, oneWay: boolean): Promise<string> {
    const machine = this.#running(from);
    const peer = this.#running(to);
    if (machine.instanceId === peer.instanceId) {
      throw new ApiError(
        "InvalidTarget",
        `a partition needs two machines, and ${from} and ${to} are the same`,
      );
    }
    this.#remember({ kind: "partition", instanceId: machine.instanceId, peerId: peer.instanceId, oneWay });
    await this.#cloud.converge();
    return oneWay
      ? `packets from ${machine.name} no longer reach ${peer.name}`
      : `${machine.name} and ${peer.name} no longer reach each other`;
  }

  #remember(fault: Fault): void {
    const { store } = this.#cloud;
    store.faults = [...store.faults.filter((each) => !isReplacedBy(each, fault)), fault];
    store.save();
    this.#arm(fault);
  }

  /** A fault that was made for a while ends by itself, also after the control plane was away. */
  #arm(fault: Fault): void {
    if (!("until" in fault) || fault.until === undefined) return;
    const timer = setTimeout(
      () => {
        if (this.#cloud.store.faults.includes(fault)) void this.#end([fault]);
      },
      Math.max(0, Date.parse(fault.until) - Date.now()),
    );
    timer.unref();
  }

  /** The faults in effect. One that ended by itself (its process is gone, its lock was removed) is forgotten. */
  inEffect(): Fault[] {
    const { store } = this.#cloud;
    const ended = store.faults.filter(
      (fault) =>
        (fault.kind === "stale-lock" && !existsSync(fault.file)) ||
        ((fault.kind === "hang" || fault.kind === "pause") && !fault.processes.some(isAlive)),
    );
    if (ended.length > 0) {
      store.faults = store.faults.filter((fault) => !ended.includes(fault));
      store.save();
    }
    return store.faults;
  }

  /**
   * Undoes lasting faults: all of them, those of one machine or process, or those between two machines. Gives what
   * was healed, in words; nothing to heal is no error.
   */
  async heal(target?: string, peer?: string): Promise<string[]> {
    return this.#end(this.#chosen(target, peer));
  }

  async #end(healed: readonly Fault[]): Promise<string[]> {
    const { store } = this.#cloud;
    store.faults = store.faults.filter((fault) => !healed.includes(fault));
    store.save();
    await this.#cloud.converge();
    for (const fault of healed) await this.#undo(fault);
    const said = healed.map((fault) => this.text(fault));
    for (const each of said) this.#cloud.log(`healed: ${each}`);
    return said;
  }

  #chosen(target?: string, peer?: string): Fault[] {
    const faults = this.inEffect();
    if (target === undefined || target === "all") return [...faults];
    if (labWide.includes(target)) return faults.filter((fault) => fault.kind === target);
    const [name = "", service] = target.split(":");
    const { instanceId } = this.#machine(name);
    if (peer !== undefined) {
      const other = this.#machine(peer).instanceId;
      return faults.filter(
        (fault) =>
          fault.kind === "partition" &&
          [fault.instanceId, fault.peerId].includes(instanceId) &&
          [fault.instanceId, fault.peerId].includes(other),
      );
    }
    const own = faults.filter((fault) => isFaultOf(fault, instanceId));
    if (service === undefined) return own;
    return own.filter((fault) => "service" in fault && fault.service === service);
  }

  async #undo(fault: Fault): Promise<void> {
    if ("processes" in fault) for (const process of fault.processes) signalProcess(process, "SIGCONT");
    if (fault.kind === "disk-full") {
      for (const holder of fault.holders) signalProcess(holder, "SIGKILL");
      emptyDisk(machineFiles(this.#cloud.lab, fault.instanceId).dir);
    }
    if (fault.kind === "stale-lock") removeLock(fault.file);
    if (fault.kind === "vanish") {
      const instance = this.#cloud.store.instances.get(fault.instanceId);
      if (instance) await restoreLink(instance.id, instance.subnetId);
    }
  }

  /** A fault in words, with machines by name. */
  text(fault: Fault): string {
    const views = this.#views();
    return faultText(fault, (id) => views.find((each) => each.instanceId === id)?.name ?? id);
  }
}

/** The moment in so many seconds, as ISO 8601. */
function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

/** Whether `next` takes the place of `former`: the same fault again, perhaps stronger or for longer. */
function isReplacedBy(former: Fault, next: Fault): boolean {
  const what = (fault: Fault) => {
    if (fault.kind === "lossy" || fault.kind === "pause" || fault.kind === "disk-full")
      return [fault.kind, fault.instanceId];
    return fault.kind === "api" ? [fault.kind, fault.mode] : [fault];
  };
  return JSON.stringify([what(former), service(former)]) === JSON.stringify([what(next), service(next)]);
}

function service(fault: Fault): string {
  return "service" in fault ? fault.service : "";
}
