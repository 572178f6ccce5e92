import { expect, test } from "vitest";
import type { Instance } from "../../../recovery/cloud/cloud.ts";
import { isOff, machinesOf, succeededBy, withCloudView } from "../../../recovery/observe/machines.ts";
import { topologyOf } from "../world-of-facts.ts";

const instance = (instanceId: string, state: Instance["state"], launchedAt: string): Instance => ({
  machine: "redis1",
  instanceId,
  state,
  address: `10.0.0.${launchedAt}`,
  launchedAt,
});
const start = machinesOf(topologyOf(), 5);

test("the newest instance that runs or is about to is the machine; older ones are told", () => {
  const view = withCloudView(
    start,
    [instance("i-redis1", "shutting-down", "1"), instance("i-new", "pending", "2")],
    9,
  );
  expect(view.redis1).toEqual({
    instanceId: "i-new",
    address: "10.0.0.2",
    cloud: "pending",
    knownSinceMs: 9,
    othersAlive: ["i-redis1"],
    former: ["i-redis1"],
  });
});

test("what the engine has launched stays the machine, although the cloud's word is late", () => {
  const learnt = succeededBy(start.redis1, { instanceId: "i-new", address: "10.0.0.2" }, 7);
  expect(learnt).toMatchObject({ instanceId: "i-new", othersAlive: ["i-redis1"] });
  const late = withCloudView({ ...start, redis1: learnt }, [instance("i-redis1", "running", "1")], 9);
  expect(late.redis1).toMatchObject({ instanceId: "i-new", knownSinceMs: 7, othersAlive: ["i-redis1"] });
  expect(late.redis1.cloud).toBeUndefined();
  const both = [instance("i-redis1", "terminated", "1"), instance("i-new", "running", "2")];
  expect(withCloudView(late, both, 11).redis1).toMatchObject({
    instanceId: "i-new",
    cloud: "running",
    othersAlive: [],
  });
});

test("an instance that was launched and lost before anybody saw it is the machine when its predecessor is gone", () => {
  const lost = instance("i-new", "terminated", "2");
  expect(withCloudView(start, [instance("i-redis1", "terminated", "1"), lost], 9).redis1).toMatchObject({
    instanceId: "i-new",
    cloud: "terminated",
    knownSinceMs: 9,
  });
  // These may still run, or be started again.
  for (const state of ["stopping", "stopped", "shutting-down"] as const) {
    const { redis1 } = withCloudView(start, [instance("i-redis1", state, "1"), lost], 9);
    expect(redis1).toMatchObject({ instanceId: "i-redis1", cloud: state });
  }
});

test("the same instance keeps the moment since which it is known", () => {
  expect(withCloudView(start, [instance("i-redis1", "stopped", "1")], 9).redis1).toMatchObject({
    cloud: "stopped",
    knownSinceMs: 5,
  });
});

test("a machine that the cloud does not know is missing, which is no proof that it is off", () => {
  const { redis1 } = withCloudView(start, [], 9);
  expect(redis1).toMatchObject({ cloud: "missing", instanceId: "i-redis1" });
  expect(isOff(redis1.cloud)).toBe(false);
  expect(["stopped", "terminated"].every((state) => isOff(state as Instance["state"]))).toBe(true);
  expect(isOff("shutting-down")).toBe(false);
});
