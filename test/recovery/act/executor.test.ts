/** The executor's pauses after failures, on a clock that the test moves. */
import { expect, test } from "vitest";
import { Executor } from "../../../recovery/act/executor.ts";
import type { World } from "../../../recovery/act/world.ts";
import type { Outcome } from "../../../recovery/decide/decide.ts";
import type { Decision, Subject } from "../../../recovery/decide/decision.ts";
import type { Remembered } from "../../../recovery/decide/memory/events.ts";
import { sentenceOf } from "../../../recovery/decide/sentence.ts";
import type { Step } from "../../../recovery/decide/steps.ts";
import type { Journal } from "../../../recovery/incidents/journal.ts";
import { silentLog } from "../../../recovery/log.ts";
import type { MachineName } from "../../../recovery/topology.ts";
import { replicaInfo, topologyOf } from "../world-of-facts.ts";

/** An executor whose engine fails for as long as the cloud's API is full. */
class Bench {
  readonly calls: string[] = [];
  readonly remembered: Remembered[] = [];
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
      remember: (event: Remembered) => void this.remembered.push(event),
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

/** An executor whose steps are commands to one redis server, and what happens around them. */
class Stage {
  readonly order: string[] = [];
  readonly logged: unknown[][] = [];
  nowMs = 0;
  /** What the second decision, under the lock, says. */
  again: (subject: Subject) => Decision | undefined = () => undefined;
  command: () => Promise<void> = async () => {};
  readonly executor = new Executor({
    world: {
      board: {
        refresh: async (shards: number[]) => void this.order.push(`look at [${shards}]`),
        redis: () => ({
          run: async ([words = []]: string[][]) => {
            this.order.push(words.join(" "));
            await this.command();
          },
          ask: async () => ({ info: replicaInfo("redis1", 9001) }),
        }),
        facts: () => ({ machines: { redis1: { address: "10.0.0.1" } } }),
      },
      topology: topologyOf(2),
      engine: { launch: async () => void this.order.push("launch") },
      clock: { now: () => this.nowMs, sleep: () => new Promise(() => {}) },
      log: {
        info: (...words: unknown[]) => void this.logged.push(words),
        error: (...words: unknown[]) => void this.logged.push(words),
      },
      remember: (event: Remembered) => void this.remembered.push(event),
    } as unknown as World,
    journal: {
      step: (about: string | undefined, text: string, kind: string) => {
        this.order.push(`incident ${about}: ${text} (${kind})`);
        return (result: string) => void this.order.push(result);
      },
    } as unknown as Journal,
    reconsider: (subject) => this.again(subject),
    kept: async () => true,
    onEnd: () => void this.order.push("end"),
  });
  readonly remembered: Remembered[] = [];
}

const decisionOf = (subject: Subject, ...steps: Step[]): Decision => {
  return {
    subject,
    steps,
    situation: "served",
    because: "y",
    operator: "",
    settled: false,
    opens: false,
    about: "redis1",
  };
};
const follow = (shard: number): Step => ({ do: "follow", shard, machine: "redis2", master: "redis1" });
const launchStep: Step = { do: "launch", machines: ["redis1"] };

test("a plan: look at the shards, decide again, do the steps into the incident, look again", async () => {
  const stage = new Stage();
  const decision = decisionOf("shard 2", follow(2));
  stage.again = () => {
    stage.order.push("decide again");
    return decision;
  };
  stage.executor.consider([decision, decisionOf("replacement")]);
  expect([...stage.executor.busy]).toEqual(["shard 2"]);
  await stage.executor.idle();
  expect(stage.order).toEqual([
    "look at [2]",
    "decide again",
    "incident redis1: make redis2 replica of redis1 for shard 2 (follow)",
    "REPLICAOF 10.0.0.1 9002",
    "done",
    "look at [2]",
    "end",
  ]);
  expect(stage.executor.busy.size).toBe(0);
});

test("machines come before shards, whatever the order of the decisions", async () => {
  const stage = new Stage();
  const steps: Step[] = [{ do: "stop monitoring", machine: "redis1", because: "gone" }];
  stage.again = (subject) => void stage.order.push(subject);
  stage.executor.consider([
    decisionOf("shard 1", follow(1)),
    decisionOf("redis1", ...steps),
    decisionOf("shard 2", follow(2)),
  ]);
  await stage.executor.idle();
  expect(stage.order.slice(0, 4)).toEqual(["look at [1,2]", "redis1", "shard 1", "shard 2"]);
  // No shard is looked at after the plan of a machine.
  expect(stage.order).toContain("look at []");
});

test("nothing to do, nothing to look at", () => {
  const stage = new Stage();
  stage.executor.consider([decisionOf("shard 1"), decisionOf("redis1")]);
  expect(stage.order).toEqual([]);
});

test("a subject with a plan under way gets no second one", async () => {
  const stage = new Stage();
  const decision = decisionOf("shard 1", follow(1));
  stage.again = () => decision;
  stage.executor.consider([decision]);
  stage.executor.consider([decision]);
  await stage.executor.idle();
  expect(stage.order.filter((word) => word.startsWith("REPLICAOF"))).toHaveLength(1);
});

test("nothing is left to do under the lock: a good result, no trouble", async () => {
  const stage = new Stage();
  stage.executor.consider([decisionOf("shard 1", follow(1))]);
  await stage.executor.idle();
  expect(stage.order).toEqual(["look at [1]", "look at [1]", "end"]);
  expect(stage.executor.troubles.size).toBe(0);
});

test("the epoch of a promotion is remembered before anything is done, and only a promotion's", async () => {
  const stage = new Stage();
  const promotion: Step = { do: "promote", shard: 1, machine: "redis2", epoch: 7 };
  stage.again = () => decisionOf("shard 1", follow(1), promotion);
  stage.command = async () => {
    expect(stage.remembered).toEqual([{ event: "promoting", shard: 1, epoch: 7 }]);
  };
  stage.executor.consider([decisionOf("shard 1", follow(1))]);
  await stage.executor.idle();
  expect(stage.remembered[0]).toEqual({ event: "promoting", shard: 1, epoch: 7 });
  expect(stage.order).toContain("REPLICAOF NO ONE");
});

test.each<[string, Step[]]>([
  ["another machine is to be launched", [{ do: "launch", machines: ["redis2"] }]],
  ["nothing is to be done", []],
])("a launch is decided once more right before it: not done when %s by then", async (_, later) => {
  const stage = new Stage();
  const answers = [decisionOf("replacement", launchStep), decisionOf("replacement", ...later)];
  stage.again = () => answers.shift();
  stage.executor.consider([decisionOf("replacement", launchStep)]);
  await stage.executor.idle();
  expect(stage.order).not.toContain("launch");
  expect(stage.logged).toEqual([
    [{ subject: "replacement" }, "not done any more, things have changed: launch a new redis1"],
  ]);
});

test("a subject that is gone at the last look is not launched either", async () => {
  const stage = new Stage();
  const answers = [decisionOf("replacement", launchStep)];
  stage.again = () => answers.shift();
  stage.executor.consider([decisionOf("replacement", launchStep)]);
  await stage.executor.idle();
  expect(stage.order).not.toContain("launch");
  expect(stage.executor.troubles.size).toBe(0);
});

test("a launch that still holds is done, among other steps, without a word in the log", async () => {
  const stage = new Stage();
  stage.again = () => decisionOf("replacement", { do: "power off", machine: "redis1" }, launchStep);
  stage.executor.consider([decisionOf("replacement", launchStep)]);
  await stage.executor.idle();
  expect(stage.order).toContain("launch");
  expect(stage.logged).toEqual([]);
});

test("a step that fails ends the plan: incident, log and status say why, and the pause doubles", async () => {
  const stage = new Stage();
  const decision = decisionOf("shard 1", follow(1), follow(1));
  stage.again = () => decision;
  stage.command = () => Promise.reject(new Error("refused"));
  stage.executor.consider([decision]);
  await stage.executor.idle();
  expect(stage.order.filter((word) => word.startsWith("failed"))).toEqual(["failed: refused"]);
  expect(stage.executor.troubles.get("shard 1")).toEqual({ message: "refused", failures: 1, nextMs: 100 });
  expect(stage.logged).toEqual([[{ subject: "shard 1", failures: 1, nextTryInMs: 100 }, "failed: refused"]]);
  stage.nowMs = 100;
  stage.executor.consider([decision]);
  await stage.executor.idle();
  expect(stage.executor.troubles.get("shard 1")).toEqual({ message: "refused", failures: 2, nextMs: 300 });
});

test("a subject that is settled again has no trouble any more", async () => {
  const stage = new Stage();
  stage.again = () => decisionOf("shard 1", follow(1));
  stage.command = () => Promise.reject(new Error("refused"));
  stage.executor.consider([decisionOf("shard 1", follow(1))]);
  await stage.executor.idle();
  stage.executor.consider([decisionOf("shard 1")]);
  expect(stage.executor.troubles.size).toBe(1);
  stage.executor.consider([{ ...decisionOf("shard 1"), settled: true }]);
  expect(stage.executor.troubles.size).toBe(0);
});

test("after stop no plan and no further step begins, and what ends then is no trouble", async () => {
  const stage = new Stage();
  const decision = decisionOf("shard 1", follow(1), follow(1));
  stage.again = () => decision;
  stage.command = async () => stage.executor.stop();
  stage.executor.consider([decision]);
  await stage.executor.idle();
  expect(stage.order.filter((word) => word.startsWith("REPLICAOF"))).toHaveLength(1);
  expect(stage.executor.troubles.size).toBe(0);
  expect(stage.logged).toEqual([]);
  stage.order.length = 0;
  stage.executor.consider([decision]);
  expect(stage.order).toEqual([]);
});

test("while a plan runs, the outcome shows its decision, not what its half-done steps look like", async () => {
  const stage = new Stage();
  const started = { ...decisionOf("shard 1", follow(1)), because: "shard 1 gets its replica" };
  const seen = { ...decisionOf("shard 1"), because: "shard 1 looks odd" };
  const other = { ...decisionOf("redis2"), because: "redis2 serves", settled: true };
  const outcome = { decisions: [seen, other], sentence: "odd", settled: true } as unknown as Outcome;
  expect(stage.executor.asActedUpon(outcome)).toBe(outcome);
  stage.again = () => started;
  stage.executor.consider([started]);
  const shown = stage.executor.asActedUpon(outcome);
  expect(shown.decisions).toEqual([started, other]);
  expect(shown.sentence).toBe(sentenceOf([started, other]));
  expect(shown.settled).toBe(false);
  await stage.executor.idle();
});

test.each(["promote", "write epoch"] as const)(
  "%s: its epoch is remembered before it is sent: a server that hangs may take it when another one serves",
  async (what) => {
    const bench = new Bench();
    await bench.consider(["shard 1", { do: what, shard: 1, machine: "redis2", epoch: 3 }]);
    expect(bench.executor.troubles.get("shard 1")?.failures, "the server does not answer").toBe(1);
    expect(bench.remembered).toEqual([{ event: "promoting", shard: 1, epoch: 3 }]);
  },
);
