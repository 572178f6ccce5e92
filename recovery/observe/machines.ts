/**
 * Which instance is which machine now. It starts with the program's topology. When a machine is replaced, the cloud's tags
 * name the new instance, long before the `up` that replaces it has ended.
 */
import type { Instance } from "../cloud/cloud.ts";
import { type MachineName, machineNames, type Topology } from "../topology.ts";
import type { CloudState, MachineFacts } from "./facts.ts";

export type Machines = Record<MachineName, MachineFacts>;

/** The machines as the program built them, before the cloud has been asked. */
export function machinesOf(topology: Topology, nowMs: number): Machines {
  return eachMachine((name) => {
    const { instanceId, address } = topology.machines[name];
    return { instanceId, address, knownSinceMs: nowMs, othersAlive: [] };
  });
}

/**
 * The machine after the engine has reported the instance that replaces the present one. The cloud may not show the new
 * instance yet, and may not say yet that the former one is off.
 */
export function succeededBy(
  { instanceId: former, cloud, othersAlive, former: formers = [] }: MachineFacts,
  next: Pick<MachineFacts, "instanceId" | "address">,
  nowMs: number,
): MachineFacts {
  const own = former === undefined ? [] : [former];
  return {
    ...next,
    knownSinceMs: nowMs,
    former: [...formers, ...own],
    othersAlive: [...othersAlive, ...(isOff(cloud) ? [] : own)],
  };
}

/**
 * The machines after the cloud was asked. The newest instance that is not on its way out counts. If the known instance is gone
 * and no other one lives, the newest counts nevertheless: otherwise recovery would wait for ever for an instance that was
 * launched as the successor and lost before anybody saw it.
 */
export function withCloudView(machines: Machines, instances: Instance[], nowMs: number): Machines {
  return eachMachine((name) => {
    const before = machines[name];
    const own = instances.filter(({ machine }) => machine === name).sort(newestFirst);
    const known = own.find(({ instanceId }) => instanceId === before.instanceId);
    const { former = [] } = before;
    // A late view may still show an instance as alive that recovery knows to be replaced.
    const newest = own.find((one) => isAlive(one) && !former.includes(one.instanceId));
    const current = newest ?? (known?.state === "terminated" ? own[0] : known);
    const othersAlive = own
      .filter((one) => one !== current && !isOff(one.state))
      .map((one) => one.instanceId);
    if (!current) {
      const isLate = former.length > 0 && before.cloud === undefined;
      return { ...before, cloud: isLate ? undefined : "missing", othersAlive };
    }
    const isSame = current.instanceId === before.instanceId;
    return {
      ...(isSame ? { former } : { former: [...former, ...(before.instanceId ? [before.instanceId] : [])] }),
      instanceId: current.instanceId,
      address: current.address ?? (isSame ? before.address : undefined),
      cloud: current.state,
      knownSinceMs: isSame ? before.knownSinceMs : nowMs,
      othersAlive,
    };
  });
}

/**
 * True if nothing can run on the instance: it is off for good, or until somebody starts it. Only these states prove a fence.
 * `missing` does not: a running instance looks missing if somebody has removed its tag.
 */
export function isOff(state: CloudState | undefined): boolean {
  return state === "stopped" || state === "terminated";
}

/** True if the instance is neither off nor about to be. */
function isAlive({ state }: Instance): boolean {
  return state === "running" || state === "pending";
}

function newestFirst(a: Instance, b: Instance): number {
  return b.launchedAt.localeCompare(a.launchedAt) || b.instanceId.localeCompare(a.instanceId);
}

function eachMachine(of: (name: MachineName) => MachineFacts): Machines {
  return Object.fromEntries(machineNames.map((name) => [name, of(name)])) as Machines;
}
