/** Who is master when two servers say so, or the only one that answers is not the one that served: with and without memory. */
import { describe, expect, test } from "vitest";
import { emptyMemory } from "../../../../recovery/decide/memory/memory.ts";
import { describeStep } from "../../../../recovery/decide/steps.ts";
import type { RedisInfo, ServerFacts } from "../../../../recovery/observe/facts.ts";
import { counterpartOf, type ProxyMachine, type RedisMachine } from "../../../../recovery/topology.ts";
import { down, failing, masterInfo, World } from "../../world-of-facts.ts";

type Use = RedisMachine | "hold" | "no answer";

/** A monitor without memory; redis2 served, and somebody made redis1 a master too. */
class Split extends World {
  constructor(
    uses: Record<ProxyMachine, Use>,
    infos: Partial<Record<RedisMachine, Partial<RedisInfo>>> = {},
  ) {
    super(1);
    this.forget();
    for (const machine of ["redis1", "redis2"] as const)
      this.server(machine, 1).info = masterInfo({ runId: `run-${machine}`, beat: 7, ...infos[machine] });
    for (const proxy of ["haproxy1", "haproxy2"] as const) this.use(proxy, uses[proxy]);
  }

  forget(): void {
    this.memory = structuredClone(emptyMemory);
    this.memory.sightSinceMs = 0;
  }

  use(proxy: ProxyMachine, use: Use): void {
    if (use === "no answer") this.facts.proxies[proxy].look = down("silent");
    for (const machine of ["redis1", "redis2"] as const) {
      const ready = use === machine;
      Object.assign(this.lines(proxy, 1)[machine].traffic, { ready, maintenance: !ready });
    }
  }

  /** The machine that stays master, by the steps. */
  winner(): RedisMachine | undefined {
    const steps = this.decide().decisions.find(({ subject }) => subject === "shard 1")?.steps ?? [];
    const followed = steps.flatMap((step) => (step.do === "follow" ? [step] : []));
    return followed[0]?.master;
  }
}

const both = (use: Use): Record<ProxyMachine, Use> => ({ haproxy1: use, haproxy2: use });

describe("two masters of the same epoch, and no memory", () => {
  test("the server that the proxies use stays, whatever its name and offset", () => {
    expect(new Split(both("redis2")).winner()).toBe("redis2");
    expect(new Split(both("redis1")).winner()).toBe("redis1");
    expect(new Split(both("redis2"), { redis1: { offset: 9_000, beat: 9 } }).winner()).toBe("redis2");
  });

  test.each(["no answer", "hold"] as const)("one proxy uses redis2, of the other: %s", (other) => {
    expect(new Split({ haproxy1: other, haproxy2: "redis2" }).winner()).toBe("redis2");
    expect(new Split({ haproxy1: "redis2", haproxy2: other }).winner()).toBe("redis2");
  });

  describe.each([
    { haproxy1: "redis1", haproxy2: "redis2" },
    { haproxy1: "hold", haproxy2: "hold" },
    { haproxy1: "no answer", haproxy2: "no answer" },
  ] satisfies Record<ProxyMachine, Use>[])("the proxies do not tell: %o", (uses) => {
    test("the later heartbeat, then the larger offset decides", () => {
      expect(new Split(uses, { redis2: { beat: 8 } }).winner()).toBe("redis2");
      expect(new Split(uses, { redis2: { offset: 1_001 } }).winner()).toBe("redis2");
      expect(new Split(uses, { redis1: { beat: 8 }, redis2: { offset: 5_000 } }).winner()).toBe("redis1");
    });
  });

  test("the one that stays is remembered at once, so that its heartbeat goes on", () => {
    const world = new Split(both("redis2"));
    expect(world.decide().memory.durable.shards[1]?.master).toMatchObject({ machine: "redis2" });
  });
});

describe("two masters, and what recovery remembers", () => {
  const remembering = (world: Split, machine: RedisMachine, epoch = 1) => {
    world.remembered(1).epoch = epoch;
    world.remembered(1).master = { machine, runId: `run-${machine}`, epoch };
    return world;
  };

  test("the proxies were moved by hand while the monitor was stopped: the server that they use stays", () => {
    expect(remembering(new Split(both("redis2")), "redis1").winner()).toBe("redis2");
  });

  test("the copies are equal and no proxy uses one: the remembered master stays", () => {
    expect(remembering(new Split(both("hold")), "redis2").winner()).toBe("redis2");
  });

  test("half of a promotion took effect, without its epoch: the remembered process stays, whatever the offsets", () => {
    const world = new Split(both("hold"), { redis1: { offset: 1_001 } });
    expect(remembering(world, "redis2").winner()).toBe("redis2");
  });

  test("the data of the serving master lost their epoch: it stays", () => {
    const world = new Split(both("redis2"), { redis2: { epoch: 0, beat: 0 } });
    expect(remembering(world, "redis2").winner()).toBe("redis2");
    const held = new Split(both("hold"), { redis2: { epoch: 0, beat: 0, offset: 1_001 } });
    expect(held.winner(), "without memory and proxies nothing tells it").toBe("redis1");
  });

  test("a promotion that recovery began is the later epoch, also while a proxy's facts are of before it", () => {
    const world = remembering(new Split(both("redis1"), { redis2: { epoch: 2 } }), "redis1");
    world.remembered(1).attempted = 2;
    expect(world.winner()).toBe("redis2");
  });
});

describe("an epoch that a person has set", () => {
  const byHand = (uses = both("redis2")) => new Split(uses, { redis1: { epoch: 9 } });

  test("does not take the traffic from the server that both proxies use, with memory or without", () => {
    expect(byHand().winner()).toBe("redis2");
    const world = byHand();
    world.remembered(1).epoch = 1;
    world.remembered(1).master = { machine: "redis2", runId: "run-redis2", epoch: 1 };
    expect(world.winner()).toBe("redis2");
  });

  test("the master that stays gets that epoch, and is not taken for a stale one", () => {
    const world = byHand();
    world.decide();
    world.server("redis1", 1).info = masterInfo({ runId: "run-redis1", role: "replica", epoch: 9 });
    const steps = world.decide().decisions.find(({ subject }) => subject === "shard 1")?.steps ?? [];
    expect(steps.map(describeStep)).toEqual(["write epoch 9 into shard 1"]);
  });

  test("decides where the proxies do not both say otherwise: it may be a promotion by an earlier monitor", () => {
    expect(byHand(both("hold")).winner()).toBe("redis1");
    expect(byHand({ haproxy1: "no answer", haproxy2: "redis2" }).winner()).toBe("redis1");
  });
});

test("two masters of which both are of an earlier epoch than the shard has reached: neither is remembered", () => {
  const world = new Split(both("redis2"));
  world.remembered(1).epoch = 5;
  expect(world.decide().memory.durable.shards[1]?.master).toBeUndefined();
});

describe("only the usurper answers, and the monitor has no memory", () => {
  const usurped = (uses: Record<ProxyMachine, Use>) => {
    const world = new Split(uses);
    for (const vantage of ["haproxy1", "haproxy2", "monit"] as const)
      world.server("redis2", 1).looks[vantage] = failing("silent");
    delete world.server("redis2", 1).info;
    return world;
  };

  test("it gets no traffic while the server that the proxies use is only out of sight", () => {
    const world = usurped(both("redis2"));
    expect(world.situation("shard 1")).toBe("doubt");
    expect(world.decide().memory.durable.shards[1]?.master).toBeUndefined();
  });

  test("the only server that the proxies use is no usurper", () => {
    expect(usurped(both("redis1")).situation("shard 1")).toBe("replica-away");
  });

  test("nor is one that one of them uses, while the other was not told yet", () => {
    const uses = { haproxy1: "redis2", haproxy2: "redis1" } as const;
    expect(counterpartOf(usurped(uses).decide().shards[0]?.masters[0]?.machine ?? "redis1")).toBe("redis2");
  });
});

describe("the memory on disk is old (the disk was full), and the proxies use the server that took over since", () => {
  function afterRestart(redis1: Partial<ServerFacts>): World {
    const world = new World(1);
    for (const proxy of ["haproxy1", "haproxy2"] as const)
      Object.assign(world.lines(proxy, 1).redis1.traffic, { ready: true, maintenance: false });
    world.remembered(1).master = { machine: "redis2", runId: "run-redis2", epoch: 1 };
    world.server("redis2", 1).info = masterInfo({ runId: "run-redis2" });
    Object.assign(world.server("redis1", 1), redis1);
    return world;
  }
  const refusal = { kind: "too many clients", text: "ERR max number of clients reached" } as const;

  test("the former master gets no traffic while the present one lives and only refuses recovery", () => {
    const world = afterRestart({ info: undefined, refusal });
    expect(world.situation("shard 1")).toBe("doubt");
  });

  test("a monitor that has seen the master serve trusts its memory", () => {
    const world = afterRestart({ info: undefined, refusal });
    world.memory.confirmed = { 1: true };
    expect(world.situation("shard 1")).toBe("replica-away");
  });
});
