import { describe, expect, test } from "vitest";
import { evidence, fault, operation } from "./histories.ts";
import { missesOf, reads } from "./reads.ts";
import { run } from "./verdict.ts";

const write = (value: number, at: number, confirmedAt?: number) =>
  operation({
    action: "write",
    process: "1/register",
    value,
    at,
    ...(confirmedAt === undefined ? { confirmed: false } : { confirmed: true, confirmedAt }),
  });
const read = (value: number, at: number, process = "1/reader") =>
  operation({ action: "read", process, value, at });

describe("the register's reads", () => {
  test("a read may miss a write that is not answered yet, and may see it", () => {
    const slow = { ...write(2, 10), completedAt: 50 };
    expect(missesOf([write(1, 0, 2), slow, read(1, 20), read(2, 30)])).toEqual([]);
  });

  test("a read that misses a confirmed write is stale, whatever the fault", () => {
    const own = [write(1, 0, 2), write(2, 10, 12), read(1, 20)];
    expect(missesOf(own)).toMatchObject([{ because: "confirmed", expected: 2 }]);
    expect(run(reads, evidence(own)).verdict).toBe("fail");
  });

  test("a confirmation that comes after the read began does not bind it", () => {
    const own = [write(1, 0, 2), write(2, 10, 30), read(1, 20)];
    expect(missesOf(own)).toMatchObject([{ because: "acknowledged" }]);
  });

  test("a read that misses an acknowledged write is counted after the loss of a machine, and fails after a crash", () => {
    const own = [write(1, 0, 2), write(2, 990), read(1, 1100)];
    expect(run(reads, evidence(own))).toMatchObject({ verdict: "pass", figures: { stale: 1, forbidden: 0 } });
    expect(run(reads, evidence(own, { faults: [fault({ processCrash: true })] })).verdict).toBe("fail");
    expect(run(reads, evidence(own, { faults: [] })).verdict).toBe("fail");
  });

  test("reads that go back, also from one client to another", () => {
    const unanswered = { ...write(2, 5), outcome: "unknown" as const };
    const own = [write(1, 0, 2), unanswered, read(2, 10, "1/reader"), read(1, 20, "1/reader-anew")];
    expect(missesOf(own)).toMatchObject([{ because: "read before", expected: 2 }]);
    expect(run(reads, evidence(own, { faults: [fault({ at: 0, processCrash: true })] })).verdict).toBe(
      "fail",
    );
  });

  test("reads at the same time may return either", () => {
    const own = [write(1, 0, 2), { ...read(1, 10), completedAt: 30 }, { ...read(0, 10), invokedAt: 1 }];
    expect(missesOf([...own, write(2, 12)])).toEqual([]);
  });
});
