/** app is lost: replaced with nobody's help; what only monit cannot see is kept. Traffic runs on app, so it is begun anew. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type LabStatus, waitFor } from "../../lab/operate.ts";
import type { Status } from "../../recovery/report/status.ts";
import { addressIn, expectSmooth, freshBudget, lab, recordOf, Scenario, untilReplaced } from "./scenario.ts";

/** A verdict takes seconds; of two machines at once, one waits for `graceMs`. */
const deadlineMs = 90_000;

let before: LabStatus;
let incidentsBefore: Set<string>;

beforeAll(freshBudget);
beforeEach(async () => {
  before = await lab.untilHealthy(120_000);
  incidentsBefore = new Set((await lab.incidents()).map(({ id }) => id));
});
afterEach(() => lab.fault("heal"));

const newIncidents = async () => (await lab.incidents()).filter(({ id }) => !incidentsBefore.has(id));

/** What recovery says; the lab itself is not healthy as long as a fault is in effect. */
const recovery = async () =>
  JSON.parse(await lab.exec("monit", "barton", "status", "--json")) as Pick<Status, "healthy" | "sentence">;

/** Waits until recovery says that something is wrong with app. */
async function unsettled(): Promise<void> {
  await waitFor("that the status says so", 10_000, async () => {
    const { healthy, sentence } = await recovery();
    return (!healthy && /\bapp\b/.test(sentence)) || undefined;
  });
}

/** Waits until `machines` are others than before and the lab is healthy. */
const replaced = (...machines: string[]) => untilReplaced(before, deadlineMs, ...machines);

/** Clients on the new app get through, and nothing of theirs is lost. */
async function expectServed(): Promise<void> {
  const traffic = lab.startTraffic(7001);
  await traffic.untilFlowing(2, 30_000);
  const summary = await traffic.stop();
  expect(summary).toMatchObject({ errors: 0, lost: 0 });
  expect(summary.acknowledged).toBeGreaterThan(0);
}

describe("app is lost", () => {
  test.each([
    ["vanish", /^app does not answer monit, and .*haproxy.* not hear it: app is condemned$/],
    ["poweroff", /^app (is stopped, says the cloud|does not answer monit, and .*): app is condemned$/],
  ])("%s: another one takes its place, and the incident says why", async (fault, why) => {
    await lab.fault(fault, "app");
    await unsettled();
    const after = await replaced("app");
    const others = ({ machines }: LabStatus) => machines.filter(({ name }) => name !== "app");
    expect(others(after)).toEqual(others(before));
    expect(after.shards.map(({ master }) => master)).toEqual(before.shards.map(({ master }) => master));
    expect(await recordOf("app")).toBe(addressIn(after, "app"));
    await expectServed();

    const [incident, ...more] = await newIncidents();
    expect(more).toEqual([]);
    expect(incident).toMatchObject({ machine: "app", situation: "lost" });
    expect(incident?.because).toMatch(why);
    expect(incident?.steps.map(({ step }) => step)).toContain("launch a new app");
    await lab.pulumi("preview", "--expect-no-changes", "--non-interactive");
  });

  test("together with a proxy: both are replaced", async () => {
    await Promise.all([lab.fault("vanish", "app"), lab.fault("vanish", "haproxy1")]);
    await unsettled();
    const after = await replaced("app", "haproxy1");
    for (const name of ["app", "haproxy1"]) expect(await recordOf(name)).toBe(addressIn(after, name));
    await expectServed();
  });
});

describe("only monit does not see app", () => {
  // Longer than `graceMs`, after which it is said loudly.
  test.each([5_000, 20_000])("for %i ms: it is kept, and the status says so", async (cutMs) => {
    const scenario = await Scenario.begin();
    try {
      await lab.fault("partition", "monit", "app");
      await unsettled();
      await delay(cutMs);
      const { healthy, sentence } = await recovery();
      await lab.fault("heal");
      expect(healthy).toBe(false);
      expect(sentence).toMatch(/monit cannot see app, but haproxy1 and haproxy2 hear it/);
      await scenario.expectLeftAlone();
      expectSmooth(await scenario.ended());
    } finally {
      await scenario.endTraffic().catch(() => {});
    }
  });
});
