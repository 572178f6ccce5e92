/** An older monitor does not act as soon as a younger one's entry is missing: the proxy that had it may just have restarted. */
import { expect, test } from "vitest";
import type { Clock } from "../../../recovery/clock.ts";
import { Presence } from "../../../recovery/loop/announce.ts";
import { monitorId } from "../../../recovery/loop/monitor-id.ts";
import type { Board } from "../../../recovery/observe/board.ts";
import { proxyMachines } from "../../../recovery/topology.ts";
import { down, World } from "../world-of-facts.ts";

const older = monitorId({ launchedAt: "2026-11-25T03:00:00.000Z", instanceId: "i-monit" });
const younger = monitorId({ launchedAt: "2026-11-25T03:00:01.000Z", instanceId: "i-another" });

test("one proxy is silent and the other one has restarted: the older monitor waits for three seconds (simulation)", async () => {
  let nowMs = 0;
  const clock: Clock = { now: () => nowMs, date: () => new Date(nowMs), sleep: async () => {} };
  const world = new World();
  world.facts.self = older;
  const tell = (...monitors: string[]) => {
    for (const proxy of proxyMachines) {
      const { view } = world.facts.proxies[proxy];
      if (view) view.monitors = monitors;
    }
  };
  const stop = new AbortController();
  const board = { facts: () => world.facts, proxy: () => undefined } as unknown as Board;
  const presence = new Presence({ board, clock, self: older });
  tell(older);
  const running = presence.run(stop.signal);
  presence.note(world.facts);
  expect(presence.mayAct).toBe(true);

  tell(older, younger);
  presence.note(world.facts);
  world.facts.proxies.haproxy1.look = down("silent");
  tell();
  presence.note(world.facts);
  expect(presence.mayAct).toBe(false);
  nowMs += 3_000;
  presence.note(world.facts);
  expect(presence.mayAct).toBe(false);
  nowMs += 1;
  expect(presence.mayAct, "nobody renews that entry: the younger one is gone").toBe(true);
  stop.abort();
  await running;
});
