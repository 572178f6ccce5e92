/** The two scenarios of the original, by every kind of failure: traffic waits, the machine is replaced, nothing is lost. */
import { afterEach, beforeEach, describe, expect, inject, test } from "vitest";
import { LabOperator, type LabStatus, type Traffic, waitFor } from "../../lab/operate.ts";

const lab = new LabOperator(inject("labName"));
let before: LabStatus;
let traffic: Traffic | undefined;

/** A fault is injected only into a healthy system under traffic; anything else would prove nothing. */
beforeEach(async () => {
  before = await lab.untilHealthy(120_000);
  traffic = lab.startTraffic(7001);
  await traffic.untilFlowing(2, 30_000);
});

afterEach(async () => {
  await traffic?.stop().catch(() => {});
  traffic = undefined;
});

const addressIn = (status: LabStatus, name: string) =>
  status.machines.find((machine) => machine.name === name)?.address;

/** The longest pause of writes through 7001 that the traffic may have seen, in ms (issue: go on within 2 s). */
const pauseMsMax = 2000;

/** Waits until `machine` is a new one and the desired state is reached; gives the status and the traffic's summary. */
async function replaced(machine: string) {
  let last: LabStatus | undefined;
  const after = await waitFor(
    `${machine} replaced and the lab healthy`,
    60_000,
    async () => {
      last = await lab.status();
      const isNew = addressIn(last, machine) !== addressIn(before, machine);
      return isNew && last.healthy ? last : undefined;
    },
    () => `Last status: ${JSON.stringify(last)}`,
  );
  await traffic?.untilFlowing(2, 30_000);
  const summary = await traffic?.stop();
  traffic = undefined;
  if (summary === undefined) throw new Error("there was no traffic");
  return { after, summary };
}

function expectSmooth(summary: {
  slowestMs: number;
  errors: number;
  lost: number | null;
  acknowledged: number;
}): void {
  expect(summary.lost).toBe(0);
  expect(summary.acknowledged).toBeGreaterThan(100);
  // One write at a time is in flight, and only that one may fail.
  expect(summary.errors).toBeLessThanOrEqual(1);
  expect(summary.slowestMs).toBeLessThanOrEqual(pauseMsMax);
}

async function recordOf(name: string): Promise<string> {
  return (await lab.exec("app", "getent", "hosts", `${name}.barton`)).split(/\s+/)[0] ?? "";
}

describe("a redis machine fails", () => {
  test.each(["vanish", "poweroff"])("the master machine: %s", async (fault) => {
    const master = before.shards[0]?.master ?? "";
    const other = before.shards[0]?.replica ?? "";
    await lab.fault(fault, master);
    const { after, summary } = await replaced(master);
    expectSmooth(summary);
    for (const shard of after.shards) {
      expect(shard).toMatchObject({ master: other, replica: master, replicaLink: "up" });
      expect(shard.proxies).toEqual({ haproxy1: other, haproxy2: other });
    }
    expect(await recordOf(master)).toBe(addressIn(after, master));
  });

  test("the replica machine vanishes: writes do not notice", async () => {
    const replica = before.shards[0]?.replica ?? "";
    await lab.fault("vanish", replica);
    const { after, summary } = await replaced(replica);
    expectSmooth(summary);
    expect(after.shards[0]).toMatchObject({ master: before.shards[0]?.master, replica });
  });

  test("a machine that is master of some shards only", async () => {
    const [first, second] = before.shards;
    if (first === undefined || second === undefined) throw new Error("two shards are needed");
    // A crashed process moves one shard's master to the other machine.
    await lab.fault("crash", `${second.master}:${second.port}`);
    await waitFor("shard 2 to move", 60_000, async () => {
      const now = await lab.status();
      return (now.healthy && now.shards[1]?.master === second.replica) || undefined;
    });
    await lab.fault("vanish", first.master ?? "");
    const { after, summary } = await replaced(first.master ?? "");
    expectSmooth(summary);
    expect(after.shards.map((shard) => shard.master)).toEqual([first.replica, second.replica]);
  });

  test("a redis process crashes: the other machine takes over, no machine is replaced", async () => {
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
    await traffic?.untilFlowing(2, 30_000);
    const summary = await traffic?.stop();
    traffic = undefined;
    expectSmooth(summary ?? { slowestMs: Number.NaN, errors: -1, lost: null, acknowledged: 0 });
  });

  test("a master that is stopped for a second is left alone", async () => {
    const shard = before.shards[0];
    const target = `${shard?.master}:${shard?.port}`;
    await lab.fault("hang", target);
    await new Promise((resolve) => setTimeout(resolve, 1000)); // the fault itself lasts a second
    await lab.fault("heal", target);
    await traffic?.untilFlowing(3, 30_000);
    expect((await lab.untilHealthy(30_000)).shards[0]?.master).toBe(shard?.master);
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
    const { after, summary } = await replaced(machine);
    expectSmooth(summary);
    expect(addressIn(after, machine)).not.toBe(addressIn(before, machine));
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
    const { after, summary } = await replaced("redis2");
    expectSmooth(summary);
    expect(after.shards.every((shard) => shard.master === "redis1")).toBe(true);
  });

  test.each([[["failover"]], [["failover", "nonsense"]], [["failover", "app", "extra"]]])(
    "%j is refused",
    async (command) => {
      await expect(lab.exec("monit", ...command)).rejects.toThrow(/failover/);
      expect((await lab.status()).machines).toEqual(before.machines);
    },
  );
});

describe("several times in a row", () => {
  test("roles wander, and each time the desired state is reached again", async () => {
    for (const round of [1, 2, 3]) {
      const master = (await lab.untilHealthy(120_000)).shards[0]?.master ?? "";
      before = await lab.status();
      traffic ??= lab.startTraffic(7001);
      await traffic.untilFlowing(2, 30_000);
      await lab.fault(round % 2 ? "vanish" : "poweroff", master);
      const { after, summary } = await replaced(master);
      expectSmooth(summary);
      expect(after.shards[0]?.replica).toBe(master);
    }
  });
});
