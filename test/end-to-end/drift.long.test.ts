/** Roles drift (issue): what somebody changes by hand is noticed and put right, and nothing acknowledged is lost. */
import { describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import {
  addressIn,
  asRecovery,
  expectNothingLost,
  expectSmooth,
  isOpen,
  lab,
  readyServers,
  runtime,
  scenarioBeforeEach,
  takesConnections,
} from "./scenario.ts";

const scenario = scenarioBeforeEach();

describe("redis", () => {
  test("REPLICAOF NO ONE on a replica: it follows the master again", async () => {
    const { master, replica } = scenario.current;
    expect(await asRecovery(replica, "REPLICAOF", "NO", "ONE")).toBe("OK");
    await waitFor("the replica to follow again", 20_000, async () => {
      return (await asRecovery(replica, "ROLE")).startsWith("slave") || undefined;
    });
    const after = await lab.untilHealthy(30_000);
    expect(after.shards[0]).toMatchObject({ master, replica, replicaLink: "up" });
    expectSmooth(await scenario.current.ended());
    expect(after.machines).toEqual(scenario.current.before.machines);
  });

  test("REPLICAOF on a master: the shard has a master again, with all data", async () => {
    const { before, master, replica } = scenario.current;
    expect(await asRecovery(master, "REPLICAOF", addressIn(before, replica) ?? "", "9001")).toBe("OK");
    await waitFor("the incident", 20_000, async () => (await scenario.current.newIncidents())[0]);
    const after = await lab.untilHealthy(30_000);
    const summary = await scenario.current.ended();
    // Until it is noticed, the demoted server refuses writes (READONLY): errors, but no loss.
    expect(summary.lost).toBe(0);
    expect(after.machines).toEqual(before.machines);
  });
});

describe("a proxy", () => {
  test.each(["haproxy1", "haproxy2"])("%s: the master's line taken out", async (proxy) => {
    const { before, master } = scenario.current;
    await runtime(proxy, `set server shard1/${master} state maint`);
    await waitFor(
      "the line to be put right",
      10_000,
      async () => (await readyServers(proxy)).includes(master) || undefined,
    );
    expectSmooth(await scenario.current.ended());
    expect((await lab.untilHealthy(30_000)).shards).toEqual(before.shards);
  });

  test("the replica's line put in: it is taken out again", async () => {
    const { before, replica } = scenario.current;
    await runtime("haproxy2", `set server shard1/${replica} state ready`);
    await waitFor("the line to be taken out", 10_000, async () => {
      return !(await readyServers("haproxy2")).includes(replica) || undefined;
    });
    expectSmooth(await scenario.current.ended());
    expect((await lab.untilHealthy(30_000)).shards).toEqual(before.shards);
  });

  test("its address changed: it is put right", async () => {
    const { before, master } = scenario.current;
    await runtime("haproxy1", `set server shard1/${master} addr 127.0.0.1 port 1`);
    expectNothingLost(await scenario.current.ended());
    expect((await lab.untilHealthy(30_000)).shards).toEqual(before.shards);
    expect(await runtime("haproxy1", "show servers state shard1")).toContain(
      String(addressIn(before, master)),
    );
  });

  /** Each stops the traffic of the proxy that app uses, or would stop it in the next failover. */
  test.each([
    ["the master's line drained", "set server shard1/MASTER state drain", "shard1/MASTER"],
    ["the master's line without weight", "set server shard1/MASTER weight 0", "shard1/MASTER"],
    ["hold taken out", "set server shard1/hold state maint", "shard1/hold"],
    ["hold moved", "set server shard1/hold addr 127.0.0.9 port 9", "shard1/hold"],
  ])("%s: it takes connections again", async (_, command, server) => {
    const { before, master } = scenario.current;
    const proxy = await lab.activeProxy();
    await runtime(proxy, command.replace("MASTER", master));
    await waitFor("the line to be put right", 10_000, async () => {
      return (await takesConnections(proxy, server.replace("MASTER", master))) || undefined;
    });
    expectSmooth(await scenario.current.ended());
    const after = await lab.untilHealthy(30_000);
    expect(after.shards).toEqual(before.shards);
    expect(after.machines).toEqual(before.machines);
    expect(await runtime(proxy, "show servers state shard1")).toMatch(/ hold 127\.0\.0\.1 2 0 1 1 .* - 1 - /);
  });

  test.each(["shard1", "health"])("its frontend %s disabled: it is enabled again", async (frontend) => {
    const { before } = scenario.current;
    const proxy = await lab.activeProxy();
    await runtime(proxy, `disable frontend ${frontend}`);
    await waitFor("the frontend to listen", 10_000, async () => {
      return (await isOpen(proxy, frontend)) || undefined;
    });
    expectSmooth(await scenario.current.ended());
    const after = await lab.untilHealthy(30_000);
    expect(after.shards).toEqual(before.shards);
    expect(after.machines).toEqual(before.machines);
  });

  test("its frontend shut down for good: app moves to the twin, and it comes back with a new process", async () => {
    const { before } = scenario.current;
    const proxy = await lab.activeProxy();
    await runtime(proxy, "shutdown frontend shard1");
    await waitFor("the frontend to listen", 30_000, async () => {
      return (await isOpen(proxy, "shard1").catch(() => false)) || undefined;
    });
    expectSmooth(await scenario.current.ended());
    const after = await lab.untilHealthy(30_000);
    expect(after.shards).toEqual(before.shards);
    expect(after.machines).toEqual(before.machines);
    const steps = (await scenario.current.newIncidents()).flatMap((incident) => incident.steps);
    expect(steps.map(({ step }) => step)).toContain(`reload ${proxy}`);
  });

  test("not registered any more: it is registered again, and app comes back to it", async () => {
    await runtime("haproxy1", "set server registered/self state maint");
    await waitFor("app to use haproxy1 again", 30_000, async () => {
      const back = (await lab.activeProxy()) === "haproxy1" && (await lab.status()).healthy;
      return back || undefined;
    });
    expectSmooth(await scenario.current.ended());
  });
});
