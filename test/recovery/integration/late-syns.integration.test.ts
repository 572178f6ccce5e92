/**
 * Planned switches on a slow network: a proxy's connection to the old master is still on its way while recovery reads the
 * proxies' lists of sessions, and arrives afterwards. No acknowledged write may be lost, and no short client may see an error.
 *
 * The longer experiment of issue 11: BARTON_TEST_SWITCHES=80 BARTON_TEST_LATE_PERCENT=1 scripts/test test/recovery/integration/late-syns
 */
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { rollReason } from "../../../recovery/decide/memory/memory.ts";
import { failover } from "../../../recovery/orders/failover.ts";
import { switchover } from "../../../recovery/orders/switchover.ts";
import type { RedisMachine } from "../../../recovery/topology.ts";
import { makeSynsLate } from "./late-syns.ts";
import { ShortClients } from "./short-clients.ts";
import { canSilence } from "./silence.ts";
import { TestWorld } from "./world.ts";

const switches = Number(process.env.BARTON_TEST_SWITCHES ?? 8);
const percent = Number(process.env.BARTON_TEST_LATE_PERCENT ?? 25);
/** Milliseconds: less than `connectTimeoutMs` of 200, after which haproxy tries again; the second is more than the drain takes. */
const delays = [60, 150];
const lanes = 16;
const port = 9001;

let world: TestWorld;
afterEach(() => world.close());

const options = () => ({
  reconciler: world.reconciler,
  engine: world.engine(),
  clock: systemClock,
  say: () => {},
  signal: new AbortController().signal,
});

const orders = {
  failover: (machine: RedisMachine) => failover(machine, rollReason, options()),
  switchover: (machine: RedisMachine) => switchover(machine, options()),
};

/** Orders `switches` switches while short clients write, and says what was lost and what went wrong. */
async function experiment(kind: keyof typeof orders, delayMs: number) {
  world = await TestWorld.healthy({ shards: 1 });
  const { address } = world.machine("haproxy1");
  const arriveAgain = await makeSynsLate({ from: address, port, percent, delayMs });
  const clients = new ShortClients(address, 8001, lanes);
  const lost: string[] = [];
  let lossy = 0;
  try {
    for (let count = 0; count < switches; count += 1) {
      const before = clients.acknowledged.length;
      await world.until("writes", () => clients.acknowledged.length > before + 200);
      const master = world.status?.shards[0]?.master as RedisMachine;
      expect(await orders[kind](master)).toMatchObject({ ok: true });
      await world.untilHealthy();
      const successor = world.status?.shards[0]?.master as RedisMachine;
      expect(successor).not.toBe(master);
      const gone = await clients.lostAt(world.machine(successor).address, port, before);
      lost.push(...gone);
      if (gone.length > 0) lossy += 1;
    }
  } finally {
    await clients.stop();
    arriveAgain();
  }
  console.info(
    `${kind}, ${delayMs} ms: ${switches} switches, ${clients.acknowledged.length} writes acknowledged, ${lost.length} of them lost in ${lossy} switches, ${clients.errors.length} errors`,
  );
  return { lost, errors: clients.errors };
}

const cases = (["failover", "switchover"] as const).flatMap((kind) =>
  delays.map((delayMs) => ({ kind, delayMs })),
);

test.skipIf(!canSilence).each(cases)(
  "$kind: SYNs of the proxy are $delayMs ms late, nothing that was acknowledged is lost, and no client sees an error",
  async ({ kind, delayMs }) => {
    expect(await experiment(kind, delayMs)).toEqual({ lost: [], errors: [] });
  },
  60_000 + switches * 15_000,
);
