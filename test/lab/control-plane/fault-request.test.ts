import { describe, expect, test } from "vitest";
import { faultRequest } from "../../../lab/control-plane/fault-request.ts";

describe("a fault's request", () => {
  test.each([
    { kind: "crash", target: "redis1:9001" },
    { kind: "pause", target: "redis1:9001", seconds: 1.5 },
    { kind: "partition", target: "monit", peer: "haproxy1", oneWay: true },
    { kind: "lossy", target: "redis1", percent: 10 },
    { kind: "api", target: "slow", lateSeconds: 20, seconds: 60 },
    { kind: "dns" },
    { kind: "disk-full", target: "redis1" },
    { kind: "stale-lock" },
  ])("%j is taken as it is", (request) => {
    expect(faultRequest(request)).toEqual(request);
  });

  test.each([
    [{ kind: "explode" }, /there is no fault "explode"; there are: crash, hang, pause/],
    [{}, /there is no fault undefined/],
    [{ kind: "crash" }, /crash cannot be made so: target/],
    [{ kind: "partition", target: "one" }, /peer/],
    [{ kind: "lossy", target: "one", percent: 0 }, /percent/],
    [{ kind: "lossy", target: "one", percent: 101 }, /percent/],
    [{ kind: "pause", target: "one:9001", seconds: 0 }, /seconds/],
    [{ kind: "api", target: "sad" }, /target/],
    [{ kind: "clock", target: "one" }, /the host's kernel, which has a single CLOCK_REALTIME/],
  ])("%j is refused", (request, why) => {
    expect(() => faultRequest(request)).toThrow(why);
  });
});
