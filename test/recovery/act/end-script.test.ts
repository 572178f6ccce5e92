import { expect, test } from "vitest";
import { endScript } from "../../../recovery/act/end-script.ts";
import type { World } from "../../../recovery/act/world.ts";

/** An error reply of redis has this name; a connection that ended has not. */
function failureOf(text: string): Error {
  const failure = new Error(text);
  if (text !== closed) failure.name = "ReplyError";
  return failure;
}

/** A server that answers these, the last one again and again; `undefined` is +OK. */
function serverOf(replies: Record<string, (string | undefined)[]>) {
  const told: string[] = [];
  let nowMs = 0;
  const run = async ([words]: [string[]]) => {
    const command = words.join(" ");
    told.push(command);
    const left = replies[command] ?? [];
    const reply = left.length > 1 ? left.shift() : left[0];
    // As RedisLink: the reason, with what redis or the connection said as its cause.
    if (reply) throw new Error(reply, { cause: failureOf(reply) });
    return ["OK"];
  };
  const world = {
    topology: { detection: { stallMs: 1_000 } },
    board: { redis: () => ({ run }) },
    clock: {
      now: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
      },
    },
    log: { error: () => {} },
  } as unknown as World;
  return { told, end: () => endScript(world, { shard: 1, machine: "redis1" }) };
}

const closed = "Connection is closed.";
const notBusy = "NOTBUSY No scripts in execution right now.";
const unkillable = "UNKILLABLE Sorry the script already executed write commands";

test("a script is killed", async () => {
  const server = serverOf({ "FUNCTION KILL": [notBusy] });
  await server.end();
  expect(server.told).toEqual(["SCRIPT KILL", "FUNCTION KILL"]);
});

test("a function is killed", async () => {
  const server = serverOf({ "SCRIPT KILL": ["BUSY Redis is busy running a script"] });
  await server.end();
  expect(server.told).toEqual(["SCRIPT KILL", "FUNCTION KILL"]);
});

test("one that has written gets stallMs to end by itself", async () => {
  const server = serverOf({ "SCRIPT KILL": [unkillable, unkillable, notBusy], "FUNCTION KILL": [notBusy] });
  await server.end();
  expect(server.told).not.toContain("SHUTDOWN NOSAVE");
});

test("then its process is ended", async () => {
  const server = serverOf({
    "SCRIPT KILL": [unkillable],
    "FUNCTION KILL": [notBusy],
    "SHUTDOWN NOSAVE": [closed],
  });
  await server.end();
  expect(server.told.filter((command) => command === "SHUTDOWN NOSAVE")).toHaveLength(1);
  expect(server.told.filter((command) => command === "SCRIPT KILL")).toHaveLength(5);
});

test("a server that does not answer, or refuses, is not ended", async () => {
  const server = serverOf({ "SCRIPT KILL": ["NOPERM this user has no permissions"] });
  await expect(server.end()).rejects.toThrow("NOPERM");
  expect(server.told).not.toContain("SHUTDOWN NOSAVE");
});

test("a process that refuses to end is told", async () => {
  const server = serverOf({
    "SCRIPT KILL": [unkillable],
    "FUNCTION KILL": [notBusy],
    "SHUTDOWN NOSAVE": ["ERR Errors trying to SHUTDOWN. Check logs."],
  });
  await expect(server.end()).rejects.toThrow("Errors trying to SHUTDOWN");
});
