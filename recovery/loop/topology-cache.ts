/** The last known topology, on disk, with the newer addresses from the cloud. */
import { join } from "node:path";
import type { Log } from "../log.ts";
import type { Machines } from "../observe/machines.ts";
import { diskReader, readKept } from "../storage/files.ts";
import { machineNames, type Topology, topologySchema } from "../topology.ts";

export const topologyFile = (stateDir: string) => join(stateDir, "topology.json");

/** Undefined when there is none, or (with a warning) when it is damaged or of another version of the program. */
export function cachedTopology(stateDir: string, log: Pick<Log, "warn">): Promise<Topology | undefined> {
  return readKept(diskReader, topologyFile(stateDir), topologySchema, log);
}

/** The topology with the machines as recovery knows them now. */
export function withMachines(topology: Topology, machines: Machines): Topology {
  const entries = machineNames.map((name) => {
    const { instanceId, address } = machines[name];
    const before = topology.machines[name];
    return [
      name,
      { ...before, instanceId: instanceId ?? before.instanceId, address: address ?? before.address },
    ];
  });
  return { ...topology, machines: Object.fromEntries(entries) };
}
