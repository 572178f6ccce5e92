import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Copy,
  compareCopies,
  describeCopy,
  isBetterCopy,
} from "../../../../recovery/decide/rules/copies.ts";

const copy: fc.Arbitrary<Copy> = fc.record({
  machine: fc.constantFrom("redis1" as const, "redis2" as const),
  complete: fc.boolean(),
  epoch: fc.nat(5),
  beat: fc.nat(5),
  offset: fc.nat(5),
  wasMaster: fc.boolean(),
});

describe("which copy of the data wins", () => {
  test("complete before incomplete, then epoch, then beat, then offset, then the former master", () => {
    const base: Copy = {
      machine: "redis1",
      complete: true,
      epoch: 3,
      beat: 50,
      offset: 100,
      wasMaster: true,
    };
    const worse: Copy[] = [
      { ...base, machine: "redis2", complete: false, epoch: 9, offset: 900 },
      { ...base, machine: "redis2", epoch: 2, offset: 900 },
      { ...base, machine: "redis2", beat: 49, offset: 900 },
      { ...base, machine: "redis2", offset: 99 },
      { ...base, machine: "redis2", wasMaster: false },
    ];
    for (const other of worse) {
      expect(isBetterCopy(base, other)).toBe(true);
      expect(isBetterCopy(other, base)).toBe(false);
    }
  });

  test("the comparator is a total order: antisymmetric and transitive", () => {
    fc.assert(
      fc.property(copy, copy, copy, (a, b, c) => {
        expect(Math.sign(compareCopies(a, b))).toBe(-Math.sign(compareCopies(b, a)) + 0);
        if (compareCopies(a, b) <= 0 && compareCopies(b, c) <= 0) {
          expect(compareCopies(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });

  test("of any two copies of different value exactly one is better; equal ones are not better than each other", () => {
    fc.assert(
      fc.property(copy, copy, (a, b) => {
        const { machine: _, ...value } = a;
        const { machine: __, ...other } = b;
        const isSame = isDeepStrictEqual(value, other);
        expect(Number(isBetterCopy(a, b)) + Number(isBetterCopy(b, a))).toBe(isSame ? 0 : 1);
      }),
    );
  });

  test("it is printed with its inputs", () => {
    expect(
      describeCopy({ machine: "redis2", complete: true, epoch: 4, beat: 12, offset: 77, wasMaster: false }),
    ).toBe("redis2 (complete, epoch 4, beat 12, offset 77)");
  });
});
