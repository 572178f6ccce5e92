/** What recovery needs from the engine that builds machines, which is Pulumi. Tests use an engine of their own. */
import type { MachineName, Topology } from "../topology.ts";

export interface Engine {
  /** What the last `up` built; undefined while no `up` has ended yet. */
  topology(): Promise<Topology | undefined>;
  /**
   * Why this machine's program must not replace machines: the last `up` ran another one. Undefined if the two are the same.
   */
  whyProgramDiffers(): Promise<string | undefined>;
  /** Taints the machines: the next `up`, by a person or a program, replaces them. */
  taint(machines: MachineName[]): Promise<void>;
  /** Removes the taint. Does nothing where there is none. */
  untaint(machines: MachineName[]): Promise<void>;
  /** Runs `up` limited to these machines and their own resources (record, attachment). Resolves with the new topology. */
  launch(machines: MachineName[]): Promise<Topology | undefined>;
  /** Runs `up` limited to the DNS records of these machines. The machines stay as they are. */
  updateRecords(machines: MachineName[]): Promise<void>;
}
