/** The main path with the other engine, in a lab of its own: built, a master's machine lost, healed, nothing lost. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LabOperator, waitFor } from "../../lab/operate.ts";
import { expectSmooth } from "./scenario.ts";

const clone = createHash("sha256")
  .update(join(import.meta.dirname, "../.."))
  .digest("hex")
  .slice(0, 8);
const lab = new LabOperator(`valkey-${clone}`);

beforeAll(async () => {
  await lab.lab("down");
  await lab.lab("up", "--engine", "valkey");
});
afterAll(() => lab.lab("down"));

test("the servers are valkey's, by a unit and a folder of the usual names", async () => {
  const ask = "cat /proc/$(systemctl show --value -p MainPID redis-server@9001)/comm; ls -l /srv/redis";
  const answer = await lab.exec("redis1", "sh", "-c", ask);
  expect(answer).toMatch(/^valkey-server$/m);
  expect(answer).toMatch(/ valkey valkey .* 9001$/m);
});

test.each(["crash", "vanish"])("the master: %s", async (fault) => {
  const before = await lab.untilHealthy(60_000);
  const [shard] = before.shards;
  const traffic = lab.startTraffic(7001);
  await traffic.untilFlowing(2, 30_000);
  await lab.fault(fault, fault === "crash" ? `${shard?.master}:${shard?.port}` : String(shard?.master));
  const after = await waitFor("the counterpart to serve, and all well", 120_000, async () => {
    const now = await lab.status();
    return now.healthy && now.shards[0]?.master === shard?.replica ? now : undefined;
  });
  expect(after.shards[0]).toMatchObject({ replica: shard?.master, replicaLink: "up" });
  await traffic.untilFlowing(2, 30_000);
  expectSmooth(await traffic.stop());
});

test("a planned switch back", async () => {
  const [shard] = (await lab.untilHealthy(60_000)).shards;
  const traffic = lab.startTraffic(7001);
  await traffic.untilFlowing(2, 30_000);
  await lab.exec("monit", "barton", "switchover", "1");
  await traffic.untilFlowing(2, 30_000);
  expectSmooth(await traffic.stop(), 0);
  const [now] = (await lab.untilHealthy(60_000)).shards;
  expect(now?.master).toBe(shard?.replica);
});
