/** monit comes back by its auto scaling group, with nobody around, and goes on; of two monitors one acts. */
import { afterEach, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import { addressIn, expectSmooth, lab, recordOf, scenarioBeforeEach, untilReplaced } from "./scenario.ts";

const scenario = scenarioBeforeEach();
/** The group notices within seconds; then a boot, a program to fetch, and whatever was lost besides. */
const deadlineMs = 120_000;

/** Waits until `machines` are others than before and the lab is healthy. */
const replaced = (...machines: string[]) => untilReplaced(scenario.current.before, deadlineMs, ...machines);

test.each(["poweroff", "vanish"])(
  "after a %s another monit watches, has the name, and heals",
  async (fault) => {
    const { current } = scenario;
    await lab.fault(fault, "monit");
    const after = await replaced("monit");
    expect(await lab.exec("monit", "systemctl", "is-active", "barton-monitor.service")).toBe("active");
    expect(await recordOf("monit")).toBe(addressIn(after, "monit"));
    expect(after.otherInstances.filter(({ name }) => name === "monit")).toEqual([]);
    await lab.pulumi("preview", "--expect-no-changes", "--non-interactive");

    await lab.fault("vanish", current.master);
    const { summary } = await current.replaced(current.master);
    expectSmooth(summary);
  },
);

test("monit and the master's machine are lost at once: the new monit finishes the job", async () => {
  const { master, replica } = scenario.current;
  await Promise.all([lab.fault("poweroff", "monit"), lab.fault("vanish", master)]);
  const after = await replaced("monit", master);
  for (const shard of after.shards) expect(shard).toMatchObject({ master: replica, replica: master });
  const summary = await scenario.current.ended();
  // Nobody was there to send the traffic elsewhere for a while: it waited.
  expect(summary.lost).toBe(0);
  expect(summary.acknowledged).toBeGreaterThan(100);
});

describe("a second monitor", () => {
  const unit = "second-monitor";
  // Stopped, it is forgotten: systemd then knows no unit of this name.
  const stop = () =>
    lab.exec("monit", "sh", "-c", `! systemctl is-active --quiet ${unit} || systemctl stop ${unit}`);
  afterEach(stop);

  /** Runs beside monit's own, as if on another machine. */
  async function start(id: string): Promise<void> {
    const environment = {
      BARTON_MONITOR_ID: id,
      BARTON_STATE_DIR: "/run/second/state",
      BARTON_RUN_DIR: "/run/second",
    };
    await lab.exec(
      "monit",
      ...[
        "systemd-run",
        "--quiet",
        "--collect",
        `--unit=${unit}`,
        "-p",
        "EnvironmentFile=/etc/barton/monitor.env",
      ],
      ...Object.entries(environment).map(([name, value]) => `--setenv=${name}=${value}`),
      ...["/opt/barton/tools/bin/node", "/opt/barton/program/recovery/monitor.ts"],
    );
  }
  const journalOf = (name: string) => lab.exec("monit", "journalctl", "--no-pager", "-u", name);
  const sentence = async () => (await lab.status()).sentence;

  test("on an older machine never acts", async () => {
    const { current } = scenario;
    await start("2001-01-01T00:00:00.000Z/i-older");
    await waitFor("that it steps back", 30_000, async () => {
      return (await journalOf(unit)).includes("a younger monitor (on i-") || undefined;
    });
    await lab.fault("vanish", current.master);
    const { summary } = await current.replaced(current.master);
    expectSmooth(summary);
    expect(await journalOf(unit)).not.toContain("incident:");
  });

  test("on a younger machine acts alone, and when it ends the first one acts again", async () => {
    const { before, master } = scenario.current;
    await start("2999-01-01T00:00:00.000Z/i-younger");
    await waitFor("that the first steps back", 30_000, async () => {
      return (await sentence()).includes("a younger monitor (on i-younger)") || undefined;
    });
    await lab.fault("crash", `${master}:${before.shards[0]?.port}`);
    await waitFor("that the second has healed it", 60_000, async () => {
      return (await journalOf(unit)).includes("all is well: shard 1: ") || undefined;
    });
    expectSmooth(await scenario.current.ended());
    await stop();
    const after = await lab.untilHealthy(60_000);
    expect(after.shards[0]?.master).toBe(scenario.current.replica);
    expect(after.machines).toEqual(before.machines);
  });
});
