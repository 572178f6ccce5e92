import { expect, test } from "vitest";
import { errors, inexcusable } from "./errors.ts";
import { evidence, fault, operation } from "./histories.ts";
import { run } from "./verdict.ts";

const failed = (invokedAt: number, completedAt: number, process = "1/anew-1") =>
  operation({ outcome: "unknown", error: "closed", invokedAt, completedAt, process });

test("what was in flight at the fault may fail", () => {
  const own = [failed(990, 1500)];
  expect(inexcusable(own, [fault()])).toEqual([]);
  expect(run(errors, evidence(own)).verdict).toBe("pass");
});

test.each([
  ["begun after the fault", failed(1100, 1500)],
  ["ended before the fault", failed(900, 950)],
])("a request that failed although it was %s", (_, error) => {
  expect(run(errors, evidence([error]))).toMatchObject({ verdict: "fail", figures: { beyondInFlight: 1 } });
});

test("without any fault every error is one too many", () => {
  expect(run(errors, evidence([failed(990, 1500)], { faults: [] })).verdict).toBe("fail");
});

test("after a stall one request per client may be cut, and no second one", () => {
  const stall = [fault({ strict: false })];
  const own = [failed(1100, 4000), failed(1200, 4000, "1/anew-2")];
  expect(inexcusable(own, stall)).toEqual([]);
  expect(inexcusable([...own, failed(4100, 4200)], stall)).toHaveLength(1);
});

test("while a disk is full the server refuses requests itself, for as long as its relief may take", () => {
  const refused = (completedAt: number) =>
    operation({
      outcome: "fail",
      error: "MISCONF",
      invokedAt: completedAt - 5,
      completedAt,
      process: "1/anew-1",
    });
  const full = fault({ strict: false, refusesMs: 2_000 });
  const end = full.doneAt + 2_000;
  const own = [refused(end - 900), refused(end - 600), refused(end - 1)];
  expect(inexcusable(own, [full])).toEqual([]);
  expect(inexcusable([...own, refused(end + 100), refused(end + 200)], [full])).toHaveLength(1);
  expect(inexcusable(own, [fault({ strict: true })])).toHaveLength(3);
});

test("clients that keep their connection may see errors; they are counted", () => {
  const own = [
    operation({}),
    operation({ client: "persistent", outcome: "unknown", at: 5000 }),
    operation({ client: "pipelined", outcome: "fail", at: 5000 }),
  ];
  const finding = run(errors, evidence(own));
  expect(finding.verdict).toBe("pass");
  expect(finding.sentence).toContain("persistent: 1; pipelined: 1");
});

test("a fault excuses nothing that begins after all was well again", () => {
  const stall = fault({ strict: false, healthyAt: 5000 });
  expect(inexcusable([failed(4900, 5100)], [stall])).toEqual([]);
  expect(inexcusable([failed(5100, 5200)], [stall])).toHaveLength(1);
});

test("a request is in flight at the first fault that it meets, however long it takes", () => {
  const second = fault({ number: 2, at: 20_000, doneAt: 20_010, healthyAt: 29_000 });
  expect(inexcusable([failed(990, 20_500)], [fault(), second])).toEqual([]);
  expect(inexcusable([failed(1100, 1500)], [fault(), second])).toHaveLength(1);
});

test("WAIT without an answer is an error, too", () => {
  const cut = operation({ confirmed: false, confirmError: "closed", at: 5000, confirmedAt: 5100 });
  expect(run(errors, evidence([cut]))).toMatchObject({ verdict: "fail", figures: { byClient: { anew: 1 } } });
  const inFlight = { ...cut, invokedAt: 900, completedAt: 901, confirmedAt: 1400 };
  expect(run(errors, evidence([inFlight])).verdict).toBe("pass");
});
