/** How `failover` ends without an end in sight: the monitor stops, or it takes long. */
import { expect, test } from "vitest";
import type { Reconciler } from "../../../recovery/loop/reconciler.ts";
import { type FailoverOptions, failover } from "../../../recovery/orders/failover.ts";
import { failoverIfFailed } from "../../../recovery/orders/failover-if-failed.ts";
import { switchover } from "../../../recovery/orders/switchover.ts";

/** A recovery that is at work on redis2 for ever, on a clock that runs ahead. */
function atWork(whyStuck?: () => string | undefined) {
  const stop = new AbortController();
  const calls: string[] = [];
  let nowMs = 0;
  let stopsAtMs = Number.POSITIVE_INFINITY;
  const reconciler = {
    pause: { current: undefined },
    decisions: [{}],
    shards: [],
    journal: { listen: () => () => {} },
    isBeingReplaced: () => false,
    whyBudgetSpent: () => undefined,
    order: () => calls.push("order"),
    withdraw: () => calls.push("withdraw"),
    failedInstance: () => "i-1",
    isWell: () => false,
    opinionOf: () => "failed",
    whyStuck: whyStuck ?? (() => undefined),
  } as unknown as Reconciler;
  const options: FailoverOptions = {
    reconciler,
    engine: { whyProgramDiffers: async () => undefined } as FailoverOptions["engine"],
    clock: {
      now: () => nowMs,
      date: () => new Date(nowMs),
      sleep: async (ms) => {
        nowMs += ms;
        if (nowMs >= stopsAtMs) stop.abort();
      },
    },
    say: () => {},
    signal: stop.signal,
  };
  const stopAt = (ms: number) => {
    stopsAtMs = ms;
    if (ms === 0) stop.abort();
  };
  return { options, calls, stopAt, passedMs: () => nowMs };
}

test("a monitor that stops says that its next run goes on, and keeps the order", async () => {
  const { options, calls, stopAt } = atWork(() =>
    options.signal.aborted ? "a person is needed" : undefined,
  );
  stopAt(5_000);
  expect(await failover("redis2", "by hand", options)).toEqual({
    ok: false,
    interrupted: true,
    message:
      'redis2 is not replaced yet: recovery was stopped meanwhile; its next run goes on: see "barton status"',
  });
  expect(calls).toEqual(["order"]);
});

test("one that takes longer than it is followed goes on, too", async () => {
  const { options, calls, passedMs } = atWork();
  expect(await failover("redis2", "by hand", options)).toMatchObject({
    ok: false,
    interrupted: true,
    message: expect.stringContaining("not replaced yet after 15 minutes; recovery goes on"),
  });
  expect(passedMs()).toBeGreaterThanOrEqual(900_000);
  expect(calls).toEqual(["order"]);
});

test("what needs a person is withdrawn, and no interruption", async () => {
  const { options, calls } = atWork(() => "it was replaced 10 times");
  expect(await failover("redis2", "by hand", options)).toEqual({
    ok: false,
    message: "it was replaced 10 times",
  });
  expect(calls).toEqual(["order", "withdraw"]);
});

test("another's order is not withdrawn: neither by `--if-failed`, nor by an order for a machine that is being replaced", async () => {
  const stuck = { ok: false, message: "it was replaced 10 times" };
  const ifFailed = atWork(() => stuck.message);
  expect(await failoverIfFailed("redis2", ifFailed.options)).toEqual(stuck);
  expect(ifFailed.calls).toEqual([]);
  const second = atWork(() => stuck.message);
  second.options.reconciler.isBeingReplaced = () => true;
  expect(await failover("redis2", "by hand", second.options)).toEqual(stuck);
  expect(second.calls).toEqual([]);
});

test("a monitor that stops takes no order", async () => {
  const { options, calls, stopAt } = atWork();
  stopAt(0);
  expect(await failover("redis2", "by hand", options)).toMatchObject({ ok: false, interrupted: true });
  expect(await switchover("redis2", options)).toMatchObject({
    ok: false,
    interrupted: true,
    message: expect.stringContaining("order it again when it is back"),
  });
  expect(calls).toEqual([]);
});
