/** Replication: makes a server follow another one, and waits until it has everything. */
import { within } from "../clock.ts";
import type { ProxyMachine, RedisMachine } from "../topology.ts";
import { proxyMachines } from "../topology.ts";
import { resumeWrites } from "./paused-writes.ts";
import { release } from "./release.ts";
import { addressOf, answerMaxMs, commandTimeoutMs, redisOf, shardOf, type World } from "./world.ts";

/** Makes `machine` a replica of `master`, by address: a name may lead to a machine that is gone. */
export async function follow(
  world: World,
  { shard, machine, master }: { shard: number; machine: RedisMachine; master: RedisMachine },
): Promise<void> {
  const { redisPort } = shardOf(world, shard);
  const command: [string, ...string[]] = ["REPLICAOF", addressOf(world, master), String(redisPort)];
  await redisOf(world, machine, shard).run([command], commandTimeoutMs);
}

/** How long traffic may wait for a replica that lags behind, before the planned switch ends in vain. */
const catchUpMaxMs = 1_500;
const pauseMs = 3;

/**
 * Waits until `to` has received everything that `from` has written, which executes no more writes (the step before this).
 *
 * @throws when it does not within 1.5 s (the traffic goes to `from` again then), or when one of them does not answer. `from` is
 *   told then to execute writes again.
 */
export async function catchUp(
  world: World,
  { shard, from, to }: { shard: number; from: RedisMachine; to: RedisMachine },
): Promise<void> {
  try {
    await untilCaughtUp(world, { shard, from, to });
  } catch (error) {
    // Nobody waits for its answer: it may be the one that has fallen silent.
    resumeWrites(world, { shard, machine: from }).catch(() => {});
    throw error;
  }
}

async function untilCaughtUp(
  world: World,
  { shard, from, to }: { shard: number; from: RedisMachine; to: RedisMachine },
): Promise<void> {
  const deadlineMs = world.clock.now() + catchUpMaxMs;
  const address = addressOf(world, from);
  const written = await offsetOf(world, from, shard);
  let received = await offsetOf(world, to, shard);
  while (received < written) {
    if (world.clock.now() > deadlineMs) {
      const lag = `${to} lags ${written - received} bytes behind ${from} for shard ${shard}`;
      // Its successor, if it was replaced meanwhile, is nobody's master.
      if (addressOf(world, from) !== address)
        throw new Error(`${lag}, and ${from} is another machine by now`);
      await release(world, { shard, machine: from, proxies: reachable(world) });
      throw new Error(`${lag}; traffic goes to ${from} again`);
    }
    await world.clock.sleep(pauseMs);
    received = await offsetOf(world, to, shard);
  }
}

async function offsetOf(world: World, machine: RedisMachine, shard: number): Promise<number> {
  const limitMs = answerMaxMs(world);
  const answer = await within(world.clock, limitMs, redisOf(world, machine, shard).ask(), undefined);
  if (!answer) throw new Error(`${machine} has not answered for shard ${shard} within ${limitMs} ms`);
  if ("refusal" in answer) throw new Error(`${machine} refuses recovery: ${answer.refusal.text}`);
  return answer.info.offset;
}

function reachable(world: World): ProxyMachine[] {
  const { proxies } = world.board.facts();
  return proxyMachines.filter((proxy) => proxies[proxy].look.state === "up");
}
