/** A replacement that waits for a person (issue: anti-flap; an older program on monit): promotion goes on, and the status says what to do. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import { defaultLimits } from "../../recovery/settings.ts";
import {
  addressIn,
  expectNothingLost,
  expectSmooth,
  freshBudget,
  lab,
  scenarioBeforeEach,
  spendBudget,
} from "./scenario.ts";

beforeAll(freshBudget);

/** A hold is looked at again every 30 s. */
const heldMsMax = 150_000;

/** Waits until the replica has taken over and the status says `pattern`; the failed machine is not replaced. */
async function held(scenario: ReturnType<typeof scenarioBeforeEach>, pattern: RegExp): Promise<void> {
  const { before, master, replica } = scenario.current;
  await waitFor("the promotion", 20_000, async () => {
    return (await lab.status()).shards[0]?.master === replica || undefined;
  });
  await scenario.current.untilFlowing();
  await waitFor(`the status to say ${pattern}`, 30_000, async () => {
    return pattern.test(await lab.exec("monit", "barton", "status")) || undefined;
  });
  const launches = (await scenario.current.newIncidents())
    .flatMap(({ steps }) => steps)
    .filter(({ step, outcome }) => /launch/.test(step) && outcome === "done");
  expect(launches).toEqual([]);
  expect(addressIn(await lab.status(), master)).toBe(addressIn(before, master));
}

describe("the budget is spent", () => {
  beforeEach(async () => {
    const { replacementsPerHourMax } = defaultLimits;
    const master = (await lab.untilHealthy(120_000)).shards[0]?.master ?? "";
    await spendBudget(master, replacementsPerHourMax);
  });
  const scenario = scenarioBeforeEach();
  afterEach(freshBudget);

  test("the machine is held, the status tells how to go on, and that works", async () => {
    const { master } = scenario.current;
    await lab.fault("vanish", master);
    const what = `${master} was replaced \\d+ times within an hour, .*run "barton forgive ${master}" on monit`;
    await held(scenario, new RegExp(what));
    // Other monitors come by this command: it must not be a way around the budget.
    await expect(lab.exec("monit", "failover", master)).rejects.toThrow(`run "barton forgive ${master}"`);
    await expect(lab.exec("monit", "barton", "status", "--check")).rejects.toThrow("NOT HEALTHY");
    expect(await lab.exec("monit", "barton", "forgive", master)).toContain("it is replaced now");
    expectSmooth((await scenario.current.replaced(master)).summary);
  });
});

describe("the program on monit is older than the last up's", () => {
  const scenario = scenarioBeforeEach();
  const file = "/opt/barton/program/infra/index.ts";
  const age = async () => {
    await lab.exec("monit", "cp", "-a", file, "/run/index.ts");
    await lab.exec("monit", "sh", "-c", `echo '// older' >> ${file}`);
  };
  const renew = () => lab.exec("monit", "mv", "/run/index.ts", file);

  test("the machine is held, the status says why; with the right program it is replaced", async () => {
    const { master } = scenario.current;
    await age();
    try {
      await lab.fault("vanish", master);
      await held(scenario, /the last up ran another program .*run "pulumi up" once from the newest clone/);
    } finally {
      await renew();
    }
    expectSmooth((await scenario.current.replacedWithin(heldMsMax, master)).summary);
  });

  test("a promotion that needs a lost proxy's power-off gets it, although that proxy's replacement is held", async () => {
    const { master, replica } = scenario.current;
    await age();
    try {
      await lab.fault("vanish", "haproxy2");
      await waitFor("haproxy2 to be held", 60_000, async () => {
        return (
          /the last up ran another program/.test(await lab.exec("monit", "barton", "status")) || undefined
        );
      });
      await lab.fault("crash", `${master}:9001`);
      await waitFor("the promotion", 20_000, async () => {
        return (await lab.status()).shards[0]?.master === replica || undefined;
      });
      await scenario.current.untilFlowing();
      const steps = (await scenario.current.newIncidents()).flatMap((incident) => incident.steps);
      expect(steps.map(({ step }) => step)).toContainEqual(expect.stringMatching(/^power off haproxy2/));
      expect(steps.filter(({ step }) => step.startsWith("launch"))).toEqual([]);
    } finally {
      await renew();
    }
    expectNothingLost((await scenario.current.replacedWithin(heldMsMax, "haproxy2")).summary);
  });
});
