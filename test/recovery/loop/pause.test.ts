import { expect, test } from "vitest";
import type { Clock } from "../../../recovery/clock.ts";
import {
  Pause,
  parseDuration,
  pauseMaxMs,
  type SavedPause,
  whyPaused,
} from "../../../recovery/loop/pause.ts";

const startMs = Date.parse("2026-01-01T12:00:00Z");
const hourMs = 3_600_000;

function fakeClock(): Clock & { passedMs: number; jumpedMs: number } {
  return {
    passedMs: 0,
    jumpedMs: 0,
    now() {
      return this.passedMs;
    },
    date() {
      return new Date(startMs + this.passedMs + this.jumpedMs);
    },
    sleep: async () => {},
  };
}

function paused(forMs: number) {
  const clock = fakeClock();
  const files: (SavedPause | null)[] = [];
  const pause = new Pause(clock, (saved) => void files.push(saved));
  pause.begin(forMs, "new disks");
  return { clock, files, pause };
}

test("a pause says until when and why, and is kept", () => {
  const { pause, files } = paused(hourMs);
  expect(pause.current).toEqual({ untilAt: "2026-01-01T13:00:00.000Z", why: "new disks" });
  expect(files).toEqual([{ untilAt: "2026-01-01T13:00:00.000Z", forMs: hourMs, why: "new disks" }]);
  expect(whyPaused(pause.current)).toBe(
    'recovery is paused until 2026-01-01T13:00:00.000Z (new disks); "barton resume" ends that',
  );
});

test("it ends by itself, and its file with it", () => {
  const { clock, pause, files } = paused(hourMs);
  clock.passedMs = hourMs - 1;
  expect(pause.current).toBeDefined();
  clock.passedMs = hourMs;
  expect(pause.current).toBeUndefined();
  expect(files.at(-1)).toBeNull();
});

test("it is ended by hand, once", () => {
  const { pause } = paused(hourMs);
  expect([pause.end(), pause.end()]).toEqual([true, false]);
  expect(pause.current).toBeUndefined();
});

test.each([-2, 2])("a wall clock that jumps by %i hours changes nothing", (hours) => {
  const { clock, pause } = paused(hourMs);
  clock.jumpedMs = hours * hourMs;
  clock.passedMs = hourMs / 2;
  expect(pause.current).toBeDefined();
  clock.passedMs = hourMs;
  expect(pause.current).toBeUndefined();
});

test("it survives a restart, for what is left of it, and never for longer than was ordered", () => {
  const saved = { untilAt: "2026-01-01T12:30:00.000Z", forMs: hourMs, why: "" };
  const clock = fakeClock();
  const pause = new Pause(clock, () => {}, saved);
  clock.passedMs = hourMs / 2 - 1;
  expect(pause.current).toEqual({ untilAt: saved.untilAt, why: "" });
  clock.passedMs = hourMs / 2;
  expect(pause.current).toBeUndefined();

  const early = fakeClock();
  early.jumpedMs = -5 * hourMs;
  const prolonged = new Pause(early, () => {}, saved);
  early.passedMs = hourMs;
  expect(prolonged.current).toBeUndefined();
});

test.each([undefined, null, "x", { untilAt: "x" }, { untilAt: "2025-01-01T00:00:00Z", forMs: 1, why: "" }])(
  "a file that holds %j is no pause",
  (saved) => {
    expect(new Pause(fakeClock(), () => {}, saved).current).toBeUndefined();
  },
);

test("durations are written as people write them", () => {
  expect(["90s", "30m", "1h", "1h30m"].map(parseDuration)).toEqual([90_000, 1_800_000, hourMs, 5_400_000]);
  for (const wrong of ["", "1", "h", "1d", "1h x", "-1h"]) expect(() => parseDuration(wrong)).toThrow("90s");
});

test("a pause has a limit", () => {
  expect(() => paused(pauseMaxMs + 1)).toThrow("24 hours");
  expect(() => paused(0)).toThrow("24 hours");
});
