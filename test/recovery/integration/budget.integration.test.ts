/** Rule 8 as people meet it: a machine that was replaced too often is held, and one command releases it. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { orderFailover, tellMonitor } from "../../../recovery/control/client.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
let socket: string;

beforeEach(async () => {
  world = await TestWorld.healthy({ limits: { replacementsPerHourMax: 1 } });
  socket = await world.serveSocket();
});
afterEach(() => world.close());

test("a spent budget holds the machine, says what to do, and that releases it", async () => {
  const failover = () => orderFailover(socket, "haproxy2", () => {});
  expect(await failover()).toMatchObject({ ok: true });

  // Other monitors ask by the same command: it must not be a way around the budget.
  const refusal = /haproxy2 was replaced 1 times within an hour.*run "barton forgive haproxy2"/;
  expect(await failover()).toEqual({ ok: false, message: expect.stringMatching(refusal) });
  const launches = () => world.calls.filter((call) => call === "launch haproxy2");
  expect(launches()).toHaveLength(1);

  await world.loseMachine("haproxy2");
  await world.until("the hold", () => refusal.test(world.status?.sentence ?? ""));
  expect(world.status?.healthy).toBe(false);
  expect(await failover()).toEqual({ ok: false, message: expect.stringMatching(refusal) });
  expect(launches()).toHaveLength(1);

  await expect(tellMonitor(socket, "/forgive/nobody", 1_000)).rejects.toThrow('no machine "nobody"');
  expect(await tellMonitor(socket, "/forgive/redis1", 1_000)).toContain("nothing was held");
  expect(launches()).toHaveLength(1);
  expect(await tellMonitor(socket, "/forgive/haproxy2", 1_000)).toContain("it is replaced now");
  await world.untilHealthy();
  expect(launches()).toHaveLength(2);
});
