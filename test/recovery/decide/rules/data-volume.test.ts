/** What the data volumes change about rule 5, and who wins when every copy comes from a file (rule 3). */
import { describe, expect, test } from "vitest";
import { describeStep } from "../../../../recovery/decide/steps.ts";
import type { RedisInfo } from "../../../../recovery/observe/facts.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { counterpartOf, type RedisMachine, redisMachines } from "../../../../recovery/topology.ts";
import { down, none, replicaInfo, taintedPhase, up, World } from "../../world-of-facts.ts";

const stepsOf = (world: World, subject: string) =>
  world
    .decide()
    .decisions.find((decision) => decision.subject === subject)
    ?.steps.map(describeStep) ?? [];

/** Both redis machines have lost their power, and the cloud has noticed. */
function bothOff(): World {
  const world = new World().lookAll("redis1", down("silent")).lookAll("redis2", down("silent"));
  for (const machine of redisMachines) {
    world.facts.machines[machine].cloud = "stopped";
    for (const shard of world.shards) Object.assign(world.server(machine, shard).info ?? {}, { beat: 900 });
  }
  return world;
}

/** The machine's successor is there, with what its file had; it follows its counterpart by name, in vain. */
function comesBack(world: World, machine: RedisMachine, file: Partial<RedisInfo>): void {
  const instanceId = `i-new-${machine}`;
  world.facts.machines[machine] = {
    ...world.facts.machines[machine],
    instanceId,
    cloud: "running",
    knownSinceMs: world.facts.nowMs,
  };
  for (const shard of world.shards) {
    const other = counterpartOf(machine);
    const follows = { host: `${other}.barton`, port: 9000 + shard, linkUp: false, syncing: false };
    const server = world.server(machine, shard);
    server.looks = { haproxy1: none, haproxy2: none, monit: up };
    server.info = replicaInfo(other, 9000 + shard, { runId: `new-${machine}`, offset: 0, follows, ...file });
    server.askedMs = world.facts.nowMs;
  }
}

describe("both redis machines are lost", () => {
  test("both are condemned, and replaced by one run, whatever their counterparts do", () => {
    const world = bothOff();
    for (const machine of redisMachines) {
      expect(world.situation(machine)).toBe("machine-dead");
      expect(stepsOf(world, machine)).toEqual([`stop monitoring ${machine}`]);
    }
    expect(world.situation("shard 1")).toBe("shard-lost");
    for (const machine of redisMachines) world.replacing(machine, taintedPhase);
    expect(stepsOf(world, "replacement")).toEqual([
      "compare the program with the one that the last up ran",
      "power off redis1 (i-redis1)",
      "power off redis2 (i-redis2)",
      "launch a new redis1 and redis2",
    ]);
  });

  test("machines that are only silent get the time of a crashed process to come back", () => {
    const world = new World().lookAll("redis1", down("silent")).lookAll("redis2", down("silent"));
    expect(world.situation("redis1")).toBe("machine-needed");
    world.later(defaultLimits.graceMs - 100);
    expect(world.situation("redis1")).toBe("machine-needed");
    world.later(200);
    expect(world.situation("redis1")).toBe("machine-dead");
    expect(world.situation("redis2")).toBe("machine-dead");
  });

  test("a machine of which a single server answers is kept", () => {
    const world = bothOff().look("redis1", 1, down("refused")).look("redis1", 2, up);
    world.facts.machines.redis1.cloud = "running";
    world.decide();
    world.later(60_000).server("redis1", 2).askedMs = world.facts.nowMs;
    expect(world.situation("redis1")).toBe("machine-needed");
    expect(stepsOf(world, "redis1")).toEqual([]);
  });
});

describe("after a total loss, when the machines come back with their volumes", () => {
  test.each(redisMachines)(
    "%s comes first: it waits for the other, whose file may reach further",
    (first) => {
      const world = bothOff();
      world.decide();
      comesBack(world, first, { beat: 900 });
      expect(world.situation("shard 1")).toBe("nothing-promotable");
      expect(world.decide().sentence).toContain("which may have it, is waited for, for up to 600 s");
      // It is there, but still reads its file.
      const other = counterpartOf(first);
      comesBack(world, other, { loading: true, epoch: undefined });
      expect(world.situation("shard 1")).toBe("nothing-promotable");
      expect(world.decide().sentence).toContain(`${other} still loads its data`);
      comesBack(world, other, { beat: 901 });
      expect(stepsOf(world, "shard 1")[1]).toBe(`make ${other} master of shard 1 (epoch 2)`);
    },
  );

  test("the higher beat wins, whoever was master and whatever the offsets were", () => {
    for (const [redis1, redis2, winner] of [
      [900, 899, "redis1"],
      [899, 900, "redis2"],
    ] as const) {
      const world = bothOff();
      world.decide();
      comesBack(world, "redis1", { beat: redis1 });
      comesBack(world, "redis2", { beat: redis2 });
      expect(stepsOf(world, "shard 1")[1]).toBe(`make ${winner} master of shard 1 (epoch 2)`);
    }
  });

  test("a file of a later beat than the other was ever seen with waits for nobody", () => {
    const world = bothOff();
    world.decide();
    comesBack(world, "redis1", { beat: 903 });
    expect(stepsOf(world, "shard 1")[1]).toBe("make redis1 master of shard 1 (epoch 2)");
  });

  test.each(redisMachines)("within a beat the former master wins: %s", (machine) => {
    const world = bothOff();
    for (const { master } of Object.values(world.memory.durable.shards))
      Object.assign(master ?? {}, { machine });
    world.decide();
    for (const one of redisMachines) comesBack(world, one, { beat: 901, offset: 0 });
    expect(stepsOf(world, "shard 1")[1]).toBe(`make ${machine} master of shard 1 (epoch 2)`);
  });

  test("a replica that only monit could not see is waited for: it went on receiving", () => {
    const world = new World();
    const beatOf = (machine: RedisMachine, beat: number) => {
      for (const shard of world.shards) Object.assign(world.server(machine, shard).info ?? {}, { beat });
    };
    beatOf("redis1", 900);
    beatOf("redis2", 900);
    world.decide();
    for (const shard of world.shards) world.server("redis2", shard).looks.monit = down("silent");
    beatOf("redis1", 910);
    world.decide();
    world.lookAll("redis1", down("silent")).lookAll("redis2", down("silent"));
    world.decide();
    comesBack(world, "redis1", { beat: 907 });
    expect(world.situation("shard 1")).toBe("nothing-promotable");
    expect(world.decide().sentence).toContain("redis2, which may have it, is waited for");
  });

  test("a later term wins over any beat", () => {
    const world = bothOff();
    world.remembered(1).epoch = 2;
    comesBack(world, "redis1", { epoch: 1, beat: 900 });
    comesBack(world, "redis2", { epoch: 2, beat: 5 });
    expect(stepsOf(world, "shard 1")[1]).toBe("make redis2 master of shard 1 (epoch 3)");
  });

  test("the wait for a machine that does not come ends, and what is lost is said", () => {
    const world = bothOff();
    world.decide();
    comesBack(world, "redis2", { beat: 900 });
    world.look("redis1", 1, down("silent"));
    world.later(defaultLimits.dataPatienceMs + 100);
    expect(stepsOf(world, "shard 1")[1]).toBe("make redis2 master of shard 1 (epoch 2)");
    expect(world.decide().sentence).toContain("which lagged behind: what it lacks is lost");
  });
});

test("a replica without everything brings its lost master back from its volume, instead of taking over", () => {
  const world = new World().lookAll("redis1", down("silent"));
  for (const shard of world.shards) delete world.remembered(shard).inSync;
  expect(world.situation("redis1")).toBe("machine-needed");
  world.later(defaultLimits.graceMs + 100);
  expect(world.situation("shard 1")).toBe("nothing-promotable");
  expect(world.situation("redis1")).toBe("machine-dead");
});

test("a successor that is lost before it was ever seen is condemned in its turn", () => {
  const world = new World().lookAll("redis2", down("silent"));
  world.replacing("redis2", { phase: "launched" });
  expect(world.situation("replacement")).toBe("arriving");
  Object.assign(world.facts.machines.redis2, { instanceId: "i-new-redis2", cloud: "terminated" });
  expect(stepsOf(world, "redis2")).toEqual(["stop monitoring redis2"]);
});
