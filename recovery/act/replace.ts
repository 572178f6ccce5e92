/**
 * Condemns and replaces a machine. None of this is on the promotion path (rule 9): these steps belong to subjects of their own, and
 * no shard waits for them.
 */
import type { MachineName, Topology } from "../topology.ts";
import type { World } from "./world.ts";

/** Nobody uses or judges the instance any more; the rest of the replacement follows from that memory. */
export async function stopMonitoring(
  world: World,
  { machine, instanceId, because }: { machine: MachineName; instanceId?: string; because: string },
): Promise<void> {
  world.remember({ event: "condemned", machine, instanceId, because });
}

/** The machine is used again from now on; that its taint is to be taken away is in the same memory. */
export async function takeBack(
  world: World,
  { machine, because }: { machine: MachineName; because: string },
): Promise<void> {
  world.remember({ event: "taken back", machine, because });
}

/** Whoever runs `up` next, person or program, replaces the machines. */
export async function taint(world: World, { machines }: { machines: MachineName[] }): Promise<void> {
  // Needed next, and slow: begun now, beside the taint.
  world.engine.whyProgramDiffers().catch(() => {});
  await world.engine.taint(machines);
  for (const machine of machines) world.remember({ event: "tainted", machine });
}

/** Nobody's `up` replaces the machines any more. */
export async function untaint(world: World, { machines }: { machines: MachineName[] }): Promise<void> {
  await world.engine.untaint(machines);
  for (const machine of machines) world.remember({ event: "untainted", machine });
}

/** How long a replacement holds until the program is compared again. */
const heldMs = 30_000;

/** @throws when the last `up` ran another program: an older copy would undo an engineer's change. */
export async function checkProgram(world: World, { machines }: { machines: MachineName[] }): Promise<void> {
  const why = await world.engine.whyProgramDiffers();
  if (why === undefined) return;
  const untilMs = world.clock.now() + heldMs;
  for (const machine of machines) world.remember({ event: "held", machine, why, untilMs });
  throw new Error(why);
}

/** Requests termination; nobody waits for it, because it may take as long as a launch. */
export async function powerOff(
  world: World,
  { machine, instanceId }: { machine: MachineName; instanceId?: string },
): Promise<void> {
  if (instanceId) await world.cloud.powerOff(instanceId);
  world.remember({ event: "power-off accepted", machine });
}

/**
 * Runs the engine for these machines and their records. Afterwards, instances of theirs that the engine
 * does not know of (a killed run had launched them) are powered off.
 */
export async function launch(world: World, { machines }: { machines: MachineName[] }): Promise<void> {
  const topology = await world.engine.launch(machines);
  for (const machine of machines) {
    world.remember({ event: "launched", machine, instanceId: topology?.machines[machine].instanceId });
  }
  if (!topology) return;
  world.board.learn(topology, machines);
  await powerOffStrays(world, topology, machines);
}

/** A machine that its group has launched gets its name: the program looks up which instance that is. */
export async function updateRecord(
  world: World,
  { machine, instanceId }: { machine: "monit"; instanceId?: string },
): Promise<void> {
  await world.engine.updateRecords([machine]);
  world.remember({ event: "recorded", instanceId });
}

async function powerOffStrays(world: World, topology: Topology, machines: MachineName[]): Promise<void> {
  const instances = await world.cloud.describe();
  const strays = instances.filter(({ machine, instanceId, state }) => {
    const isOurs = machines.includes(machine) && topology.machines[machine].instanceId !== instanceId;
    return isOurs && (state === "running" || state === "pending");
  });
  for (const { machine, instanceId } of strays) {
    world.log.warn({ machine, instanceId }, "an instance that the engine does not know is powered off");
    await world.cloud.powerOff(instanceId);
  }
}
