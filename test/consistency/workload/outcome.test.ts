import { describe, expect, test } from "vitest";
import { outcomeOf, serverOf } from "./outcome.ts";
import { clientSpecs, pauseOf, pipelineLength } from "./spec.ts";

const reply = Object.assign(new Error("READONLY You can't write against a read only replica."), {
  name: "ReplyError",
});

test.each([
  ["an error reply: it was not carried out", reply, true, "fail"],
  ["a connection that broke: nobody knows", new Error("Connection is closed."), true, "unknown"],
  ["a connection that never came about: nothing was sent", new Error("ECONNREFUSED"), false, "fail"],
])("%s", (_, error, wasSent, outcome) => {
  expect(outcomeOf(error, wasSent)).toBe(outcome);
});

test("who answered", () => {
  expect(serverOf("id=3 addr=10.42.1.4:40000 laddr=10.42.1.9:9001 fd=8 name=")).toBe("10.42.1.9:9001");
  expect(serverOf("ERR unknown subcommand")).toBeUndefined();
});

describe("the load", () => {
  test("is what was asked for, per second and shard", () => {
    const perSecond = clientSpecs.reduce(
      (sum, { client }) =>
        sum + ((client === "pipelined" ? pipelineLength : 1) * 1000) / pauseOf(client, 120),
      0,
    );
    expect(perSecond).toBeCloseTo(120);
  });

  test("has every kind of client with plain and confirmed writes, and one writer of the register", () => {
    for (const client of ["anew", "persistent", "pipelined"]) {
      for (const confirm of [false, true]) {
        expect(clientSpecs.some((each) => each.client === client && each.confirm === confirm)).toBe(true);
      }
    }
    expect(clientSpecs.filter(({ action }) => action === "write")).toHaveLength(1);
    expect(new Set(clientSpecs.map(({ name }) => name)).size).toBe(clientSpecs.length);
  });
});
