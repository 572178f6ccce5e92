/** Replacing machines: a program that must not do it, and instances that a killed run has left. */
import { expect, test } from "vitest";
import { checkProgram, launch, taint } from "../../../recovery/act/replace.ts";
import type { Instance } from "../../../recovery/cloud/cloud.ts";
import { topologyOf } from "../world-of-facts.ts";
import { FakeWorld } from "./fake-world.ts";

const instance = (machine: Instance["machine"], instanceId: string, state: Instance["state"]): Instance => ({
  machine,
  instanceId,
  state,
  launchedAt: "2026-01-01T12:00:00Z",
});

test("another program than the last up's replaces nothing, and is compared again after half a minute", async () => {
  const bench = new FakeWorld();
  bench.nowMs = 1_000;
  bench.whyProgramDiffers = "the last up ran another program";
  const checked = checkProgram(bench.world, { machines: ["redis1", "app"] });
  await expect(checked).rejects.toThrow("the last up ran another program");
  const held = { event: "held", why: "the last up ran another program", untilMs: 31_000 };
  expect(bench.remembered).toEqual([
    { ...held, machine: "redis1" },
    { ...held, machine: "app" },
  ]);
});

test("the program that cannot be compared yet does not stop the taint", async () => {
  const bench = new FakeWorld();
  const engine = { ...bench.world.engine, whyProgramDiffers: () => Promise.reject(new Error("no way")) };
  await taint({ ...bench.world, engine }, { machines: ["redis1"] });
  expect(bench.remembered).toEqual([{ event: "tainted", machine: "redis1" }]);
});

test("after a launch, instances of these machines that the engine does not know are powered off, and no others", async () => {
  const bench = new FakeWorld();
  bench.built = async () => topologyOf(1);
  bench.instances = [
    instance("redis1", "i-redis1", "running"),
    instance("redis1", "i-stray-1", "running"),
    instance("redis1", "i-stray-2", "pending"),
    instance("redis1", "i-ended", "terminated"),
    instance("redis1", "i-ending", "shutting-down"),
    instance("redis2", "i-of-another-machine", "running"),
  ];
  await launch(bench.world, { machines: ["redis1"] });
  expect(bench.told).toEqual([
    "0 engine: launch redis1",
    "0 board: learn redis1",
    "0 EC2: power off i-stray-1",
    "0 EC2: power off i-stray-2",
  ]);
  expect(bench.remembered).toEqual([{ event: "launched", machine: "redis1", instanceId: "i-redis1" }]);
  expect(bench.logged).toEqual(
    ["i-stray-1", "i-stray-2"].map((instanceId) => [
      { machine: "redis1", instanceId },
      "an instance that the engine does not know is powered off",
    ]),
  );
});

test("an engine that does not say what it built: nothing is powered off on a guess", async () => {
  const bench = new FakeWorld();
  bench.instances = [instance("redis1", "i-stray", "running")];
  await launch(bench.world, { machines: ["redis1"] });
  expect(bench.told).toEqual(["0 engine: launch redis1"]);
  expect(bench.remembered).toEqual([{ event: "launched", machine: "redis1", instanceId: undefined }]);
});
