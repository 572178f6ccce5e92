/** A copy of memory is the same, and has no part in common with the first one. */
import { expect, test } from "vitest";
import { copyOf } from "../../../../recovery/decide/memory/copy.ts";

test("a copy equals what it was made from, and can be changed by itself", () => {
  const first = {
    durable: { epochs: { 1: 2 }, list: [{ wallMs: 1 }], none: undefined, nil: null },
    is: true,
  };
  const copy = copyOf(first);
  expect(copy).toStrictEqual(first);
  (copy.durable.list[0] as { wallMs: number }).wallMs = 2;
  copy.durable.epochs[1] = 3;
  expect(first.durable).toMatchObject({ epochs: { 1: 2 }, list: [{ wallMs: 1 }] });
});
