/** Promotes a replica and writes the new epoch into its data. Nothing else makes a server master (rule 1). */
import { type Clock, within } from "../clock.ts";
import type { RedisConnection } from "../observe/links.ts";
import { raiseEpoch } from "../observe/own-keys.ts";
import type { RedisMachine } from "../topology.ts";
import { answerMaxMs, commandTimeoutMs, redisOf, type World } from "./world.ts";

/**
 * Looks once more at the server, and makes it master: the fence before this step takes its time (rules 3 and 7).
 *
 * @throws when it has begun to receive or load a copy since the decision, when its data are of a later epoch by now, or when it does
 *   not answer as a master afterwards.
 */
export async function promote(
  world: World,
  { shard, machine, epoch }: { shard: number; machine: RedisMachine; epoch: number },
): Promise<void> {
  const link = redisOf(world, machine, shard);
  const why = await whyNotAnyMore(link, epoch, world.clock, answerMaxMs(world));
  if (why) throw new Error(`${machine} is not promoted for shard ${shard}: ${why}`);
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
  const { instanceId } = world.board.facts().machines[machine];
  world.remember({ event: "promoted", shard, machine, epoch, instanceId });
}

async function whyNotAnyMore(
  link: RedisConnection,
  epoch: number,
  clock: Clock,
  limitMs: number,
): Promise<string | undefined> {
  const answer = await within(clock, limitMs, link.ask(), undefined);
  if (!answer) return `it has not answered within ${limitMs} ms`;
  if ("refusal" in answer) return `it refuses recovery: ${answer.refusal.text}`;
  const { info } = answer;
  if (info.loading) return "it loads its data";
  if (info.follows?.syncing) return "it receives a copy";
  if (info.epoch === undefined) return "its epoch cannot be read";
  return info.epoch >= epoch ? `its data are of epoch ${info.epoch}, not older than ${epoch}` : undefined;
}

/** Writes the epoch into a master's data again. */
export async function writeEpoch(
  world: World,
  { shard, machine, epoch }: { shard: number; machine: RedisMachine; epoch: number },
): Promise<void> {
  await redisOf(world, machine, shard).run([raiseEpoch(epoch)], commandTimeoutMs);
}
