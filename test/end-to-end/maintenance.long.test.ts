/** What people do to an installation: renew its machines under traffic, and rehearse failures. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Traffic, type TrafficSummary, waitFor } from "../../lab/operate.ts";
import type { RollPlan } from "../../recovery/cli/roll.ts";
import type { RehearsalReport } from "../../recovery/rehearsal/rehearse.ts";
import { addressIn, expectNothingLost, freshBudget, lab, recordOf, replacementMsMax } from "./scenario.ts";

const barton = (...args: string[]) => lab.exec("monit", "barton", ...args);
const outdated = async () => JSON.parse(await barton("roll", "--dry-run", "--json")) as RollPlan;

beforeAll(freshBudget);

describe("barton roll", () => {
  let traffic: Traffic[] = [];
  beforeEach(async () => {
    await lab.untilHealthy(120_000);
    await barton("switchover", "redis2"); // all masters on redis1, whatever other tests have left
    traffic = [7001, 7002].map((port) => lab.startTraffic(port));
    await Promise.all(traffic.map((one) => one.untilFlowing(2, 30_000)));
  });
  afterEach(async () => {
    await endTraffic().catch(() => {});
  });

  function endTraffic(): Promise<TrafficSummary[]> {
    const running = traffic;
    traffic = [];
    return Promise.all(running.map((one) => one.stop()));
  }

  test("new images and configuration reach every machine, one by one, without an error", {
    timeout: 400_000,
  }, async () => {
    expect(await outdated()).toMatchObject({ replace: [] });
    const before = await lab.status();
    const startsBefore = (await startsWithNewTopology()).length;
    await newImageOf("redis");
    await lab.pulumi("config", "set", "--path", "barton:detection.stallMs", "4200");
    await lab.pulumi("up", "--yes", "--skip-preview");
    // The monitor starts with the new program, is well by the topology that it remembers, and starts once more with the new one.
    await waitFor("the monitor with the new topology", 60_000, async () => {
      const starts = await startsWithNewTopology();
      return (starts.length > startsBefore && starts.at(-1)?.includes("recovery watches")) || undefined;
    });
    // The up itself touches no running machine.
    expect((await lab.untilHealthy(60_000)).machines).toEqual(before.machines);
    const [master, replica] = [before.shards[0]?.master ?? "", before.shards[0]?.replica ?? ""];
    const order = [replica, master, "haproxy2", "haproxy1", "app"];
    expect((await outdated()).replace).toEqual(order);

    // While recovery is paused nothing is begun.
    await barton("pause", "--for", "5m", "--why", "a test");
    await expect(barton("roll", "--yes")).rejects.toThrow(/paused until/);
    await barton("resume");

    // Traffic runs on app, which is replaced in the end: first everything else.
    await interruptedRoll();
    await lab.untilHealthy(replacementMsMax);
    const done = await outdated();
    expect(done.replace).toEqual(order.slice(1));
    const said = await barton("roll", "--yes", ...order.slice(0, -1));
    expect(said).toContain(`replaced: ${order.slice(1, -1).join(", ")}`);
    for (const [index, summary] of (await endTraffic()).entries()) {
      expectNothingLost(summary);
      expect(summary.errors, `errors through 700${index + 1}`).toBe(0);
    }

    expect(await barton("roll", "--yes")).toContain("replaced: app");
    const after = await lab.untilHealthy(replacementMsMax);
    for (const name of order) {
      expect(addressIn(after, name), name).not.toBe(addressIn(before, name));
      expect(await recordOf(name)).toBe(addressIn(after, name));
    }
    expect(addressIn(after, "monit")).toBe(addressIn(before, "monit"));
    // A planned switch moved the masters to the machine that was new by then.
    expect(after.shards.map((shard) => shard.master)).toEqual(after.shards.map(() => replica));
    expect(await barton("roll", "--yes")).toContain("nothing to replace");
    await lab.pulumi("preview", "--expect-no-changes");
    // Renewing machines is no failure: their budgets are whole.
    const memory = JSON.parse(await lab.exec("monit", "cat", "/var/lib/barton/memory.json"));
    expect(memory.replacements).toEqual([]);
  });

  /** The monitor's journal, cut where it started again because an up had changed the topology. */
  async function startsWithNewTopology(): Promise<string[]> {
    const journal = await lab.exec("monit", "journalctl", "--no-pager", "-o", "cat", "-u", "barton-monitor");
    return journal.split("recovery starts again with it");
  }

  /** Ctrl-C while the first machine is being replaced: the monitor finishes that one, and no other is begun. */
  async function interruptedRoll(): Promise<void> {
    const shell = "echo $$ >/run/roll.pid; exec barton roll --yes >/run/roll.log 2>&1";
    const ended = lab.exec("monit", "bash", "-c", shell).then(
      () => "ended well",
      () => "ended with an error",
    );
    await waitFor("the first launch", replacementMsMax, async () => {
      const log = await lab.exec("monit", "cat", "/run/roll.log");
      return /stop monitoring .*: done/.test(log) || undefined;
    });
    await lab.exec("monit", "bash", "-c", 'kill -INT "$(cat /run/roll.pid)"');
    expect(await ended).toBe("ended with an error");
    expect(await lab.exec("monit", "tail", "-n", "1", "/run/roll.log")).toMatch(
      /interrupted; the monitor finishes/,
    );
  }
});

/** Bakes the role's image anew at the next `up`, as after a change of what is in it. */
async function newImageOf(role: string): Promise<void> {
  const exported = JSON.parse(await lab.pulumi("stack", "export")) as {
    deployment: { resources: { urn: string }[] };
  };
  const builder = exported.deployment.resources.find(({ urn }) => urn.endsWith(`::${role}-builder`));
  await lab.pulumi("state", "taint", builder?.urn ?? "", "--yes");
}

describe("barton rehearse", () => {
  beforeEach(async () => {
    await lab.untilHealthy(120_000);
  });

  async function rehearse(...args: string[]): Promise<RehearsalReport> {
    return JSON.parse(await barton("rehearse", ...args, "--yes", "--json")) as RehearsalReport;
  }

  test.each(["poweroff", "vanish"])("%s of the master's machine", async (kind) => {
    const before = await lab.status();
    const master = before.shards[0]?.master ?? "";
    const report = await rehearse(kind, master);
    const after = await lab.untilHealthy(30_000);
    expect(report).toMatchObject({
      ok: true,
      fault: `${kind} ${master}`,
      replaced: { from: addressIn(before, master), to: addressIn(after, master) },
    });
    expect(addressIn(after, master)).not.toBe(addressIn(before, master));
    expect(after.shards[0]?.master).toBe(before.shards[0]?.replica);
    expect(report.steps.map(({ step }) => step)).toContain(`launch a new ${master}`);
    expect(report.clients.longestWaitMs).toBeGreaterThan(100);
    expect(report.clients.longestWaitMs).toBeLessThan(2_000);
  });

  test("vanish of a proxy", async () => {
    const before = await lab.status();
    expect(await rehearse("vanish", "haproxy1")).toMatchObject({ ok: true });
    const after = await lab.untilHealthy(30_000);
    expect(addressIn(after, "haproxy1")).not.toBe(addressIn(before, "haproxy1"));
  });

  test.each(["crash", "hang"])("%s of a master's process: its counterpart takes over", async (kind) => {
    const [shard] = (await lab.status()).shards;
    expect(await rehearse(kind, `${shard?.master}:${shard?.port}`)).toMatchObject({ ok: true });
    expect((await lab.untilHealthy(30_000)).shards[0]?.master).toBe(shard?.replica);
  });

  test.each(["crash", "hang"])("%s of a proxy's process", async (kind) => {
    expect(await rehearse(kind, "haproxy2:haproxy")).toMatchObject({ ok: true });
    await lab.untilHealthy(30_000);
  });

  test("refused: what would prove nothing, or cannot be broken; and nothing is touched", async () => {
    const before = await lab.status();
    await expect(barton("rehearse", "vanish", "nobody", "--yes")).rejects.toThrow('no machine "nobody"');
    await expect(barton("rehearse", "vanish", "monit", "--yes")).rejects.toThrow("a rehearsal runs on monit");
    await expect(barton("rehearse", "vanish", "redis1")).rejects.toThrow("nobody can be asked here");
    await barton("pause", "--for", "5m");
    await expect(barton("rehearse", "vanish", "redis1", "--yes")).rejects.toThrow(
      /nothing was broken.*paused/,
    );
    await barton("resume");
    const after = await lab.untilHealthy(30_000);
    expect(after.machines).toEqual(before.machines);
    expect(after.shards).toEqual(before.shards);
  });
});
