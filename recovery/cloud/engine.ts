/** What recovery needs of the engine that builds machines. Pulumi does it; tests bring one of their own. */
import type { MachineName, Topology } from "../topology.ts";

export interface Engine {
  /** What the last `up` built; undefined while no `up` has ended yet. */
  topology(): Promise<Topology | undefined>;
  /**
   * Why machines must not be replaced by the program on this machine, because the last `up` ran another
   * one; undefined when they are the same.
   */
  whyProgramDiffers(): Promise<string | undefined>;
  /** Marks the machines so that whoever runs `up` next replaces them. */
  taint(machines: MachineName[]): Promise<void>;
  /** Takes that mark away; nothing happens where there is none. */
  untaint(machines: MachineName[]): Promise<void>;
  /** Runs `up` limited to these machines and what belongs to them (record, attachment); resolves with the new topology. */
  launch(machines: MachineName[]): Promise<Topology | undefined>;
  /** Runs `up` limited to the records of these machines, which are what they were. */
  updateRecords(machines: MachineName[]): Promise<void>;
}
