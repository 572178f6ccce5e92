import { hostname } from "node:os";
import { expect, test } from "vitest";
import { retryUnlocked, type Unlocking } from "../../../recovery/cloud/pulumi.ts";
import { createLog } from "../../../recovery/log.ts";

/** A stack that a run of this machine's name has locked, whose process is not here. */
function lockedStack(mayJudgeLocks: () => boolean) {
  const calls: string[] = [];
  let locked = true;
  const unlocking: Unlocking = {
    mayJudgeLocks,
    log: createLog({ write: () => true }, {}),
    pulumi: async (args) => {
      calls.push(args[0] ?? "");
      if (args[0] === "cancel") locked = false;
      return "{}";
    },
  };
  const work = async () => {
    if (!locked) return "done";
    throw new Error(
      `the stack is currently locked by 1 lock(s)\n x.json: created by root@${hostname()} (pid 4194304) at 2026-11-25T03:00:00Z`,
    );
  };
  return { calls, run: () => retryUnlocked("up", work, unlocking) };
}

test("the lock of a dead run of this machine's name is taken away", async () => {
  const { calls, run } = lockedStack(() => true);
  expect(await run()).toBe("done");
  expect(calls).toEqual(["cancel", "stack"]);
});

test("it is respected while another monit, which has the same name, may be alive", async () => {
  const { calls, run } = lockedStack(() => false);
  const message =
    /^up waits: somebody else's run has locked the stack: created by root@.*; if that run is dead, "pulumi cancel"/;
  await expect(run()).rejects.toThrow(message);
  expect(calls).toEqual([]);
});
