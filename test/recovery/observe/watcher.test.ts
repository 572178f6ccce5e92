import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import type { Knock } from "../../../recovery/observe/knock.ts";
import { count, freshTally, lookOf, type Outcome } from "../../../recovery/observe/tally.ts";
import { Watcher } from "../../../recovery/observe/watcher.ts";

describe("counting failures in a row", () => {
  test("three make a verdict, one success forgets them", () => {
    let tally = count(freshTally, "refused", 100);
    expect(lookOf(tally, 3)).toEqual({ state: "failing", silence: "refused", sinceMs: 100 });
    tally = count(count(tally, "silent", 200), "silent", 300);
    expect(lookOf(tally, 3)).toEqual({
      state: "down",
      silence: "silent",
      sinceMs: 100,
      provenSinceMs: 100,
    });
    expect(lookOf(count(tally, "ok", 400), 3)).toEqual({ state: "up" });
  });

  test("a look is down exactly when the last outcomes in a row are failures, as many as a verdict needs", () => {
    const outcome = fc.constantFrom<Outcome>("ok", "refused", "silent", "stalled");
    fc.assert(
      fc.property(fc.array(outcome), fc.integer({ min: 1, max: 5 }), (outcomes, needed) => {
        const tally = outcomes.reduce((sum, one, position) => count(sum, one, position), freshTally);
        const inRow = outcomes.length - 1 - outcomes.lastIndexOf("ok");
        expect(lookOf(tally, needed).state === "down").toBe(inRow >= needed);
      }),
    );
  });
});

describe("watching", () => {
  const detection = { intervalMs: 20, fastIntervalMs: 5, connectTimeoutMs: 40, failures: 3, stallMs: 400 };
  let watcher: Watcher<string> | undefined;
  afterEach(() => watcher?.stop());

  /** What the party does when asked and when knocked at; changed while the watcher runs. */
  function watch(party: { ask: () => Promise<string>; knock: Knock }) {
    const started = new Watcher<string>({
      watched: {
        ask: () => party.ask(),
        knock: async () => party.knock,
        drop: () => {},
        close: () => {},
      },
      clock: systemClock,
      detection,
      paceMs: () => detection.intervalMs,
      onLook: () => {},
    });
    started.start();
    watcher = started;
    return started;
  }

  async function until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 5_000;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error("not seen within 5 s");
      await systemClock.sleep(2);
    }
  }
  const never = () => new Promise<string>(() => {});
  const broken = () => Promise.reject<string>(new Error("broken"));

  test("the latest answer is kept", async () => {
    const seen = watch({ ask: async () => "well", knock: "open" });
    await until(() => seen.look.state === "up");
    expect(seen.latest?.value).toBe("well");
  });

  test.each([
    ["refused", broken, "refused"],
    ["silent", never, "silent"],
    ["stalled", never, "open"],
  ] as const)("%s is told apart by the knock", async (silence, ask, knock) => {
    const party = { ask: async () => "well", knock: "open" as Knock };
    const seen = watch(party);
    await until(() => seen.look.state === "up");
    Object.assign(party, { ask, knock });
    await until(() => seen.look.state === "down");
    expect(seen.look.silence).toBe(silence);
  });

  test("a connection that somebody closed is no failure when the next one answers", async () => {
    let asked = 0;
    const seen = watch({
      ask: () => (asked++ % 2 === 1 ? broken() : Promise.resolve("well")),
      knock: "open",
    });
    await until(() => asked > 10);
    expect(seen.look.state).toBe("up");
  });

  test("an answer that the look under the lock brings counts at once", async () => {
    const party = { ask: async () => "well", knock: "open" as Knock };
    const seen = watch(party);
    await until(() => seen.look.state === "up");
    let wake = () => {};
    party.ask = () => new Promise((resolve) => (wake = () => resolve("late")));
    await until(() => seen.look.state === "down");
    party.ask = async () => "well again";
    wake();
    await seen.refresh(1_000);
    expect(seen.latest?.value).toBe("well again");
    expect(seen.look).toEqual({ state: "up" });
  });

  test("a refresh asks again on a new connection when the last one broke, but waits for nobody who fails probes", async () => {
    let asked = 0;
    const party = { ask: async () => `answer ${++asked}`, knock: "open" as Knock };
    const seen = new Watcher<string>({
      watched: { ask: () => party.ask(), knock: async () => party.knock, drop: () => {}, close: () => {} },
      clock: systemClock,
      detection,
      // The loop probes once, and then only the test asks.
      paceMs: () => 60_000,
      onLook: () => {},
    });
    watcher = seen;
    seen.start();
    await until(() => seen.latest !== undefined);
    const answers = party.ask;
    party.ask = broken;
    await seen.refresh(1_000);
    party.ask = answers;
    await seen.refresh(1_000);
    expect(seen.latest?.value).toBe("answer 2");
    watcher?.stop();

    const lost = watch({ ask: broken, knock: "refused" });
    await until(() => lost.look.state === "down");
    const beforeMs = performance.now();
    await lost.refresh(60_000);
    expect(performance.now() - beforeMs).toBeLessThan(30_000);
  });

  test("a look that is down says when the oldest of its probes began", async () => {
    const seen = watch({ ask: broken, knock: "refused" });
    await until(() => seen.look.state === "down");
    const sightMs = systemClock.now();
    expect(seen.look.provenSinceMs).toBeLessThan(sightMs);
    await until(() => (seen.look.provenSinceMs ?? 0) >= sightMs);
    expect(seen.look.sinceMs).toBeLessThan(sightMs);
  });

  test("a probe that was under way when failures were forgiven is no failure", async () => {
    const party = { ask: async () => "well", knock: async () => "open" as Knock };
    const seen = new Watcher<string>({
      watched: { ask: () => party.ask(), knock: () => party.knock(), drop: () => {}, close: () => {} },
      clock: systemClock,
      detection,
      paceMs: () => detection.intervalMs,
      onLook: () => {},
    });
    seen.start();
    watcher = seen;
    await until(() => seen.look.state === "up");
    let open = (_: Knock) => {};
    party.ask = broken;
    party.knock = () => new Promise((resolve) => (open = resolve));
    let knocks = 0;
    const knocking = party.knock;
    party.knock = () => {
      knocks += 1;
      return knocking();
    };
    await until(() => knocks === 1);
    seen.forgive();
    open("silent");
    await until(() => knocks === 2);
    expect(seen.look).toEqual({ state: "up" });
    open("silent");
    await until(() => knocks === 3);
    expect(seen.look.state).toBe("failing");
    open("silent");
  });

  test("a probe during which this process stood still is no failure", async () => {
    const party = { ask: async () => "well", knock: "open" as Knock };
    let nowMs = 0;
    const clock = { ...systemClock, now: () => nowMs + systemClock.now() };
    let isHeldUp = true;
    let looks = 0;
    const seen = new Watcher<string>({
      watched: {
        ask: () => party.ask(),
        knock: async () => {
          if (isHeldUp) nowMs += detection.connectTimeoutMs * 10;
          return "silent";
        },
        drop: () => {},
        close: () => {},
      },
      clock,
      detection,
      paceMs: () => detection.intervalMs,
      onLook: () => (looks += 1),
    });
    seen.start();
    watcher = seen;
    await until(() => seen.look.state === "up");
    party.ask = broken;
    const before = looks;
    await until(() => looks > before + 5);
    expect(seen.look).toEqual({ state: "up" });
    isHeldUp = false;
    await until(() => seen.look.state === "down");
  });

  test("failures are forgiven when recovery itself was paused", async () => {
    const seen = watch({ ask: broken, knock: "refused" });
    await until(() => seen.look.state === "down");
    seen.forgive();
    expect(seen.look).toMatchObject({ state: "failing", silence: "refused" });
  });
});
