/** The executor's pauses after failures, on a clock that the test moves. */
import { expect, test } from "vitest";
import { Executor } from "../../../recovery/act/executor.ts";
import type { World } from "../../../recovery/act/world.ts";
import type { Decision, Subject } from "../../../recovery/decide/decision.ts";
import type { Step } from "../../../recovery/decide/steps.ts";
import type { Journal } from "../../../recovery/incidents/journal.ts";
import { silentLog } from "../../../recovery/log.ts";
import type { MachineName } from "../../../recovery/topology.ts";

/** An executor whose engine fails for as long as the cloud's API is full. */
class Bench {
  readonly calls: string[] = [];
  nowMs = 0;
  isKept = true;
  #decisions: Decision[] = [];

  readonly executor = new Executor({
    world: {
      board: { refresh: async () => {} },
      engine: {
        whyProgramDiffers: async () => undefined,
        taint: async (machines: MachineName[]) => void this.calls.push(`taint ${machines}`),
        untaint: async (machines: MachineName[]) => void this.calls.push(`untaint ${machines}`),
        launch: async (machines: MachineName[]) => {
          this.calls.push(`launch ${machines}`);
          throw new Error("api full");
        },
      },
      cloud: { powerOff: async (instanceId: string) => void this.calls.push(`power off ${instanceId}`) },
      clock: { now: () => this.nowMs },
      log: silentLog,
      remember: () => {},
    } as unknown as World,
    journal: { step: () => () => {} } as unknown as Journal,
    reconsider: (subject) => this.#decisions.find((one) => one.subject === subject),
    kept: async () => this.isKept,
    onEnd: () => {},
  });

  /** A cycle with these decisions, until their steps have ended. */
  async consider(...wanted: [Subject, ...Step[]][]): Promise<void> {
    this.#decisions = wanted.map(([subject, ...steps]) => {
      return { subject, steps, situation: "served", because: "", operator: "", settled: false, opens: false };
    });
    this.executor.consider(this.#decisions);
    await this.executor.idle();
  }

  get pauseMs(): number {
    return (this.executor.troubles.get("replacement")?.nextMs ?? this.nowMs) - this.nowMs;
  }
}

const launchRedis2: [Subject, Step] = ["replacement", { do: "launch", machines: ["redis2"] }];

/** A cloud that refuses redis2 until the pause has grown to its longest. */
async function benchInTrouble(): Promise<Bench> {
  const bench = new Bench();
  while (bench.pauseMs < 300_000) {
    bench.nowMs += bench.pauseMs;
    await bench.consider(launchRedis2);
  }
  bench.calls.length = 0;
  await bench.consider(launchRedis2);
  expect(bench.calls).toEqual([]);
  return bench;
}

test("a machine that is condemned while another one cannot be launched does not wait for that one's pause", async () => {
  const bench = await benchInTrouble();
  await bench.consider(["haproxy1", { do: "stop monitoring", machine: "haproxy1", because: "gone" }]);
  await bench.consider(["replacement", { do: "taint", machines: ["haproxy1"] }]);
  await bench.consider(["replacement", { do: "launch", machines: ["redis2", "haproxy1"] }]);
  expect(bench.calls).toEqual(["taint haproxy1", "launch redis2,haproxy1"]);
  // What still fails pauses again, from the shortest pause on.
  expect(bench.pauseMs).toBe(5_000);
});

test("nor does one that is taken back wait for the end of its taint", async () => {
  const bench = await benchInTrouble();
  await bench.consider(["haproxy1", { do: "take back", machine: "haproxy1", because: "needed" }]);
  await bench.consider(["replacement", { do: "untaint", machines: ["haproxy1"] }]);
  expect(bench.calls).toEqual(["untaint haproxy1"]);
});

test("other steps leave the pause as it is", async () => {
  const bench = await benchInTrouble();
  await bench.consider(["redis1", { do: "check program", machines: ["redis1"] }]);
  await bench.consider(launchRedis2);
  expect(bench.calls).toEqual([]);
});

const powerOff: [Subject, Step] = ["replacement", { do: "power off", machine: "redis2", instanceId: "i-2" }];

test("no machine is switched off while that intent is not on disk; it is once it is", async () => {
  const bench = new Bench();
  bench.isKept = false;
  await bench.consider(powerOff);
  expect(bench.calls).toEqual([]);
  expect(bench.executor.troubles.get("replacement")?.message).toBe(
    "not begun: recovery cannot keep on disk this step: power off redis2 (i-2)",
  );
  bench.nowMs += bench.pauseMs;
  bench.isKept = true;
  await bench.consider(powerOff);
  expect(bench.calls).toEqual(["power off i-2"]);
  expect(bench.executor.troubles.size).toBe(0);
});

test("other steps go on although the disk takes nothing", async () => {
  const bench = new Bench();
  bench.isKept = false;
  await bench.consider(["replacement", { do: "taint", machines: ["redis2"] }]);
  expect(bench.calls).toEqual(["taint redis2"]);
});

test("what is remembered is on disk before the first step, and after each one", async () => {
  const order: string[] = [];
  const decision: Decision = {
    subject: "redis1",
    steps: [
      { do: "stop monitoring", machine: "redis1", because: "gone" },
      { do: "take back", machine: "redis1", because: "needed" },
    ],
    situation: "machine-lost",
    because: "",
    operator: "",
    settled: false,
    opens: false,
  };
  const executor = new Executor({
    world: {
      board: { refresh: async () => {} },
      clock: { now: () => 0 },
      log: silentLog,
      remember: ({ event }: { event: string }) => void order.push(event),
    } as unknown as World,
    journal: { step: () => () => {} } as unknown as Journal,
    reconsider: () => decision,
    kept: async () => {
      order.push("on disk?");
      await new Promise((resolve) => setImmediate(resolve));
      order.push("on disk");
      return true;
    },
    onEnd: () => {},
  });
  executor.consider([decision]);
  await executor.idle();
  const kept = ["on disk?", "on disk"];
  const [given, taken] = order.filter((word) => !word.startsWith("on disk"));
  expect(order).toEqual([...kept, given, ...kept, taken, ...kept]);
});
