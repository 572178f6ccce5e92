/** Promotes a replica and writes the new epoch into its data. Nothing else makes a server master (rule 1). */
import { raiseEpoch } from "../observe/own-keys.ts";
import type { RedisMachine } from "../topology.ts";
import { commandTimeoutMs, redisOf, type World } from "./world.ts";

/** @throws when the server does not answer as a master with this epoch afterwards. */
export async function promote(
  world: World,
  { shard, machine, epoch }: { shard: number; machine: RedisMachine; epoch: number },
): Promise<void> {
  const link = redisOf(world, machine, shard);
  // One round trip: the epoch is there before the first client's write can be.
  const [, , written] = await link.run(
    [
      ["REPLICAOF", "NO", "ONE"],
      // It may have been the old master of a planned switch a moment ago: its pause would keep the next command waiting.
      ["CLIENT", "UNPAUSE"],
      raiseEpoch(epoch),
    ],
    commandTimeoutMs,
  );
  if (Number(written) !== epoch) {
    throw new Error(
      `${machine} has epoch ${written} of shard ${shard}: another promotion came later than number ${epoch}`,
    );
  }
  const [role] = await link.run([["ROLE"]], commandTimeoutMs);
  if (!Array.isArray(role) || String(role[0]) !== "master") {
    throw new Error(`${machine} did not become master of shard ${shard}`);
  }
  world.remember({ event: "promoted", shard, machine, epoch });
}

/** Writes the epoch into a master's data again. */
export async function writeEpoch(
  world: World,
  { shard, machine, epoch }: { shard: number; machine: RedisMachine; epoch: number },
): Promise<void> {
  await redisOf(world, machine, shard).run([raiseEpoch(epoch)], commandTimeoutMs);
}
