/** Resumption (rule 6): whoever dies at whatever moment, the next cycle finishes the job without a person. */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import {
  addressIn,
  expectNothingLost,
  freshBudget,
  lab,
  monitorWith,
  plainMonitor,
  scenarioBeforeEach,
} from "./scenario.ts";

beforeAll(freshBudget);
const scenario = scenarioBeforeEach();

/** Some twenty deaths take their time: each costs a start of Node and of systemd's patience. */
const resumedMsMax = 240_000;

/** Expects that what was interrupted left no trace: neither in the cloud, nor in Pulumi's state. */
async function expectNoTrace(): Promise<void> {
  const { otherInstances } = await lab.status();
  expect(otherInstances.filter(({ state }) => state === "running")).toEqual([]);
  const state = JSON.parse(await lab.pulumi("stack", "export")) as {
    deployment: { pending_operations?: unknown[]; resources: { taint?: boolean; delete?: boolean }[] };
  };
  expect(state.deployment.pending_operations ?? []).toEqual([]);
  expect(state.deployment.resources.filter((one) => one.taint || one.delete)).toEqual([]);
}

describe("recovery is killed after each of its steps", () => {
  const diedAfter = "/run/barton-crash-points";

  afterEach(async () => {
    await lab.exec("monit", "rm", "-f", diedAfter);
    await plainMonitor();
  });

  const replacement = [/^stop monitoring/, /^taint/, /^compare the program/, /^power off/, /^launch/];
  const everything = {};
  // Killed after the promotion, recovery finds the proxies' servers astray instead of going on with these.
  const onlyAfter = (kind: string) => ({ BARTON_LAB_CRASH_AFTER: kind });

  test.each([
    ["failed_redis", everything, [...replacement, /^fence/, /^make \S+ master/, /^set servers/]],
    ["failed_redis, once released", onlyAfter("release"), [/^send the traffic/]],
    ["failed_redis, once old sessions are cut", onlyAfter("cut"), [/^cut old sessions/]],
    ["failed_haproxy", everything, [...replacement, /^configure/, /^set servers/, /^register/]],
  ])("%s", async (name, kinds, steps) => {
    const machine = name === "failed_haproxy" ? "haproxy1" : scenario.current.master;
    await monitorWith({ BARTON_LAB_CRASH_POINTS: diedAfter, ...kinds });
    await lab.untilHealthy(60_000);
    await lab.fault("vanish", machine);
    const { summary } = await scenario.current.replacedWithin(resumedMsMax, machine);
    expectNothingLost(summary);
    const deaths = (await lab.exec("monit", "cat", diedAfter)).split("\n");
    for (const step of steps) {
      expect(
        deaths.some((death) => step.test(death)),
        `a death after ${step} among ${deaths}`,
      ).toBe(true);
    }
    await expectNoTrace();
  });
});

describe("in the middle of Pulumi's up", () => {
  /** The cloud has launched the new machine, and Pulumi's state does not know it yet. */
  async function halfMade(machine: string): Promise<void> {
    const { before } = scenario.current;
    await waitFor(`a new ${machine}`, 60_000, async () => {
      const { machines, otherInstances } = await lab.status();
      const addresses = [...machines, ...otherInstances]
        .filter(({ name }) => name.startsWith(machine))
        .map(({ address }) => address);
      return addresses.some((address) => address && address !== addressIn(before, machine)) || undefined;
    });
  }

  test.each([
    ["Pulumi is killed", ["pkill", "-KILL", "-x", "pulumi"]],
    [
      "recovery and all that it has started are killed",
      ["systemctl", "kill", "-s", "KILL", "barton-monitor"],
    ],
  ])("%s", async (_, command) => {
    const { master } = scenario.current;
    await lab.fault("vanish", master);
    await halfMade(master);
    await lab.exec("monit", ...command);
    const { summary } = await scenario.current.replacedWithin(resumedMsMax, master);
    expectNothingLost(summary);
    await expectNoTrace();
  });
});

test("a lock that a dead run on monit left behind is taken away", async () => {
  const { replica } = scenario.current;
  await lab.fault("stale-lock");
  await lab.fault("vanish", replica);
  const { summary } = await scenario.current.replacedWithin(resumedMsMax, replica);
  expectNothingLost(summary);
  await expectNoTrace();
});

describe("two monitors by mistake", () => {
  const second = "barton-second";
  const journal = () => lab.exec("monit", "journalctl", "--no-pager", "-o", "cat", "-u", second);
  const says = (pattern: RegExp) =>
    waitFor(
      `the second monitor to say ${pattern}`,
      30_000,
      async () => pattern.test(await journal()) || undefined,
    );

  afterEach(async () => {
    await lab.exec("monit", "systemctl", "stop", second).catch(() => {});
    await lab.exec("monit", "systemctl", "start", "barton-monitor");
  });

  test("only one acts; when it dies, the other one does", async () => {
    const { master, replica } = scenario.current;
    const node = ["/opt/barton/tools/bin/node", "/opt/barton/program/recovery/monitor.ts"];
    const environment = "--property=EnvironmentFile=/etc/barton/monitor.env";
    await lab.exec("monit", "systemd-run", "-q", "--collect", "--unit", second, environment, ...node);
    await says(/another recovery is at work on this machine/);
    await lab.fault("crash", `${master}:9001`);
    await waitFor("the promotion", 20_000, async () => {
      const { healthy, shards } = await lab.status();
      return (healthy && shards[0]?.master === replica) || undefined;
    });
    expect(await journal()).not.toMatch(/recovery watches|fence/);
    const promotions = (await scenario.current.newIncidents())
      .flatMap(({ steps }) => steps)
      .filter(({ step }) => /master of shard 1/.test(step));
    expect(promotions).toHaveLength(1);

    await lab.exec("monit", "systemctl", "stop", "barton-monitor");
    await says(/recovery watches/);
    await lab.fault("crash", `${replica}:9001`);
    await waitFor("the promotion by the second monitor", 20_000, async () => {
      const { healthy, shards } = await lab.status();
      return (healthy && shards[0]?.master === master) || undefined;
    });
    expect(await journal()).toMatch(/make \S+ master of shard 1/);
    expectNothingLost(await scenario.current.ended(), 2);
  });
});
