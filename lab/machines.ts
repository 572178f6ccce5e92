/** Reads a lab's machines from its record, without the control plane, which may be down. */
import { existsSync } from "node:fs";
import { leaderOf } from "./control-plane/machine.ts";
import { readData } from "./control-plane/store.ts";
import { findMachine, type MachineView, machineViews } from "./control-plane/view.ts";
import { type Lab, LabError } from "./lab.ts";

/** All instances that exist, the newest first. Throws when there is no such lab. */
export function machinesOf(lab: Lab): MachineView[] {
  if (!existsSync(lab.dir)) {
    throw new LabError(`There is no lab ${lab.name}: \`scripts/lab up --name ${lab.name}\` makes it.`);
  }
  return machineViews(readData(lab.resourcesFile));
}

/** The machine that a person means, or an error that names those there are. */
export function machineNamed(lab: Lab, name: string): MachineView {
  const machines = machinesOf(lab);
  const machine = findMachine(machines, name);
  if (machine) return machine;
  const names = [...new Set(machines.map((each) => each.name))].sort().join(", ") || "none";
  throw new LabError(`There is no machine ${JSON.stringify(name)} in lab ${lab.name}; it has: ${names}.`);
}

/** A machine that is on, and the host's pid of its systemd. */
export function runningMachine(lab: Lab, name: string): { machine: MachineView; leader: number } {
  const machine = machineNamed(lab, name);
  const leader = leaderOf(lab, machine.instanceId);
  if (leader) return { machine, leader: leader.pid };
  throw new LabError(`${name} is not on: its instance ${machine.instanceId} is ${machine.state}.`);
}
