import { expect, test } from "vitest";
import {
  isLocked,
  isStaleLock,
  whyUpFailed,
  withoutPendingOperations,
} from "../../../recovery/cloud/pulumi-state.ts";

/** As pulumi 3.250 prints it. */
const error = `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with \`pulumi cancel\`.
  file:///state/.pulumi/locks/organization/barton/local/95944.json?no_tmp_dir=true: created by root@monit.barton (pid 29943) at 2026-11-23T15:40:36Z`;

test("a lock is recognised", () => {
  expect(isLocked(error)).toBe(true);
  expect(isLocked("error: no such stack")).toBe(false);
});

test("stale is only a lock of this machine whose process is gone", () => {
  expect(isStaleLock(error, "monit.barton", () => false)).toBe(true);
  expect(isStaleLock(error, "monit.barton", () => true)).toBe(false);
  expect(isStaleLock(error, "laptop", () => false)).toBe(false);
  const two = `${error}\n  file:///other.json: created by ann@laptop (pid 7) at 2026-11-23T15:40:36Z`;
  expect(isStaleLock(two, "monit.barton", () => false)).toBe(false);
  expect(isStaleLock("the stack is currently locked by 1 lock(s)", "monit.barton", () => false)).toBe(false);
});

test("pending operations are cleared, and nothing else", () => {
  const state = { version: 3, deployment: { resources: [1], pending_operations: [{ type: "creating" }] } };
  expect(withoutPendingOperations(state)).toEqual({
    version: 3,
    deployment: { resources: [1], pending_operations: [] },
  });
  expect(withoutPendingOperations({ deployment: {} })).toBeUndefined();
});

test("a failed up is told by its errors, each once", () => {
  const text = `code: -2
 stdout:
 stderr: Command failed with exit code 1: pulumi up --yes
 ++ aws:ec2:Instance redis2 creating replacement (0s) [diff: ~taint]; error: InsufficientInstanceCapacity: no capacity
 ++ aws:ec2:Instance redis2 **creating failed** [diff: ~taint]; error: InsufficientInstanceCapacity: no capacity
    pulumi:pulumi:Stack barton-local running error: update failed
  error: update failed`;
  expect(whyUpFailed(text)).toBe("pulumi up: InsufficientInstanceCapacity: no capacity");
  const locked = "error: the stack is currently locked by 1 lock(s)\n  created by root@monit (pid 7)";
  expect(whyUpFailed(locked)).toBe(locked);
  expect(whyUpFailed("killed")).toBe("killed");
});
