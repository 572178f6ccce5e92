/**
 * The life of instances: pending → running → stopping → stopped → pending …, and shutting-down → terminated. Requests for one instance
 * run one after the other. A request is on record before it begins, so a control plane that is killed in the middle finishes it
 * after its restart ({@link Lifecycle.resume}).
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { machineNetns } from "../lab.ts";
import { detachVolumesOf, plugVolumesOf, unplugVolumesOf } from "./attachments.ts";
import type { Cloud } from "./cloud.ts";
import {
  askToPowerOff,
  bootMachine,
  exitStatus,
  killMachine,
  leaderOf,
  machineFiles,
  mountOwnDisk,
  unmountRoot,
} from "./machine.ts";
import { privateHostname } from "./names.ts";
import { plugIn, silenceLink, unplug } from "./network.ts";
import { exists, textOf } from "./plan.ts";
import { isAlive } from "./processes.ts";
import { userDataOf, writeSeed } from "./seed.ts";
import { type Image, type Instance, isFaultOf, type Resource } from "./store.ts";
import { run } from "./system.ts";

/** How long an orderly power-off may take before the plug is pulled, in milliseconds. */
const powerOffDeadlineMs = 20_000;
/** What nspawn says when the machine has asked for a reboot. */
const rebootStatus = 133;
/** After its image is made an instance boots again, unless it is stopped or terminated first (in milliseconds). */
const bootAfterImageMs = 2000;
/** How long a terminated instance stays readable, in milliseconds: an hour, as on AWS. */
const rememberTerminatedMs = 3_600_000;

export class Lifecycle {
  readonly #cloud: Cloud;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
  }

  #instance(id: string): Instance {
    const instance = this.#cloud.store.instances.get(id);
    if (instance === undefined) throw new Error(`there is no instance ${id}`);
    return instance;
  }

  #record(instance: Instance, change: Partial<Instance>): void {
    Object.assign(instance, change);
    this.#cloud.store.save();
    if (change.state) {
      const reason = change.stateReason ? ` (${change.stateReason})` : "";
      this.#cloud.log(`${instance.id} ${change.state}${reason}`);
    }
  }

  /** Takes its turn on the instance. */
  #turn<T>(id: string, task: () => Promise<T>): Promise<T> {
    return this.#cloud.turns.take(id, task);
  }

  /** Boots a pending instance; it is running when this ends. When that fails it is terminated, with the reason. */
  launch(id: string): Promise<void> {
    return this.#turn(id, async () => {
      const instance = this.#instance(id);
      if (instance.state !== "pending") return;
      try {
        await this.#boot(instance);
      } catch (error) {
        const reason = (error as Error).message;
        await this.#switchOff(instance);
        await this.#forgetMachine(instance, `Server.InternalError: ${reason}`);
        throw error;
      }
    });
  }

  /** Plugs the machine in, firewall first, and boots it. */
  async #boot(instance: Instance): Promise<void> {
    const { lab, store } = this.#cloud;
    const resource = store.get("ec2/instance", instance.id);
    if (resource === undefined) throw new Error(`${instance.id} has no record`);
    const files = machineFiles(lab, instance.id);
    mkdirSync(files.dir, { recursive: true });
    const key = store.get("ec2/keyPair", textOf(resource, "keyName"));
    const hostname = privateHostname(instance.privateIp);
    writeSeed(files.seed, {
      instanceId: instance.id,
      hostname,
      publicKeys: key ? [textOf(key, "publicKey").trim()] : [],
      userData: userDataOf(resource.inputs),
    });
    await plugIn(files.netns, instance.id, instance.mac, instance.subnetId);
    await this.#cloud.firewallStands(instance.id);
    const hasProfile = textOf(resource, "iamInstanceProfile") !== "";
    if (hasProfile) mkdirSync(lab.stateDir, { recursive: true, mode: 0o700 });
    const process = await bootMachine(lab, instance.id, {
      hostname,
      layers: instance.layers,
      ...diskOf(resource),
      sharedFolders: hasProfile ? [lab.stateDir] : [],
    });
    await plugVolumesOf(this.#cloud, instance.id);
    this.#record(instance, { state: "running", process, bootDue: false, wasOn: true });
  }

  /** Ends whatever of the machine is on, and takes its network and mounts away. What it wrote stays. */
  async #switchOff(instance: Instance): Promise<void> {
    const { lab } = this.#cloud;
    this.#cloud.firewallGone(instance.id);
    await killMachine(lab, instance.id);
    await unplug(machineNetns(lab, instance.id), instance.id);
    await unplugVolumesOf(this.#cloud, instance.id);
    await unmountRoot(lab, instance.id);
    delete instance.process;
    this.#forgetFaults(instance.id);
  }

  /** A fault of a machine ends with the machine. */
  #forgetFaults(id: string): void {
    const { store } = this.#cloud;
    store.faults = store.faults.filter((fault) => !isFaultOf(fault, id));
  }

  /** The end of an instance: nothing of it stays but its record. */
  async #forgetMachine(instance: Instance, reason?: string): Promise<void> {
    rmSync(machineFiles(this.#cloud.lab, instance.id).dir, { recursive: true, force: true });
    detachVolumesOf(this.#cloud, instance.id);
    this.#record(instance, {
      state: "terminated",
      terminatedAt: new Date().toISOString(),
      ...(reason ? { stateReason: reason } : {}),
    });
    this.collectLayers();
    await this.#cloud.converge();
  }

  /** Terminates an instance; the promise ends when it is terminated. The plug is pulled: its data ends with it. */
  async terminate(id: string): Promise<void> {
    const instance = this.#instance(id);
    if (!exists(instance)) return;
    this.#record(instance, { state: "shutting-down", stateReason: "" });
    await this.#turn(id, async () => {
      if (!exists(instance)) return;
      await this.#switchOff(instance);
      await this.#forgetMachine(instance);
    });
  }

  /** Stops an instance: orderly, or with `force` by pulling the plug. The promise ends when it is stopped. */
  async stop(id: string, force = false): Promise<void> {
    const instance = this.#instance(id);
    if (instance.state !== "running" && instance.state !== "pending") return;
    this.#record(instance, { state: "stopping", bootDue: false });
    await this.#turn(id, async () => {
      if (instance.state !== "stopping") return;
      if (!force) await this.#powerOff(instance);
      await this.#switchOff(instance);
      this.#record(instance, { state: "stopped" });
      await this.#cloud.converge();
    });
  }

  /** Asks the operating system to power off, and waits for it (not for ever). */
  async #powerOff(instance: Instance): Promise<void> {
    const { lab } = this.#cloud;
    if (!askToPowerOff(lab, instance.id)) return;
    const deadline = performance.now() + powerOffDeadlineMs;
    while (leaderOf(lab, instance.id) !== undefined) {
      if (performance.now() > deadline) {
        this.#cloud.log(`${instance.id} did not power off within ${powerOffDeadlineMs} ms: pulling the plug`);
        return;
      }
      await delay(20);
    }
  }

  /** Starts a stopped instance; the promise ends when it is running. */
  async start(id: string): Promise<void> {
    const instance = this.#instance(id);
    const begin = () =>
      this.#record(instance, { state: "pending", stateReason: "", launchTime: new Date().toISOString() });
    if (instance.state === "stopped") begin();
    await this.#turn(id, async () => {
      if (instance.state === "stopped") begin(); // it was still stopping when it was asked to start
      if (instance.state === "pending") await this.#bootAgain(instance);
    });
  }

  /** Boots an instance that has run before: when it fails it is stopped, and keeps its data. */
  async #bootAgain(instance: Instance): Promise<void> {
    try {
      await this.#boot(instance);
    } catch (error) {
      await this.#switchOff(instance);
      this.#record(instance, {
        state: "stopped",
        stateReason: `Server.InternalError: ${(error as Error).message}`,
      });
      throw error;
    }
  }

  /** The power is lost, at once and silently: no packet of farewell leaves the machine. It stays off. */
  async losePower(id: string): Promise<void> {
    const instance = this.#instance(id);
    await silenceLink(id);
    this.#record(instance, { state: "stopping", stateReason: "Lab.PowerOff: a fault was injected" });
    await this.#turn(id, async () => {
      if (instance.state !== "stopping") return;
      await this.#switchOff(instance);
      this.#record(instance, { state: "stopped", stateReason: "Lab.PowerOff: a fault was injected" });
      await this.#cloud.converge();
    });
  }

  /**
   * Makes an image of an instance: what it wrote becomes a layer, by a rename, and the instance goes on with an empty
   * one over it. As on AWS a running instance is stopped for it and boots again, unless `withoutReboot`: then the
   * layer is a copy, of files that may be in the middle of a change.
   */
  image(instanceId: string, imageId: string, withoutReboot: boolean): Promise<Image> {
    return this.#turn(instanceId, async () => {
      const { lab, store } = this.#cloud;
      const instance = this.#instance(instanceId);
      const files = machineFiles(lab, instanceId);
      const layer = join(lab.imagesDir, imageId);
      mkdirSync(lab.imagesDir, { recursive: true });
      const image: Image = { id: imageId, layers: [layer, ...instance.layers] };
      if (withoutReboot && instance.state === "running") {
        store.images.set(imageId, image); // first, so that nobody collects the unfinished layer
        await run(["cp", "--archive", "--reflink=auto", files.upper, layer]).catch((error) => {
          store.images.delete(imageId);
          throw error;
        });
        store.save();
        return image;
      }
      const wasRunning = instance.state === "running";
      if (wasRunning) {
        this.#record(instance, { bootDue: true });
        await this.#powerOff(instance);
        await this.#switchOff(instance);
      }
      await mountOwnDisk(lab, instanceId);
      await moveLayer(files.upper, layer);
      rmSync(files.work, { recursive: true, force: true });
      await unmountRoot(lab, instanceId);
      instance.layers = image.layers;
      store.images.set(imageId, image);
      store.save();
      if (wasRunning) setTimeout(() => void this.bootDue(instanceId), bootAfterImageMs);
      return image;
    });
  }

  /** Boots an instance that was off for its image only. */
  async bootDue(id: string): Promise<void> {
    await this.#turn(id, async () => {
      const instance = this.#cloud.store.instances.get(id);
      if (instance?.bootDue && instance.state === "running") await this.#bootAgain(instance);
    }).catch((error: Error) => this.#cloud.log(`${id}: ${error.message}`));
  }

  /** Removes layers that neither an image nor an instance stands on any more. */
  collectLayers(): void {
    const { lab, store } = this.#cloud;
    const needed = new Set<string>();
    for (const image of store.images.values()) for (const layer of image.layers) needed.add(layer);
    for (const instance of store.instances.values()) {
      if (exists(instance)) for (const layer of instance.layers) needed.add(layer);
    }
    for (const layer of layersIn(lab.imagesDir)) {
      if (!needed.has(layer)) rmSync(layer, { recursive: true, force: true });
    }
  }

  /** Looks for machines that have ended by themselves; to be called often. */
  watch(): void {
    for (const instance of this.#cloud.store.instances.values()) {
      const gone = instance.state === "running" && instance.process && !isAlive(instance.process);
      if (gone) {
        void this.#turn(instance.id, () => this.#ended(instance)).catch((error: Error) =>
          this.#cloud.log(`${instance.id}: ${error.message}`),
        );
      }
      const age = instance.terminatedAt ? Date.now() - Date.parse(instance.terminatedAt) : 0;
      if (age > rememberTerminatedMs) this.#forgetRecord(instance.id);
    }
  }

  #forgetRecord(id: string): void {
    this.#cloud.store.instances.delete(id);
    this.#cloud.store.remove("ec2/instance", id);
    this.#cloud.store.save();
  }

  /** The machine is off, and nobody asked the cloud for it: a reboot or power-off from inside, or its nspawn died. */
  async #ended(instance: Instance): Promise<void> {
    if (instance.state !== "running" || !instance.process || isAlive(instance.process)) return;
    const status = exitStatus(this.#cloud.lab, instance.id);
    await this.#switchOff(instance);
    if (status === rebootStatus) {
      this.#cloud.log(`${instance.id} reboots`);
      await this.#bootAgain(instance);
      return;
    }
    const resource = this.#cloud.store.get("ec2/instance", instance.id);
    const inside = status === 0;
    const reason = inside ? "Client.InstanceInitiatedShutdown" : "Server.Lab: the machine's process ended";
    if (inside && resource && textOf(resource, "instanceInitiatedShutdownBehavior") === "terminate") {
      await this.#forgetMachine(instance, reason);
    } else {
      this.#record(instance, { state: "stopped", stateReason: reason });
      await this.#cloud.converge();
    }
  }

  /** A control plane that comes back: takes over what is on, and finishes what was begun. */
  async resume(): Promise<void> {
    const { store } = this.#cloud;
    const hostBoot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const hostWasOff = store.hostBoot !== undefined && store.hostBoot !== hostBoot;
    store.hostBoot = hostBoot;
    store.save();
    const work = [...this.#cloud.store.instances.values()].map(async (instance) => {
      if (instance.state === "shutting-down") await this.terminate(instance.id);
      else if (instance.state === "stopping") {
        instance.state = "running";
        await this.stop(instance.id, true);
      } else if (instance.state === "pending") await this.#resumePending(instance);
      else if (instance.state === "running" && hostWasOff) {
        // EC2 recovers instances whose host has failed.
        instance.bootDue = true;
        await this.bootDue(instance.id);
      } else if (instance.state === "running" && instance.bootDue) await this.bootDue(instance.id);
      else if (instance.state === "running" && instance.process && isAlive(instance.process)) {
        await this.#cloud.firewallStands(instance.id);
      }
    });
    for (const result of await Promise.allSettled(work)) {
      if (result.status === "rejected") this.#cloud.log(`resume: ${(result.reason as Error).message}`);
    }
  }

  /**
   * It was being booted when the control plane ended. One that has been on before starts again; a new one ends,
   * because whoever asked for it got no answer, does not know it, and will ask again.
   */
  async #resumePending(instance: Instance): Promise<void> {
    await this.#turn(instance.id, async () => {
      await this.#switchOff(instance);
      if (instance.wasOn) await this.#bootAgain(instance);
      else
        await this.#forgetMachine(
          instance,
          "Server.InternalError: the control plane ended during the launch",
        );
    });
  }
}

/** The size of an instance's root volume, if it names one. */
function diskOf({ inputs }: Resource): { diskGiB?: number } {
  const device = inputs.rootBlockDevice as { volumeSize?: unknown } | undefined;
  return typeof device?.volumeSize === "number" ? { diskGiB: device.volumeSize } : {};
}

/** By a rename; from a volume of its own by a copy. */
async function moveLayer(from: string, to: string): Promise<void> {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    await run(["cp", "--archive", from, `${to}.new`]);
    renameSync(`${to}.new`, to);
    rmSync(from, { recursive: true });
  }
}

function layersIn(imagesDir: string): string[] {
  try {
    return readdirSync(imagesDir).map((name) => join(imagesDir, name));
  } catch {
    return [];
  }
}
