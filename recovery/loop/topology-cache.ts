/** The topology as this machine last knew it, with the addresses that the cloud told since. */
import { join } from "node:path";
import { readJson } from "../storage/files.ts";
import { type Topology, topologySchema } from "../topology.ts";

export const topologyFile = (stateDir: string) => join(stateDir, "topology.json");

/** Undefined when there is none, or when it is of another version of the program. */
export async function cachedTopology(stateDir: string): Promise<Topology | undefined> {
  return topologySchema.safeParse(await readJson(topologyFile(stateDir))).data;
}
