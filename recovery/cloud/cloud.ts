/** What recovery needs from a cloud: list instances, and power one off. Tests use a cloud of their own. */
import type { CloudState } from "../observe/facts.ts";
import type { MachineName } from "../topology.ts";

/** One instance that carries barton's tags. */
export interface Instance {
  machine: MachineName;
  instanceId: string;
  state: CloudState;
  /** Private IPv4 address; undefined before it is assigned and after termination. */
  address?: string;
  /** ISO 8601. */
  launchedAt: string;
}

export interface Cloud {
  /** All instances of this stack, terminated ones included as long as the cloud lists them. */
  describe(): Promise<Instance[]>;
  /** Requests the termination of the instance. Resolves when the request is accepted, not when the instance is off. */
  powerOff(instanceId: string): Promise<void>;
}
