/** An empty plan is the promise that the desired state is reached: everything else must say something. */
import { expect, test } from "vitest";
import { monitorId } from "../../../recovery/loop/monitor-id.ts";
import { planOf } from "../../../recovery/report/plan.ts";
import { down, none, World } from "../world-of-facts.ts";

const noTrouble = () => undefined;
const pause = { untilAt: "2026-01-01T00:00:00.000Z", why: "disks" };
const planIn = (world: World) => planOf(world.decide(), noTrouble, undefined);

/** Monit sees everybody like this. */
function seenByMonit(look: typeof none): World {
  const world = new World();
  for (const server of Object.values(world.facts.servers)) server.looks.monit = look;
  for (const proxy of Object.values(world.facts.proxies)) proxy.look = look;
  return world;
}

function besideAYoungerOne(): World {
  const world = new World();
  const [self, other] = ["0", "1"].map((second) =>
    monitorId({ launchedAt: `2026-11-25T03:00:0${second}.000Z`, instanceId: `i-${second}` }),
  );
  world.facts.self = self;
  for (const { view } of Object.values(world.facts.proxies)) if (view) view.monitors = [String(other)];
  return world;
}

test("all is well: nothing to do", () => {
  expect(planIn(new World())).toEqual([]);
});

test.each<[string, World, string]>([
  ["blind", seenByMonit(down("silent")), "monit sees nobody"],
  ["just started", seenByMonit(none), "monit has not seen anybody yet"],
  ["beside a younger one", besideAYoungerOne(), "a younger monitor (on i-1) is at work"],
])("a recovery that decides nothing says why: %s", (_, world, why) => {
  const looksOn = { subject: "recovery", situation: "looks-on", because: expect.stringContaining(why) };
  expect(planIn(world)).toMatchObject([looksOn]);
});

test("a pause comes first, also when all is well; then what would be done, with what failed", () => {
  const paused = { subject: "recovery", situation: "paused", because: expect.stringContaining("(disks)") };
  expect(planOf(new World().decide(), noTrouble, pause)).toMatchObject([paused]);
  const world = new World().look("redis1", 1, down("refused"));
  const plan = planOf(world.decide(), (subject) => `trouble of ${subject}`, pause);
  expect(plan[0]).toMatchObject(paused);
  expect(plan[1]).toMatchObject({ subject: "shard 1", trouble: "trouble of shard 1" });
  expect(plan.map(({ situation }) => situation)).not.toContain("looks-on");
});
