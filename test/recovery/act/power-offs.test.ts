/** Intent before act: that a power-off has begun is on disk before EC2 is asked, so that no successor uses the machine. */
import { expect, test } from "vitest";
import { Executor } from "../../../recovery/act/executor.ts";
import { PowerOffs } from "../../../recovery/act/power-offs.ts";
import type { World as ActWorld } from "../../../recovery/act/world.ts";
import { decide, reconsider } from "../../../recovery/decide/decide.ts";
import { apply, type Remembered } from "../../../recovery/decide/memory/events.ts";
import { type Durable, revive } from "../../../recovery/decide/memory/memory.ts";
import { describeStep } from "../../../recovery/decide/steps.ts";
import type { Journal } from "../../../recovery/incidents/journal.ts";
import { silentLog } from "../../../recovery/log.ts";
import { defaultLimits } from "../../../recovery/settings.ts";
import { down, masterInfo, replicaInfo, taintedPhase, World } from "../world-of-facts.ts";

const dies = new Promise<never>(() => {});

/** A monitor that replaces redis1, whose counterpart serves. */
class Monitor {
  readonly world: World;
  readonly calls: { instanceId: string; onDisk: unknown }[] = [];
  readonly executor: Executor;
  disk: Durable | undefined;
  /** What happens to the next write, and to the next call of EC2. */
  write: () => Promise<boolean> = async () => true;
  call: () => Promise<void> = async () => {};

  constructor(world = relieved()) {
    this.world = world;
    const reconsidered = (subject: Parameters<typeof reconsider>[3]) => {
      const again = reconsider(world.facts, world.memory, defaultLimits, subject, this.executor.busy);
      world.memory = again.memory;
      return again.decision;
    };
    this.executor = new Executor({
      world: {
        board: { refresh: async () => {}, learn: () => {} },
        engine: { whyProgramDiffers: async () => undefined, launch: async () => undefined },
        cloud: {
          describe: async () => [],
          powerOff: (instanceId: string) => {
            this.calls.push({ instanceId, onDisk: this.disk?.machines.redis1?.replacement });
            return this.call();
          },
        },
        clock: { now: () => world.facts.nowMs },
        log: silentLog,
        remember: (event: Remembered) => {
          world.memory = apply(world.memory, event, world.facts.wallMs);
        },
      } as unknown as ActWorld,
      journal: { step: () => () => {} } as unknown as Journal,
      reconsider: reconsidered,
      kept: async () => {
        const content = structuredClone(world.memory.durable);
        const isKept = await this.write();
        if (isKept) this.disk = content;
        return isKept;
      },
      onEnd: () => {},
    });
  }

  get powerOff(): unknown {
    const replacement = this.world.memory.durable.machines.redis1?.replacement;
    return replacement && "powerOff" in replacement ? replacement.powerOff : replacement?.phase;
  }

  /** One cycle; waits until its plan has ended, or cannot go on. */
  async cycle(): Promise<void> {
    this.executor.consider(decide(this.world.facts, this.world.memory, defaultLimits).decisions);
    const ended = this.executor.idle();
    for (let turn = 0; turn < 100; turn += 1) await Promise.race([ended, Promise.resolve()]);
  }

  /** The next monitor, which has what is on disk. */
  successor(): Monitor {
    const world = relieved();
    world.memory = revive(JSON.parse(JSON.stringify(this.disk)), world.facts.nowMs).memory;
    world.memory.sightSinceMs = 0;
    return new Monitor(world);
  }
}

/** redis1 is condemned and answers; redis2 is master of every shard. */
function relieved(): World {
  const world = new World().replacing("redis1", taintedPhase);
  for (const shard of world.shards) {
    world.server("redis1", shard).info = replicaInfo("redis2", 9000 + shard, { epoch: 2 });
    world.server("redis2", shard).info = masterInfo({ runId: "run-redis2", epoch: 2 });
    Object.assign(world.remembered(shard), {
      epoch: 2,
      master: { machine: "redis2", runId: "run-redis2", epoch: 2 },
      inSync: { master: "run-redis2", replica: "run-redis1" },
    });
    for (const proxy of ["haproxy1", "haproxy2"] as const) {
      Object.assign(world.lines(proxy, shard).redis1.traffic, { ready: false, maintenance: true });
      Object.assign(world.lines(proxy, shard).redis1.probe, { ready: false, maintenance: true });
      Object.assign(world.lines(proxy, shard).redis2.traffic, { ready: true, maintenance: false });
    }
  }
  world.decide();
  return world;
}

const stepsOf = ({ world }: Monitor) =>
  world
    .decide()
    .decisions.find(({ subject }) => subject === "replacement")
    ?.steps.map(describeStep);

test("the intent is on disk when EC2 is asked; what EC2 has accepted is not asked again", async () => {
  const monitor = new Monitor();
  await monitor.cycle();
  expect(monitor.calls).toMatchObject([{ instanceId: "i-redis1", onDisk: { powerOff: "begun" } }]);
  expect(monitor.powerOff).toBe("launched");
});

test("a monitor that dies between intent and call: its successor does not take the machine back, and asks EC2", async () => {
  const monitor = new Monitor();
  monitor.write = async () => {
    if (monitor.powerOff !== "begun") return true;
    monitor.disk = structuredClone(monitor.world.memory.durable);
    return dies;
  };
  await monitor.cycle();
  expect(monitor.calls).toEqual([]);

  // Without that intent it would be taken back, because nobody else can serve.
  expect(relieved().lookAll("redis2", down("silent")).situation("redis1")).toBe("needed-again");
  const alone = monitor.successor();
  alone.world.lookAll("redis2", down("silent"));
  expect(alone.world.situation("redis1")).toBe("condemned");

  const successor = monitor.successor();
  expect(stepsOf(successor)).toContain("power off redis1 (i-redis1)");
  await successor.cycle();
  expect(successor.calls).toMatchObject([{ instanceId: "i-redis1" }]);
});

test("one that dies while EC2 is asked, likewise; an instance that runs on for the time of a boot is not being ended", async () => {
  const monitor = new Monitor();
  monitor.call = () => dies;
  await monitor.cycle();
  expect(monitor.calls).toHaveLength(1);
  const { world } = monitor.successor();
  world.lookAll("redis2", down("silent"));
  expect(world.situation("redis1")).toBe("condemned");
  world.facts.machines.redis1.cloud = "shutting-down";
  expect(world.later(defaultLimits.bootMs).situation("redis1")).toBe("condemned");
  world.facts.machines.redis1.cloud = "running";
  expect(world.situation("redis1")).toBe("needed-again");
});

test("EC2 is not asked while the intent cannot be written, and such an intent does not count", async () => {
  const monitor = new Monitor();
  monitor.write = async () => false;
  await monitor.cycle();
  expect(monitor.calls).toEqual([]);
  expect(monitor.powerOff).toBe("not requested");
  expect(monitor.executor.troubles.get("replacement")?.message).toBe(
    "not begun: recovery cannot keep on disk this step: power off redis1 (i-redis1)",
  );
  monitor.write = async () => true;
  monitor.world.later(10_000);
  await monitor.cycle();
  expect(monitor.calls).toHaveLength(1);
});

test("a call that fails is made again; it says nothing of one that an earlier monitor made", async () => {
  const monitor = new Monitor();
  monitor.call = async () => {
    throw new Error("RequestLimitExceeded");
  };
  await monitor.cycle();
  expect(monitor.powerOff).toBe("not requested");
  monitor.world.later(10_000);
  monitor.call = () => dies;
  await monitor.cycle();
  const successor = monitor.successor();
  successor.call = async () => {
    throw new Error("RequestLimitExceeded");
  };
  await successor.cycle();
  expect(successor.calls).toHaveLength(1);
  expect(successor.powerOff).toEqual({ inDoubtSinceMs: successor.world.facts.nowMs });
});

test("a machine whose power-off has begun is not taken back by a plan that was made before", () => {
  const world = relieved();
  world.memory = apply(world.memory, { event: "power-off begun", machine: "redis1" }, 0);
  world.memory = apply(world.memory, { event: "taken back", machine: "redis1", because: "it is needed" }, 0);
  expect(world.machine("redis1").replacement).toMatchObject({ phase: "tainted", powerOff: "begun" });
});

test("of two plans that need the same power-off one asks, and both wait for the answer", async () => {
  const order: string[] = [];
  let answer = () => {};
  const powerOffs = new PowerOffs({
    remember: ({ event }) => void order.push(event),
    kept: async () => true,
  });
  const step = { do: "power off", machine: "redis1", instanceId: "i-redis1" } as const;
  const act = () => {
    order.push("call");
    return new Promise<void>((resolve) => {
      answer = resolve;
    });
  };
  const both = [powerOffs.run(step, act), powerOffs.run(step, act)];
  await Promise.resolve();
  await Promise.resolve();
  answer();
  await Promise.all(both);
  expect(order).toEqual(["power-off begun", "call"]);
});
