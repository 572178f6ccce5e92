/** Of two monitors the one on the younger machine acts. */
import { expect, test } from "vitest";
import { isIntroduced, whySteppedBack } from "../../../../recovery/decide/rules/one-monitor.ts";
import { monitorId } from "../../../../recovery/loop/monitor-id.ts";
import { proxyMachines } from "../../../../recovery/topology.ts";
import { down, World } from "../../world-of-facts.ts";

const older = monitorId({ launchedAt: "2026-11-25T03:00:00.000Z", instanceId: "i-monit" });
const younger = monitorId({ launchedAt: "2026-11-25T03:00:01.000Z", instanceId: "i-another" });

/** A world seen by `self`, with these entries at both proxies. */
function seenBy(self: string, ...entries: string[]): World {
  const world = new World();
  world.facts.self = self;
  for (const proxy of proxyMachines) monitorsAt(world, proxy, entries);
  return world;
}

function monitorsAt(world: World, proxy: (typeof proxyMachines)[number], monitors: string[] | undefined) {
  const { view } = world.facts.proxies[proxy];
  if (view) view.monitors = monitors;
}

test("alone, or with an older one, it acts", () => {
  for (const entries of [[], [older], [older, "2020-01-01T00:00:00.000Z/i-ancient"]]) {
    expect(whySteppedBack(seenBy(older, ...entries).facts)).toBeUndefined();
  }
  expect(seenBy(older, older).lookAll("redis1", down("refused")).decide().decisions).not.toEqual([]);
});

test("beside a younger one it decides nothing, and says who is at work", () => {
  const world = seenBy(older, older, younger).lookAll("redis1", down("refused"));
  const { decisions, sentence, settled } = world.decide();
  expect({ decisions, settled }).toEqual({ decisions: [], settled: false });
  expect(sentence).toBe("a younger monitor (on i-another) is at work: this one (on i-monit) only looks on");
});

test("the entry at one proxy is enough", () => {
  const world = seenBy(older, older);
  monitorsAt(world, "haproxy2", [older, younger]);
  expect(whySteppedBack(world.facts)).toContain("a younger monitor");
});

test("what a proxy said before it fell silent counts no more", () => {
  const world = seenBy(older, older);
  monitorsAt(world, "haproxy2", [younger]);
  world.facts.proxies.haproxy2.look = down("silent");
  expect(whySteppedBack(world.facts)).toBeUndefined();
});

test("when no proxy can be asked, the cloud's word counts on which monit is the present one", () => {
  const world = seenBy(older, older, younger);
  for (const proxy of proxyMachines) world.facts.proxies[proxy].look = down("silent");
  expect(whySteppedBack(world.facts)).toBeUndefined();
  world.facts.machines.monit.instanceId = "i-another";
  expect(whySteppedBack(world.facts)).toContain("the cloud says that monit is i-another now");
  world.facts.machines.monit.cloud = undefined;
  expect(whySteppedBack(world.facts), "the cloud has not been heard").toBeUndefined();
});

test("proxies of an older program keep no table, and a monitor without an id does not ask", () => {
  const world = seenBy(older);
  for (const proxy of proxyMachines) monitorsAt(world, proxy, undefined);
  expect(whySteppedBack(world.facts)).toBeUndefined();
  expect(isIntroduced(world.facts)).toBe(true);
  const unnamed = seenBy(older, younger);
  unnamed.facts.self = undefined;
  expect(whySteppedBack(unnamed.facts)).toBeUndefined();
});

test("it is introduced when each proxy that answers has its entry", () => {
  const world = seenBy(older, older);
  expect(isIntroduced(world.facts)).toBe(true);
  monitorsAt(world, "haproxy2", []);
  expect(isIntroduced(world.facts)).toBe(false);
  world.facts.proxies.haproxy2.look = down("refused");
  expect(isIntroduced(world.facts)).toBe(true);
});
