/**
 * The memory of the control plane: resources, instances, images and faults, in one JSON file.
 *
 * Every change is on disk, by an atomic rename, before it is confirmed. So a control plane that is killed at any moment starts again
 * with exactly what it has confirmed. There is no other logic here.
 */

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { InstanceState } from "../ec2-api/world.ts";
import type { ProcessId } from "./processes.ts";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Inputs = Record<string, Json | undefined>;

/** One resource of the API. `type` is `ec2/vpc`, `route53/record`, …: the middle of Pulumi's type token. */
export type Resource = {
  type: string;
  id: string;
  inputs: Inputs;
  /** What the control plane decided when it was made: arn, generated ids. */
  attributes: Record<string, Json>;
};

/** The machine behind an `ec2/instance`. */
export type Instance = {
  id: string;
  state: InstanceState;
  /** Why it is in this state, if nobody asked for it. */
  stateReason?: string;
  /** ISO 8601. */
  launchTime: string;
  terminatedAt?: string;
  subnetId: string;
  mac: string;
  privateIp: string;
  /** Lower layers of its root, the topmost first, as absolute paths; the last is the base image. */
  layers: string[];
  /** The shell that stands over nspawn while the machine is on: pid, and start time in clock ticks. */
  process?: { pid: number; startTime: string };
  /** It counts as running, and boots as soon as the control plane comes to it (after its image was made). */
  bootDue?: boolean;
  /** It has been running at least once: whoever launched it knows of it. */
  wasOn?: boolean;
};

/** An image: its layers, the topmost first, as {@link Instance.layers}. */
export type Image = { id: string; layers: string[] };

/** A fault that is in effect until it is healed or its machine is gone. */
export type Fault =
  | { kind: "vanish"; instanceId: string }
  | { kind: "hang"; instanceId: string; service: string; processes: { pid: number; startTime: string }[] }
  /** As hang, until `until` (ISO 8601). */
  | {
      kind: "pause";
      instanceId: string;
      service: string;
      processes: { pid: number; startTime: string }[];
      seconds: number;
      until: string;
    }
  /** Its volumes have no space left; `holders` keep that of its data volumes. */
  | { kind: "disk-full"; instanceId: string; holders: ProcessId[] }
  /** Of the packets to and from the machine, `percent` are lost. */
  | { kind: "lossy"; instanceId: string; percent: number }
  /** Packets from `instanceId` to `peerId` disappear; with `oneWay` false also the other way. */
  | { kind: "partition"; instanceId: string; peerId: string; oneWay: boolean }
  | ApiFault
  /** The resolvers of all VPCs answer nobody. */
  | { kind: "dns" }
  /** A lock of Pulumi's whose owner is dead; `file` is absolute. */
  | { kind: "stale-lock"; file: string };

/** The EC2 and resource APIs are slow, failing or out of capacity; with `until` (ISO 8601) for a while. */
export type ApiFault = {
  kind: "api";
  mode: ApiFaultMode;
  /** For `slow`: how late each answer is, in seconds. */
  lateSeconds?: number;
  seconds?: number;
  until?: string;
};
export const apiFaultModes = ["slow", "failing", "full"] as const;
export type ApiFaultMode = (typeof apiFaultModes)[number];

/** Whether a fault is one of this machine, or of its link. */
export function isFaultOf(fault: Fault, instanceId: string): boolean {
  if (fault.kind === "partition" && fault.peerId === instanceId) return true;
  return "instanceId" in fault && fault.instanceId === instanceId;
}

type Data = {
  version: 1;
  /** The kernel's id of the host's boot: another one means that the host was off in between. */
  hostBoot?: string;
  resources: Resource[];
  instances: Instance[];
  images: Image[];
  faults: Fault[];
};

export class Store {
  readonly #file: string;
  readonly #resources = new Map<string, Resource>();
  readonly instances = new Map<string, Instance>();
  readonly images = new Map<string, Image>();
  faults: Fault[] = [];
  hostBoot: string | undefined;

  /** Reads the file if there is one. A file that is no JSON is an error: it is never replaced silently. */
  constructor(file: string) {
    this.#file = file;
    const data = readData(file);
    for (const resource of data.resources) this.#resources.set(key(resource.type, resource.id), resource);
    for (const instance of data.instances) this.instances.set(instance.id, instance);
    for (const image of data.images) this.images.set(image.id, image);
    this.faults = data.faults;
    this.hostBoot = data.hostBoot;
  }

  get(type: string, id: string): Resource | undefined {
    return this.#resources.get(key(type, id));
  }

  list(type: string): Resource[] {
    return [...this.#resources.values()].filter((resource) => resource.type === type);
  }

  /** Adds or replaces; the caller saves. */
  put(resource: Resource): void {
    this.#resources.set(key(resource.type, resource.id), resource);
  }

  remove(type: string, id: string): void {
    this.#resources.delete(key(type, id));
  }

  /** Puts everything on disk. To be called after each change, before anybody is told of it. */
  save(): void {
    const data: Data = {
      version: 1,
      ...(this.hostBoot === undefined ? {} : { hostBoot: this.hostBoot }),
      resources: [...this.#resources.values()],
      instances: [...this.instances.values()],
      images: [...this.images.values()],
      faults: this.faults,
    };
    const temporary = `${this.#file}.tmp`;
    // User data may hold secrets.
    writeFileSync(temporary, JSON.stringify(data, null, 1), { mode: 0o600 });
    renameSync(temporary, this.#file);
  }
}

/** The file's content as it is, for those who only look (status, exec) while the control plane may be down. */
export function readData(file: string): Data {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Data;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return { version: 1, resources: [], instances: [], images: [], faults: [] };
    }
    throw new Error(
      `${file}, the lab's record, cannot be read: ${(error as Error).message}. Remove the lab with scripts/lab down and make it again.`,
    );
  }
}

function key(type: string, id: string): string {
  return `${type}/${id}`;
}
