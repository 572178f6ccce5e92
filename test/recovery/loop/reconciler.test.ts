/** The loop itself, with nobody there to connect to: what an exception in one of its parts does to the others. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { decide, type Outcome, reconsider } from "../../../recovery/decide/decide.ts";
import { createLog } from "../../../recovery/log.ts";
import { Reconciler, type ReconcilerOptions } from "../../../recovery/loop/reconciler.ts";
import type { Links } from "../../../recovery/observe/links.ts";
import { Notifier } from "../../../recovery/report/notify.ts";
import type { Notification } from "../../../recovery/report/webhook.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import type { FailedWrite } from "../../../recovery/storage/files.ts";
import { topologyOf } from "../world-of-facts.ts";

let stop = new AbortController();
beforeEach(() => {
  stop = new AbortController();
});
afterEach(() => stop.abort());

const nobody = {
  ask: () => Promise.reject(new Error("nobody is there")),
  knock: async () => "refused",
  drop: () => {},
  close: () => {},
};
const links = { redis: () => nobody, proxy: () => nobody, app: () => nobody } as unknown as Links;

/** A running loop whose decisions are made by `decideAs`. */
function running(decideAs: (outcome: Outcome) => Outcome, failing: FailedWrite[] = []) {
  const lines: string[] = [];
  const files = {
    write: () => {},
    remove: () => {},
    list: async () => [],
    settled: async () => failing.length === 0,
    failing,
  };
  const reconciler = new Reconciler({
    topology: topologyOf(1),
    credentials: { redisUser: "recovery", redisPassword: "secret" },
    limits: defaultLimits,
    cloud: { describe: async () => [], powerOff: async () => {} },
    engine: {} as ReconcilerOptions["engine"],
    remote: { run: async () => "" },
    clock: systemClock,
    log: createLog({ write: (text) => lines.push(text) }, {}),
    files: files as unknown as ReconcilerOptions["files"],
    stateDir: "/nonexistent",
    links,
    policy: { decide: (...facts) => decideAs(decide(...facts)), reconsider },
  });
  const sent: Notification[] = [];
  const notifier = new Notifier({ send: (one) => void sent.push(one), clock: systemClock, stack: "barton" });
  reconciler.bugs.watch(notifier.takeBug);
  void reconciler.run(stop.signal);
  return { reconciler, lines, sent };
}

test("a cycle that throws is reported, told once, and the loop goes on", async () => {
  let isBroken = true;
  const { reconciler, lines, sent } = running((outcome) => {
    if (isBroken) throw new Error("null in a proxy's facts");
    return outcome;
  });
  await expect.poll(() => reconciler.bugs.all[0]?.times, { timeout: 10_000 }).toBeGreaterThan(2);
  const status = reconciler.status();
  expect(status).toMatchObject({ healthy: false, bugs: [{ where: "a cycle" }] });
  expect(status?.sentence).toMatch(
    /^BUG in a cycle \(\d+ times\): null in a proxy's facts; recovery goes on/,
  );
  isBroken = false;
  await expect.poll(() => reconciler.decisions, { timeout: 10_000 }).toBeDefined();
  await expect.poll(() => reconciler.status()?.shards.length, { timeout: 10_000 }).toBe(1);
  expect(reconciler.status()?.sentence).toContain("BUG in a cycle");
  const told = lines.filter((line) => line.startsWith("BUG in a cycle: null in a proxy's facts; "));
  expect(told).toHaveLength(1);
  expect(told[0]).toContain("stack=");
  expect(sent).toMatchObject([
    { event: "bug", about: "recovery", sentence: expect.stringMatching(/^BUG in a cycle: null in a proxy/) },
  ]);
});

test("what was thrown about one subject is told once, with that subject, and the cycle goes on", async () => {
  const { reconciler, sent } = running((outcome) => ({
    ...outcome,
    faults: [{ where: "haproxy1", error: new TypeError("a null") }],
  }));
  await expect.poll(() => reconciler.bugs.all[0]?.times, { timeout: 10_000 }).toBeGreaterThan(2);
  expect(reconciler.status()).toMatchObject({
    healthy: false,
    bugs: [{ where: "haproxy1", message: "a null" }],
  });
  expect(reconciler.status()?.shards).toHaveLength(1);
  expect(sent).toMatchObject([
    { event: "bug", about: "recovery", sentence: expect.stringMatching(/^BUG in haproxy1: a null/) },
  ]);
});

test("a watcher that throws stops neither the loop nor the other watchers", async () => {
  const { reconciler } = running((outcome) => outcome);
  let cycles = 0;
  reconciler.watch(() => {
    throw new Error("a report that cannot be made");
  });
  reconciler.watch(() => {
    cycles += 1;
  });
  await expect.poll(() => cycles, { timeout: 10_000 }).toBeGreaterThan(2);
  expect(reconciler.bugs.all).toMatchObject([
    { where: "reporting", message: "a report that cannot be made" },
  ]);
});

test("a listener of the journal that throws does not fail the step that it is told of", () => {
  const { reconciler } = running((outcome) => outcome);
  reconciler.journal.open("redis1", "gone", undefined);
  reconciler.journal.listen(() => {
    throw new Error("the order's connection is gone");
  });
  expect(() => reconciler.journal.step("redis1", "fence redis1")("done")).not.toThrow();
  expect(reconciler.bugs.all).toMatchObject([{ where: "answering an order", times: 1 }]);
});

test("a disk that takes nothing shows in the status, and passes", async () => {
  const failing: FailedWrite[] = [{ path: "/var/lib/barton/memory.json", why: "EROFS", failures: 1 }];
  const { reconciler } = running((outcome) => outcome, failing);
  await expect.poll(() => reconciler.status(), { timeout: 10_000 }).toBeDefined();
  expect(reconciler.status()).toMatchObject({ healthy: false, notKept: failing });
  expect(reconciler.status()?.sentence).toMatch(
    /^recovery cannot write \/var\/lib\/barton\/memory.json \(EROFS\)/,
  );
  expect(reconciler.gauges().status?.notKept).toHaveLength(1);
  failing.length = 0;
  expect(reconciler.status()?.sentence).not.toMatch(/cannot write/);
});
