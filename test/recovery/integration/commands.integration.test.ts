/** The running monitor's socket, as `barton` and `failover` use it. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { getView, NoMonitor, orderFailover } from "../../../recovery/control/client.ts";
import type { PlannedSubject } from "../../../recovery/report/plan.ts";
import type { Status } from "../../../recovery/report/status.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
let socket: string;

beforeAll(async () => {
  world = await TestWorld.healthy();
  socket = await world.serveSocket();
});
afterAll(() => world.close());

describe("the monitor's socket", () => {
  test("status has what the lab and people read, within a second", async () => {
    const startedMs = performance.now();
    const status = await getView<Status>(socket, "status", 1_000);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(status).toMatchObject({
      healthy: true,
      inProgress: false,
      sentence: expect.stringContaining("all is well"),
    });
    expect(status.shards).toEqual([
      {
        index: 1,
        port: 9001,
        master: "redis1",
        replica: "redis2",
        replicaLink: "up",
        lagBytes: expect.any(Number),
        proxies: { haproxy1: "redis1", haproxy2: "redis1" },
      },
      {
        index: 2,
        port: 9002,
        master: "redis1",
        replica: "redis2",
        replicaLink: "up",
        lagBytes: expect.any(Number),
        proxies: { haproxy1: "redis1", haproxy2: "redis1" },
      },
    ]);
    expect(status.machines.map(({ name }) => name)).toEqual([
      "redis1",
      "redis2",
      "haproxy1",
      "haproxy2",
      "app",
      "monit",
    ]);
  });

  test("the plan of a healthy world is empty", async () => {
    expect(await getView<PlannedSubject[]>(socket, "plan", 1_000)).toEqual([]);
  });

  test("what cannot be failed over is refused with the reason", async () => {
    const result = await orderFailover(socket, "monit", () => {});
    expect(result).toEqual({ ok: false, message: expect.stringContaining("monit is not replaced") });
    expect((await orderFailover(socket, "nonsense", () => {})).ok).toBe(false);
    expect(world.calls).toEqual([]);
  });

  test("a program that differs is told before anything is touched", async () => {
    world.programDiffers = "the last up ran another program";
    const result = await orderFailover(socket, "redis2", () => {});
    world.programDiffers = undefined;
    expect(result).toEqual({ ok: false, message: "redis2 is not replaced: the last up ran another program" });
    expect(world.calls).toEqual([]);
  });

  test("failover streams what is done, and ends when the new machine is well", async () => {
    const lines: string[] = [];
    const result = await orderFailover(socket, "haproxy2", (line) => lines.push(line));
    expect(result).toEqual({ ok: true, message: "haproxy2 is replaced and well" });
    expect(lines.map((line) => line.replace(/ \(\d+ ms\)$/, ""))).toEqual(
      expect.arrayContaining([
        "drain haproxy2: done",
        "unregister haproxy2: done",
        "stop monitoring haproxy2: done",
        "launch a new haproxy2: done",
        "register haproxy2: done",
      ]),
    );
    expect(world.status?.healthy).toBe(true);
  });

  test("without a monitor there is a clear error", async () => {
    await expect(getView(join(world.folder, "nobody.sock"), "status", 500)).rejects.toThrow(NoMonitor);
  });
});
