/** The lab for people: machines by name, and the faults in effect. Pure: also used without a control plane. */
import { tagsOf, textOf } from "./plan.ts";
import type { Fault, Instance, Resource } from "./store.ts";

export type MachineView = {
  /** `redis1`; for other instances (builders…) the tag `Name`, or the id. */
  name: string;
  instanceId: string;
  /** Null once it is terminated. */
  address: string | null;
  state: Instance["state"];
  stateReason?: string;
  /** One of the stack's own machines: it has the tag `barton:machine`. */
  isMember: boolean;
  hasProfile: boolean;
  launchTime: string;
};

type Records = { resources: Iterable<Resource>; instances: Iterable<Instance> };

/** All instances that exist, the newest first; terminated ones are left out. */
export function machineViews({ resources, instances }: Records): MachineView[] {
  const byId = new Map(
    [...resources].filter((each) => each.type === "ec2/instance").map((each) => [each.id, each]),
  );
  return [...instances]
    .filter((instance) => instance.state !== "terminated")
    .sort((a, b) => b.launchTime.localeCompare(a.launchTime))
    .map((instance) => view(instance, byId.get(instance.id)));
}

function view(instance: Instance, resource: Resource | undefined): MachineView {
  const tags = resource ? tagsOf(resource) : {};
  return {
    name: tags["barton:machine"] ?? tags.Name ?? instance.id,
    instanceId: instance.id,
    address: instance.privateIp,
    state: instance.state,
    ...(instance.stateReason ? { stateReason: instance.stateReason } : {}),
    isMember: tags["barton:machine"] !== undefined,
    hasProfile: resource !== undefined && textOf(resource, "iamInstanceProfile") !== "",
    launchTime: instance.launchTime,
  };
}

/** One entry per machine of the stack: its newest instance; an ending one only while there is no other. */
export function memberViews(views: readonly MachineView[]): MachineView[] {
  const order = (each: MachineView) => (each.state === "shutting-down" ? 1 : 0);
  const members = views.filter((each) => each.isMember).sort((a, b) => order(a) - order(b));
  const names = [...new Set(members.map((each) => each.name))];
  return names
    .flatMap((name) => members.find((each) => each.name === name) ?? [])
    .sort((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

/** The order in which people read them. */
const usualOrder = ["redis1", "redis2", "haproxy1", "haproxy2", "app", "monit"];
const rank = (name: string) => (usualOrder.indexOf(name) + usualOrder.length + 1) % (usualOrder.length + 1);

/** The instance that a person means: by machine name (with or without domain), tag `Name`, or instance id. */
export function findMachine(views: readonly MachineView[], name: string): MachineView | undefined {
  return (
    memberViews(views).find((each) => each.name === name || name.split(".")[0] === each.name) ??
    views.find((each) => each.instanceId === name) ??
    views.find((each) => each.name === name || each.name.split(".")[0] === name)
  );
}

/** A fault in the words of the command that made it. */
export function faultText(fault: Fault, nameOf: (instanceId: string) => string): string {
  switch (fault.kind) {
    case "disk-full":
    case "vanish":
      return `${fault.kind} ${nameOf(fault.instanceId)}`;
    case "hang":
      return `hang ${nameOf(fault.instanceId)}:${fault.service}`;
    case "pause":
      return `pause ${nameOf(fault.instanceId)}:${fault.service} --seconds ${fault.seconds}`;
    case "lossy":
      return `lossy ${nameOf(fault.instanceId)} --percent ${fault.percent}`;
    case "api": {
      const late = fault.lateSeconds === undefined ? "" : ` --late ${fault.lateSeconds}`;
      return `api ${fault.mode}${late}${fault.seconds === undefined ? "" : ` --for ${fault.seconds}`}`;
    }
    case "dns":
    case "stale-lock":
      return fault.kind;
    case "partition":
      return `partition ${fault.oneWay ? "--one-way " : ""}${nameOf(fault.instanceId)} ${nameOf(fault.peerId)}`;
  }
}
