import { describe, expect, test } from "vitest";
import { breakdownOf } from "./breakdown.ts";
import { binsOf } from "./page/overview.ts";
import { page } from "./page/page.ts";
import { elapsed, linear, logarithmic, ticks } from "./page/scale.ts";
import { type FaultResult, resultsOf, statisticsText, targetsOf } from "./results.ts";
import { incident, sampleRun } from "./sample.ts";
import { quantile, statisticsOf } from "./statistics.ts";

const { run, evidence } = sampleRun();
const results = resultsOf(run, evidence);

describe("statistics", () => {
  test("quantiles are values that were measured", () => {
    const values = Array.from({ length: 30 }, (_, i) => i + 1);
    expect([0.5, 0.95, 1].map((share) => quantile(values, share))).toEqual([15, 29, 30]);
    expect(quantile([3], 0.5)).toBe(3);
    expect(statisticsOf([4, 1, 3])).toEqual({ count: 3, median: 3, p95: 4, max: 4 });
    expect(statisticsOf([])).toBeUndefined();
  });
});

describe("results", () => {
  test("the closing line", () => {
    expect(results.line).toBe(
      "PASS vanish redis1: 0 of 1 482 confirmed writes lost, 0 of 5 933 acknowledged, longest wait 0.73 s",
    );
    expect(results.verdict).toBe("pass");
  });

  test("a run that is invalid is unknown, and its line says why", () => {
    const interrupted = resultsOf({ ...run, invalid: "interrupted" }, evidence);
    expect(interrupted.verdict).toBe("unknown");
    expect(interrupted.line).toMatch(/^UNKNOWN vanish redis1: .*\(interrupted\)$/);
  });

  test("a run that could not be read back is unknown, even without a fault", () => {
    const blind = resultsOf(run, { ...evidence, finals: undefined, faults: [] });
    expect(blind.verdict).toBe("unknown");
    expect(blind.line).toContain("no fault: lost writes unknown");
  });

  test("a failure wins over what makes a run invalid", () => {
    const finals = evidence.finals?.map((state) => ({ ...state, keys: new Map() }));
    const lost = resultsOf({ ...run, invalid: "interrupted" }, { ...evidence, finals });
    expect(lost.verdict).toBe("fail");
    expect(lost.line).toContain("1 482 of 1 482 confirmed writes lost");
  });

  test("finals that lack a shard: what was lost is unknown, and the rest is judged", () => {
    const half = resultsOf(run, { ...evidence, finals: evidence.finals?.slice(1) });
    expect(half.verdict).toBe("unknown");
    expect(half.line).toMatch(/^UNKNOWN vanish redis1: lost writes unknown, .*shard 1 was not read back/);
    expect(half.findings.filter(({ verdict }) => verdict === "pass").length).toBeGreaterThan(3);
  });

  test("a fault that was asked for and not injected makes the run unknown, and its line says so", () => {
    const skipped = ["disk-full redis1: it has no disk of its own"];
    const asked = resultsOf({ ...run, asked: 2, skipped }, evidence);
    expect(asked.verdict).toBe("unknown");
    expect(asked.line).toMatch(
      /^UNKNOWN vanish redis1: 0 of .*\(1 of 2 faults that were asked for not injected: disk-full redis1: it has no disk of its own\)$/,
    );
    expect(resultsOf({ ...run, asked: 1 }, evidence).verdict).toBe("pass");
  });

  test("a random sequence may pass faults over", () => {
    const random = resultsOf({ ...run, skipped: ["disk-full redis1: it has no disk of its own"] }, evidence);
    expect(random.verdict).toBe("pass");
  });

  test("what failed besides keeps a run from a pass, and hides no failure", () => {
    const notes = ["the faults could not be healed: the lab has no control plane"];
    const noted = resultsOf({ ...run, invalid: "no control plane", notes }, evidence);
    expect(noted.verdict).toBe("unknown");
    expect(noted.line).toMatch(/\(no control plane; the faults could not be healed: .*\)$/);
    expect(page(noted, evidence.operations, [])).toContain(notes[0]);
    const finals = evidence.finals?.map((state) => ({ ...state, keys: new Map() }));
    expect(resultsOf({ ...run, notes }, { ...evidence, finals }).verdict).toBe("fail");
  });

  test("the closing line is one line; the page has the whole reason", () => {
    const frames = Array.from({ length: 40 }, (_, i) => `    at f${i} (file:///main.ts:${i}:1)`).join("\n");
    const invalid = `the workload ended (1): main.ts:12\n  throw new Error("x");\n\nError: x\n${frames}\n\nNode.js`;
    const broken = resultsOf({ ...run, invalid }, evidence);
    expect(broken.line).toMatch(
      /\(the workload ended \(1\): main\.ts:12 throw new Error\("x"\); Error: x Node\.js\)$/,
    );
    expect(broken.run.invalid).toBe(invalid);
    expect(page(broken, evidence.operations, [])).toContain("at f39");
    const long = resultsOf({ ...run, invalid: "x".repeat(2000) }, evidence);
    expect(long.line.length).toBeLessThan(500);
  });

  test("what a fault cost", () => {
    const [fault] = results.faults;
    expect(fault).toMatchObject({
      interruption: { ms: 738, shard: 1 },
      redundancyMs: 9100,
      errors: { persistent: 1 },
      errorsBeyond: 0,
      incidents: [incident.id],
    });
    expect(fault?.breakdown).toEqual({
      firstSign: 98,
      verdict: 500,
      fence: 15,
      promote: 5,
      release: 5,
      clients: 115,
    });
    const parts = Object.values(fault?.breakdown ?? {});
    expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(fault?.interruption?.ms ?? 0);
  });

  test("a planned switch after it is none of a fault's cost", () => {
    const at = (evidence.faults[0]?.at ?? 0) + 100;
    const [fault] = resultsOf({ ...run, switches: [{ at, because: "" }] }, evidence).faults;
    expect(fault).toMatchObject({ errors: {}, incidents: [] });
    expect(fault?.longestWaitMs).toBeLessThan(10);
  });

  test("without a recorded release there is no breakdown", () => {
    const [fault] = results.faults;
    if (fault === undefined) throw new Error("there is a fault");
    expect(breakdownOf([{ ...incident, steps: [] }], fault.interruption)).toBeUndefined();
    expect(breakdownOf([incident], undefined)).toBeUndefined();
  });

  test("targets need thirty faults of their kind", () => {
    const many = (count: number, ms: number): FaultResult[] =>
      Array.from({ length: count }, () => ({
        ...(results.faults[0] as FaultResult),
        interruption: { ms, shard: 1, from: 0, to: ms },
      }));
    const median = (faults: FaultResult[]) =>
      targetsOf(faults).find(({ what }) => what === "vanish: write interruption, median");
    expect(median(many(29, 800))).toMatchObject({ measuredMs: null, met: null });
    expect(median(many(30, 800))).toMatchObject({ measuredMs: 800, met: true });
    expect(median(many(30, 1001))).toMatchObject({ met: false });
  });

  test("the table of statistics", () => {
    expect(statisticsText(results.kinds)).toMatch(/^vanish +1 +0\.74 \/ 0\.74 \/ 0\.74 +9\.10/m);
  });
});

describe("the picture", () => {
  test("scales and ticks", () => {
    expect(linear(0, 10, 100, 200)(5)).toBe(150);
    expect(linear(0, 10, 100, 200)(99)).toBe(200);
    expect(logarithmic(1, 10_000, 0, 100)(100)).toBeCloseTo(50);
    expect(ticks(0, 30_000, 12)).toEqual([0, 5000, 10_000, 15_000, 20_000, 25_000, 30_000]);
    expect([95_000, 500, 3_600_000].map(elapsed)).toEqual(["1:35", "0:00.5", "60:00"]);
  });

  test("a wait counts in every piece of time in which it was already that old", () => {
    const waiting = { ...(evidence.operations[0] as (typeof evidence.operations)[number]) };
    const bins = binsOf([{ ...waiting, invokedAt: 0, completedAt: 350 }], 0, 500);
    expect(bins.map(({ slowestMs }) => slowestMs)).toEqual([100, 200, 300, 350, 0]);
    expect(bins.map(({ perSecond }) => perSecond)).toEqual([0, 0, 0, 10, 0]);
  });
});

describe("the page", () => {
  const html = page(results, evidence.operations, evidence.incidents);

  test("has everything, and needs nothing from elsewhere", () => {
    for (const id of ["overview", "checkers", "kinds", "breakdown", "faults", "run"]) {
      expect(html).toContain(`id="${id}"`);
    }
    expect(html).not.toMatch(/<script|https?:|src=|@import|url\(/);
  });

  test("text from outside stays text", () => {
    expect(html).toContain("Connection is closed. &lt;b&gt;&quot;&amp;&quot;&lt;/b&gt;");
    expect(html).not.toContain("<b>");
  });
});
