/**
 * Faults, as design section 7 lists them. Each is checked completely before anything is touched. Those that last are
 * on record until they are healed or their machine ends.
 */
import type { Cloud } from "./cloud.ts";
import { ApiError } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { restoreLink, silenceLink } from "./network.ts";
import { type ProcessId, signalProcess } from "./processes.ts";
import { parseService, processesOf } from "./services.ts";
import type { Fault } from "./store.ts";
import { faultText, findMachine, type MachineView, machineViews } from "./view.ts";

export const faultKinds = ["crash", "hang", "poweroff", "poweron", "vanish", "partition"] as const;
export type FaultKind = (typeof faultKinds)[number];
/** What a person asks for: `target` is MACHINE, or MACHINE:PORT and MACHINE:haproxy for processes. */
export type FaultRequest = { kind: FaultKind; target: string; peer?: string; oneWay?: boolean };

export class Faults {
  readonly #cloud: Cloud;
  readonly #lifecycle: Lifecycle;

  constructor(cloud: Cloud, lifecycle: Lifecycle) {
    this.#cloud = cloud;
    this.#lifecycle = lifecycle;
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

  async #inject({ kind, target, peer, oneWay }: FaultRequest): Promise<string> {
    switch (kind) {
      case "crash":
        return this.#crash(target);
      case "hang":
        return this.#hang(target);
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
        return this.#partition(target, peer ?? "", oneWay === true);
    }
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

  #crash(target: string): string {
    const { processes } = this.#service(target);
    for (const process of processes) signalProcess(process, "SIGKILL");
    return `killed ${target} (${processes.length} process${processes.length === 1 ? "" : "es"})`;
  }

  #hang(target: string): string {
    const { machine, service, processes } = this.#service(target);
    for (const process of processes) signalProcess(process, "SIGSTOP");
    this.#remember({ kind: "hang", instanceId: machine.instanceId, service, processes });
    return `stopped ${target}: it accepts connections and does not answer`;
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
    const text = JSON.stringify(fault);
    store.faults = [...store.faults.filter((each) => JSON.stringify(each) !== text), fault];
    store.save();
  }

  /**
   * Undoes lasting faults: all of them, those of one machine or process, or those between two machines. Gives what
   * was healed, in words; nothing to heal is no error.
   */
  async heal(target?: string, peer?: string): Promise<string[]> {
    const { store } = this.#cloud;
    const healed = this.#chosen(target, peer);
    store.faults = store.faults.filter((fault) => !healed.includes(fault));
    store.save();
    await this.#cloud.converge();
    for (const fault of healed) await this.#undo(fault);
    const said = healed.map((fault) => this.text(fault));
    for (const each of said) this.#cloud.log(`healed: ${each}`);
    return said;
  }

  #chosen(target?: string, peer?: string): Fault[] {
    const { faults } = this.#cloud.store;
    if (target === undefined || target === "all") return [...faults];
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
    const concerns = (fault: Fault) =>
      fault.instanceId === instanceId || (fault.kind === "partition" && fault.peerId === instanceId);
    if (service === undefined) return faults.filter(concerns);
    return faults.filter((fault) => concerns(fault) && fault.kind === "hang" && fault.service === service);
  }

  async #undo(fault: Fault): Promise<void> {
    if (fault.kind === "hang") for (const process of fault.processes) signalProcess(process, "SIGCONT");
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
