/** What monit may conclude when it sees again, and what a proxy's word is worth after a break. */
import { expect, test } from "vitest";
import { asSeen, seesAgain } from "../../../../recovery/decide/view/sight.ts";
import type { Look } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { proxyMachines, redisMachines } from "../../../../recovery/topology.ts";
import { down, none, startMs, up, World } from "../../world-of-facts.ts";

/** Monit sees everybody like this, and so nothing through the proxies. */
function monitSees(world: World, look: Look): void {
  for (const machine of redisMachines) {
    for (const shard of world.shards)
      world.server(machine, shard).looks = { haproxy1: none, haproxy2: none, monit: look };
  }
  for (const proxy of proxyMachines) world.facts.proxies[proxy].look = look;
  world.facts.app.look = look;
}

const verdicts = ({ memory }: World) =>
  Object.entries(memory.durable.servers).flatMap(([id, { verdict }]) => (verdict ? [id] : []));

test("monit that was blind for longer than a boot takes has no verdict on those that it does not see yet", () => {
  const world = new World();
  monitSees(world, down("silent"));
  world.decide();
  world.later(defaultLimits.bootMs + 1_000);
  expect(world.decide().decisions).toEqual([]);
  world.later(100);
  for (const proxy of proxyMachines) world.facts.proxies[proxy].look = up;
  world.server("redis2", 1).looks = { haproxy1: up, haproxy2: up, monit: up };
  expect(world.situation("shard 1")).toBe("doubt");
  expect(world.situation("redis1")).toBe("not-seen-whole");
  expect(verdicts(world)).toEqual([]);
});

test("a row of failures counts when enough of its probes began after monit saw again, however long that takes", () => {
  const world = new World().look("redis1", 1, down("refused", 30_000));
  world.server("redis1", 1).looks.haproxy2 = up;
  world.memory.sightSinceMs = startMs - 20_000;
  expect(world.situation("shard 1")).toBe("doubt");
  world.server("redis1", 1).looks.monit.provenSinceMs = startMs - 19_999;
  expect(world.situation("shard 1")).toBe("master-lost");
});

test("after this process stood still, what it saw before proves nothing", () => {
  const world = new World().look("redis1", 1, down("refused"));
  world.server("redis1", 1).looks.haproxy2 = up;
  world.memory = seesAgain(world.memory, startMs, 2_000);
  expect(world.situation("shard 1")).toBe("doubt");
});

test("a proxy whose process stood still is no witness until its probes had time to begin anew", () => {
  const world = new World().look("redis1", 1, down("refused"));
  world.server("redis1", 1).looks.monit = up;
  const haproxy1 = () => asSeen(world.facts, world.memory).servers["redis1/1"]?.looks.haproxy1;
  const { view } = world.facts.proxies.haproxy1;
  if (!view) throw new Error("haproxy1 has no view");
  view.inTouchSinceMs = startMs - 1_199;
  expect(haproxy1()).toEqual({ state: "failing", silence: "refused", sinceMs: startMs - 700 });
  view.inTouchSinceMs = startMs - 500;
  expect(haproxy1()).toEqual({ state: "failing", silence: "refused", sinceMs: startMs - 500 });
  view.inTouchSinceMs = startMs - 1_200;
  expect(haproxy1()).toEqual({ state: "down", silence: "refused", sinceMs: startMs - 700 });
});

test("so is app, when its proxy's process stood still", () => {
  const world = new World().clientLook("haproxy1", down("silent", 2_100));
  world.facts.proxies.haproxy1.look = down("silent", 2_100);
  world.facts.app.inTouchSinceMs = startMs - 1_000;
  expect(world.situation("haproxy1")).toBe("doubt");
  world.facts.app.inTouchSinceMs = startMs - 1_200;
  expect(world.situation("haproxy1")).toBe("lost");
});

test("nobody's time runs out while monit is blind", () => {
  const world = new World().look("redis1", 1, down("refused"));
  world.decide();
  monitSees(world, down("silent"));
  world.later(100).decide();
  world.later(60_000);
  for (const proxy of proxyMachines) world.facts.proxies[proxy].look = up;
  world.server("redis2", 1).looks.monit = up;
  expect(world.situation("redis1")).toBe("process-lost");
  world.later(defaultLimits.graceMs - 200);
  expect(world.situation("redis1")).toBe("process-lost");
  world.later(200);
  expect(["machine-lost", "machine-needed"]).toContain(world.situation("redis1"));
});
