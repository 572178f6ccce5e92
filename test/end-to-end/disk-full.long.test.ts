/** A full disk: redis refuses writes then, and leaves a file from which it would not start again. */
import { beforeAll, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import { expectNothingLost, freshBudget, lab, scenarioBeforeEach } from "./scenario.ts";

beforeAll(freshBudget);
const scenario = scenarioBeforeEach();

/** One write after the other: as many as are refused until the next look, and the switch that follows it. */
const refusedMax = 100;

test("the master's disk is full: its counterpart takes over, and the server starts again", async () => {
  const { master, replica } = scenario.current;
  await lab.fault("disk-full", master);
  await waitFor(`${replica} to be master of every shard`, 60_000, async () => {
    return (await lab.status()).shards.every((shard) => shard.master === replica) || undefined;
  });
  await scenario.current.untilFlowing();
  await lab.fault("heal");
  await lab.untilHealthy(120_000);
  // What the full disk has left in the file is read now.
  await lab.fault("crash", `${master}:9001`);
  await waitFor(`${master}'s server to be away`, 30_000, async () => {
    return (await lab.status()).healthy ? undefined : true;
  });
  await lab.untilHealthy(120_000);
  expectNothingLost(await scenario.current.ended(), refusedMax);
  const incidents = await scenario.current.newIncidents();
  expect(incidents.map(({ because }) => because).join("; ")).toMatch(/disk is full, it refuses writes/);
});
