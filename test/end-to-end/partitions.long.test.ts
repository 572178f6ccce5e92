/**
 * Cut cables (issue: combinations): between monit and one machine, between the two redis machines, and between a proxy and a
 * redis machine. Nobody fails over.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { expectNothingLost, expectSmooth, lab, scenarioBeforeEach } from "./scenario.ts";

const scenario = scenarioBeforeEach();

/** Longer than every patience of recovery (`graceMs` in recovery/settings.ts is the longest). */
const cutMs = 20_000;

const pairs = [
  ["monit", "haproxy1"],
  ["monit", "haproxy2"],
  ["monit", "redis1"],
  ["monit", "redis2"],
  ["monit", "app"],
  ["redis1", "redis2"],
] as const;

const cuts = pairs.flatMap(([a, b]) => [
  { cut: `${a} to ${b}`, args: ["--one-way", a, b] },
  { cut: `${b} to ${a}`, args: ["--one-way", b, a] },
  { cut: `${a} and ${b}, both ways`, args: [a, b] },
]);

describe("packets disappear", () => {
  test.each(cuts)("$cut", async ({ args }) => {
    const { before } = scenario.current;
    await lab.fault("partition", ...args);
    await delay(cutMs);
    const during = await lab.status();
    await lab.fault("heal");
    expect(during.machines).toEqual(before.machines);
    expectSmooth(await scenario.current.ended());
    const after = await lab.untilHealthy(30_000);
    expect(after.machines).toEqual(before.machines);
    expect(after.shards).toEqual(before.shards);
    const noticed = await scenario.current.newIncidents();
    const replacing = noticed
      .flatMap(({ steps }) => steps)
      .filter(({ step }) => /launch|taint|power off/.test(step));
    expect(replacing).toEqual([]);
  });
});

const proxyCuts: [string, (master: string) => string[]][] = [
  ["from the proxy in use to the master", (master) => ["--one-way", "haproxy1", master]],
  ["from the master to the proxy in use", (master) => ["--one-way", master, "haproxy1"]],
  ["between them", (master) => ["haproxy1", master]],
];

describe("packets disappear between the proxy that clients use and the master's machine", () => {
  test.each(proxyCuts)("%s: the traffic makes a detour through the other proxy", async (_, args) => {
    const { before, master } = scenario.current;
    await lab.fault("partition", ...args(master));
    await scenario.current.untilFlowing();
    await delay(cutMs);
    await lab.fault("heal");
    const summary = await scenario.current.ended();
    expectNothingLost(summary);
    // Recovery's patience is two seconds.
    expect(summary.slowestMs).toBeLessThan(5_000);
    const after = await lab.untilHealthy(30_000);
    expect(after.machines).toEqual(before.machines);
    expect(after.shards).toEqual(before.shards);
    const noticed = await scenario.current.newIncidents();
    expect(noticed.map(({ machine, situation }) => ({ machine, situation }))).toEqual([
      { machine: "haproxy1", situation: "cut-off" },
    ]);
  });
});
