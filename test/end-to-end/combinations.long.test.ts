/** Faults in combination (issue: combinations): whatever happens, nothing is lost and the desired state comes back. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import {
  addressIn,
  expectNothingLost,
  expectSmooth,
  freshBudget,
  isRegistered,
  lab,
  readyServers,
  recordOf,
  runtime,
  scenarioBeforeEach,
} from "./scenario.ts";

beforeAll(freshBudget);
const scenario = scenarioBeforeEach();

/** Waits until another machine than `former` is master of shard 1. */
async function promotedFrom(former: string): Promise<void> {
  await waitFor(`another master than ${former}`, 20_000, async () => {
    const master = (await lab.status()).shards[0]?.master;
    return (master && master !== former) || undefined;
  });
}

/** Waits until the cloud runs another instance of `machine`, at another address than before. */
async function newInstanceOf(machine: string): Promise<void> {
  await waitFor(`a new ${machine}`, 60_000, async () => {
    const { machines } = await lab.status();
    const found = machines.some(
      ({ name, address, state }) =>
        name === machine && state === "running" && address !== addressIn(scenario.current.before, machine),
    );
    return found || undefined;
  });
}

describe("two machines at once", () => {
  test.each(["vanish", "poweroff"])("the master's and haproxy1: %s", async (fault) => {
    const { master, replica } = scenario.current;
    await Promise.all([lab.fault(fault, master), lab.fault(fault, "haproxy1")]);
    const { after, summary } = await scenario.current.replaced(master, "haproxy1");
    expectNothingLost(summary, 2);
    expect(after.shards[0]).toMatchObject({ master: replica, replica: master });
  });

  test("both proxies", async () => {
    const { before } = scenario.current;
    await Promise.all([lab.fault("vanish", "haproxy1"), lab.fault("vanish", "haproxy2")]);
    const { after, summary } = await scenario.current.replaced("haproxy1", "haproxy2");
    expectNothingLost(summary, 2);
    expect(after.shards.map(({ master }) => master)).toEqual(before.shards.map(({ master }) => master));
    for (const name of ["haproxy1", "haproxy2"]) expect(await recordOf(name)).toBe(addressIn(after, name));
  });
});

describe("a machine fails again while it is being replaced", () => {
  test.each(["redis1", "haproxy1"])("%s", async (machine) => {
    await lab.fault("vanish", machine);
    await newInstanceOf(machine);
    const second = addressIn(await lab.status(), machine);
    await lab.fault("poweroff", machine);
    const { after, summary } = await scenario.current.replaced(machine);
    expectNothingLost(summary, 2);
    expect(addressIn(after, machine)).not.toBe(second);
  });
});

/** While the cloud's API fails, nobody can power the failed machine off: it really comes back. */
describe("a failed machine comes back by itself", () => {
  test("the old master's link is there again: it takes no write", async () => {
    const { master, replica } = scenario.current;
    await lab.fault("api", "failing");
    await lab.fault("vanish", master);
    await promotedFrom(master);
    await lab.fault("heal", master);
    await delay(5000); // time to do harm, were it allowed to
    expect((await lab.status()).shards[0]).toMatchObject({
      master: replica,
      proxies: { haproxy1: replica, haproxy2: replica },
    });
    await lab.fault("heal", "api");
    const { summary } = await scenario.current.replaced(master);
    expectSmooth(summary);
  });

  test("the old master boots again: it is no master", async () => {
    const { master, replica } = scenario.current;
    await lab.fault("api", "failing");
    await lab.fault("poweroff", master);
    await promotedFrom(master);
    await lab.fault("poweron", master);
    await waitFor("its redis", 30_000, async () => {
      const answer = await lab.exec(master, "sh", "-c", "redis-cli -p 9001 PING || true");
      return /NOAUTH|NOPERM|PONG/.test(answer) || undefined;
    });
    await delay(3000); // time to do harm, were it allowed to
    expect((await lab.status()).shards[0]?.proxies).toEqual({ haproxy1: replica, haproxy2: replica });
    await lab.fault("heal", "api");
    const { summary } = await scenario.current.replaced(master);
    expectSmooth(summary);
  });
});

describe("a proxy process crashes and restarts", () => {
  test.each(["haproxy1", "haproxy2"])("%s: it serves as before", async (proxy) => {
    const { before } = scenario.current;
    await lab.fault("crash", `${proxy}:haproxy`);
    await waitFor(
      "the proxy to be registered again",
      20_000,
      async () => (await isRegistered(proxy)) || undefined,
    );
    expectSmooth(await scenario.current.ended());
    const after = await lab.untilHealthy(30_000);
    expect(after.machines).toEqual(before.machines);
    expect(after.shards).toEqual(before.shards);
  });

  describe("while monit is away", () => {
    beforeEach(() => lab.exec("monit", "systemctl", "stop", "barton-monitor"));
    afterEach(() => lab.exec("monit", "systemctl", "start", "barton-monitor"));

    const untilRestored = (proxy: string) =>
      waitFor(`${proxy} to serve as before`, 20_000, async () => {
        return (await isRegistered(proxy)) || undefined;
      });

    test.each([[["haproxy1"]], [["haproxy1", "haproxy2"]]])(
      "%j: it goes on where it was",
      async (proxies) => {
        const { master } = scenario.current;
        await Promise.all(proxies.map((proxy) => lab.fault("crash", `${proxy}:haproxy`)));
        await Promise.all(proxies.map(untilRestored));
        for (const proxy of proxies) expect(await readyServers(proxy)).toEqual([master]);
        expectSmooth(await scenario.current.ended());
        expect(await lab.activeProxy()).toBe("haproxy1");
      },
    );

    test("a proxy machine that boots serves nobody until monit is back", async () => {
      await lab.fault("poweroff", "haproxy1");
      await lab.fault("poweron", "haproxy1");
      await waitFor("its proxy", 60_000, async () => {
        return (await runtime("haproxy1", "show info").catch(() => "")) || undefined;
      });
      await delay(3000); // time to do harm, were it allowed to
      expect(await isRegistered("haproxy1")).toBe(false);
      expect(await readyServers("haproxy1")).toEqual([]);
      await lab.exec("monit", "systemctl", "start", "barton-monitor");
      await untilRestored("haproxy1");
      expectSmooth(await scenario.current.ended());
    });
  });

  test("across a failover: what it served before the fence is forgotten", async () => {
    const { master, replica } = scenario.current;
    await lab.fault("crash", `${master}:9001`);
    await promotedFrom(master);
    await lab.fault("crash", "haproxy1:haproxy");
    await waitFor(
      "haproxy1 to be registered again",
      20_000,
      async () => (await isRegistered("haproxy1")) || undefined,
    );
    expect(await readyServers("haproxy1")).toEqual([replica]);
    expectNothingLost(await scenario.current.ended(), 2);
  });
});
