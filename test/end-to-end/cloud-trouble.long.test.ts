/** The cloud is in trouble itself (issue: combinations): promotion is not delayed, replacement is retried and says so. */
import { beforeAll, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import { addressIn, expectSmooth, freshBudget, lab, recordOf, scenarioBeforeEach } from "./scenario.ts";

beforeAll(freshBudget);
const scenario = scenarioBeforeEach();

describe("the master's machine vanishes", () => {
  test.each([[["failing"]], [["full"]]])("while the cloud's API is %j", async (mode) => {
    const { master, replica } = scenario.current;
    await lab.fault("api", ...mode);
    await lab.fault("vanish", master);
    await waitFor("the promotion", 20_000, async () => {
      return (await lab.status()).shards[0]?.master === replica || undefined;
    });
    await scenario.current.untilFlowing();
    const said = await waitFor("the status to tell of the second retry", 90_000, async () => {
      const status = await lab.exec("monit", "barton", "status");
      return /failed [2-9] times, next try in/.test(status) ? status : undefined;
    });
    expect(said).toMatch(mode[0] === "full" ? /InsufficientInstanceCapacity/ : /RequestLimitExceeded/);
    await lab.fault("heal", "api");
    const { after, summary } = await scenario.current.replaced(master);
    expectSmooth(summary);
    expect(after.shards[0]).toMatchObject({ master: replica, replica: master });
  });

  test("while the cloud's API is five seconds late", async () => {
    const { master, replica } = scenario.current;
    await lab.fault("api", "slow", "--late", "5");
    await lab.fault("vanish", master);
    await waitFor("the promotion", 20_000, async () => {
      return (await lab.status()).shards[0]?.master === replica || undefined;
    });
    await scenario.current.untilFlowing();
    await lab.fault("heal", "api");
    expectSmooth((await scenario.current.replaced(master)).summary);
  });

  test("while DNS is dead", async () => {
    const { master, replica } = scenario.current;
    await lab.fault("dns");
    await lab.fault("vanish", master);
    await waitFor("the promotion", 20_000, async () => {
      return (await lab.status()).shards[0]?.master === replica || undefined;
    });
    await scenario.current.untilFlowing();
    await lab.fault("heal", "dns");
    const { after, summary } = await scenario.current.replaced(master);
    expectSmooth(summary);
    expect(await recordOf(master)).toBe(addressIn(after, master));
  });
});

describe("DNS is dead", () => {
  test("while haproxy1 vanishes: app goes on with haproxy2", async () => {
    await lab.fault("dns");
    await lab.fault("vanish", "haproxy1");
    await waitFor(
      "app to use haproxy2",
      20_000,
      async () => (await lab.activeProxy()) === "haproxy2" || undefined,
    );
    await scenario.current.untilFlowing();
    await lab.fault("heal", "dns");
    expectSmooth((await scenario.current.replaced("haproxy1")).summary);
  });
});
