/** In which state a run ended, in words that a lab can be asked for too. */
import type { MachineName, RedisMachine } from "../../recovery/topology.ts";
import { machineNames, redisMachines } from "../../recovery/topology.ts";
import type { Schedule } from "./faults/fault.ts";
import { Simulation } from "./simulation.ts";
import type { World } from "./world.ts";

export interface EndState {
  /** The master of each shard; all else is as it should be, or the run has not ended. */
  masters: RedisMachine[];
  /** Machines that were replaced. */
  replaced: MachineName[];
  /** Per shard: did it get a new term, because somebody was promoted? */
  promoted: boolean[];
}

/**
 * Runs a schedule in the model, from a state in which all is well with these masters. `lagMs`: how many milliseconds more the
 * packets of these machines take at most. @throws when a rule is broken.
 */
export async function endStateOf(
  masters: RedisMachine[],
  schedule: Schedule,
  seed: number,
  lagMs: Partial<Record<MachineName, number>> = {},
): Promise<EndState> {
  const simulation = new Simulation({ seed, masters, schedule });
  const { world } = simulation;
  for (const name of machineNames) world.lagMs.set(world.current(name).id, lagMs[name] ?? 0);
  const { violation } = await simulation.run();
  if (violation) throw new Error(`the model breaks ${violation.check}: ${violation.text}`);
  return describe(world);
}

function describe(world: World): EndState {
  const serverOf = (machine: RedisMachine, shard: number) => world.current(machine).servers[shard - 1];
  const masters = world.shards.map((shard) => {
    const master = redisMachines.find((machine) => serverOf(machine, shard)?.role === "master");
    if (!master) throw new Error(`shard ${shard} has no master in the model`);
    return master;
  });
  const launched = (name: MachineName) => world.instances.filter(({ machine }) => machine === name).length;
  return {
    masters,
    replaced: machineNames.filter((name) => launched(name) > 1),
    promoted: masters.map((master, i) => (serverOf(master, i + 1)?.data.epoch ?? 0) > 1),
  };
}
