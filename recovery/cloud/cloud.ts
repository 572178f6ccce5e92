/** What recovery needs of a cloud: to see instances and to switch one off. Tests bring a cloud of their own. */
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
  /** All instances of this stack, dead ones included as long as the cloud remembers them. */
  describe(): Promise<Instance[]>;
  /** Requests that the instance be terminated; resolves when the request was accepted, not when it is off. */
  powerOff(instanceId: string): Promise<void>;
}
