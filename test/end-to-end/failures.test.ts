/** The two scenarios of the original, by every kind of failure: traffic waits, the machine is replaced, nothing is lost. */
import { describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import { addressIn, expectSmooth, lab, recordOf, Scenario, scenarioBeforeEach } from "./scenario.ts";

const scenario = scenarioBeforeEach();

describe("a redis machine fails", () => {
  test.each(["vanish", "poweroff"])("the master machine: %s", async (fault) => {
    const { master, replica: other } = scenario.current;
    await lab.fault(fault, master);
    const { after, summary } = await scenario.current.replaced(master);
    expectSmooth(summary);
    for (const shard of after.shards) {
      expect(shard).toMatchObject({ master: other, replica: master, replicaLink: "up" });
      expect(shard.proxies).toEqual({ haproxy1: other, haproxy2: other });
    }
    expect(await recordOf(master)).toBe(addressIn(after, master));
  });

  test("the replica machine vanishes: writes do not notice", async () => {
    const { master, replica } = scenario.current;
    await lab.fault("vanish", replica);
    const { after, summary } = await scenario.current.replaced(replica);
    expectSmooth(summary);
    expect(after.shards[0]).toMatchObject({ master, replica });
  });

  test("a machine that is master of some shards only", async () => {
    const [first, second] = scenario.current.before.shards;
    if (first === undefined || second === undefined) throw new Error("two shards are needed");
    // A crashed process moves one shard's master to the other machine.
    await lab.fault("crash", `${second.master}:${second.port}`);
    await waitFor("shard 2 to move", 60_000, async () => {
      const now = await lab.status();
      return (now.healthy && now.shards[1]?.master === second.replica) || undefined;
    });
    await lab.fault("vanish", first.master ?? "");
    const { after, summary } = await scenario.current.replaced(first.master ?? "");
    expectSmooth(summary);
    expect(after.shards.map((shard) => shard.master)).toEqual([first.replica, second.replica]);
  });

  test("a redis process crashes: the other machine takes over, no machine is replaced", async () => {
    const { before } = scenario.current;
    const shard = before.shards[0];
    await lab.fault("crash", `${shard?.master}:${shard?.port}`);
    const after = await waitFor(
      "the shard served by its counterpart, in the desired state",
      60_000,
      async () => {
        const now = await lab.status();
        return now.healthy && now.shards[0]?.master === shard?.replica ? now : undefined;
      },
    );
    expect(after.machines).toEqual(before.machines);
    expectSmooth(await scenario.current.ended());
  });

  test("a master that is stopped for a second is left alone", async () => {
    const target = `${scenario.current.master}:9001`;
    await lab.fault("hang", target);
    await new Promise((resolve) => setTimeout(resolve, 1000)); // the fault itself lasts a second
    await lab.fault("heal", target);
    await scenario.current.untilFlowing(3);
    await scenario.current.expectLeftAlone();
  });
});

describe("a haproxy machine fails", () => {
  test.each([
    ["haproxy1", "poweroff"],
    ["haproxy1", "vanish"],
    ["haproxy2", "vanish"],
  ])("%s: %s", async (machine, fault) => {
    // What an engineer changed by hand on the running proxies must be on the new one too.
    const twin = machine === "haproxy1" ? "haproxy2" : "haproxy1";
    const mark = `# changed by hand ${Date.now()}`;
    await lab.exec(twin, "sh", "-c", `echo '${mark}' >> /etc/haproxy/haproxy.cfg`);
    await lab.fault(fault, machine);
    const { after, summary } = await scenario.current.replaced(machine);
    expectSmooth(summary);
    expect(await recordOf(machine)).toBe(addressIn(after, machine));
    for (const shard of after.shards) expect(shard.proxies.haproxy1).toBe(shard.proxies.haproxy2);
    expect(await lab.exec(machine, "cat", "/etc/haproxy/haproxy.cfg")).toContain(mark);
    await waitFor(
      "app to use haproxy1 again",
      30_000,
      async () => (await lab.activeProxy()) === "haproxy1" || undefined,
    );
  });
});

describe("by hand", () => {
  test("failover MACHINE replaces a machine that is well", async () => {
    await lab.exec("monit", "failover", "redis2");
    const { after, summary } = await scenario.current.replaced("redis2");
    expectSmooth(summary);
    expect(after.shards.every((shard) => shard.master === "redis1")).toBe(true);
  });

  test.each([[["failover"]], [["failover", "nonsense"]], [["failover", "app", "extra"]]])(
    "%j is refused",
    async (command) => {
      await expect(lab.exec("monit", ...command)).rejects.toThrow(/failover/);
      expect((await lab.status()).machines).toEqual(scenario.current.before.machines);
    },
  );
});

describe("several times in a row", () => {
  test("roles wander, and each time the desired state is reached again", async () => {
    let present = scenario.current;
    for (const round of [1, 2, 3]) {
      const { master } = present;
      await lab.fault(round % 2 ? "vanish" : "poweroff", master);
      const { after, summary } = await present.replaced(master);
      expectSmooth(summary);
      expect(after.shards[0]?.replica).toBe(master);
      present = await Scenario.begin();
    }
    await present.endTraffic();
  });
});
