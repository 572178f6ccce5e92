/** The rules of docs/architecture.md as invariants of `decide`, over arbitrary facts. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Outcome } from "../../../recovery/decide/decide.ts";
import type { Phase, PowerOff } from "../../../recovery/decide/memory/replacement.ts";
import type { Step } from "../../../recovery/decide/steps.ts";
import type { CloudState, Look, RedisInfo, Silence } from "../../../recovery/observe/facts.ts";
import {
  counterpartOf,
  type ProxyMachine,
  proxyMachines,
  type RedisMachine,
  redisMachines,
} from "../../../recovery/topology.ts";
import { addresses, masterInfo, none, replicaInfo, startMs, up, World } from "../world-of-facts.ts";

const silence = fc.constantFrom<Silence>("refused", "silent", "stalled");
const look: fc.Arbitrary<Look> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(up) },
  fc.constant(none),
  fc.record({
    state: fc.constantFrom("failing" as const, "down" as const),
    silence,
    sinceMs: fc.nat(20_000).map((ago) => startMs - ago),
  }),
);
const cloud = fc.oneof(
  { weight: 4, arbitrary: fc.constant<CloudState>("running") },
  fc.constantFrom<CloudState>("terminated", "stopped", "shutting-down", "missing", "pending"),
);

interface ServerCase {
  looks: { haproxy1: Look; haproxy2: Look; monit: Look };
  info: Partial<RedisInfo> & { isMaster: boolean; linkUp: boolean; syncing: boolean; known: boolean };
}
/** Mostly so, seldom otherwise: rare combinations alone would hardly ever promote anybody. */
const mostly = (value: boolean) =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(value) }, fc.constant(!value));
const gone: Look = { state: "down", silence: "silent", sinceMs: startMs - 5_000 };
const same = (one: Look) => fc.constant({ haproxy1: one, haproxy2: one, monit: one });
const server: fc.Arbitrary<ServerCase> = fc.record({
  looks: fc.oneof(
    { weight: 3, arbitrary: same(up) },
    { weight: 2, arbitrary: same(gone) },
    fc.record({ haproxy1: look, haproxy2: look, monit: look }),
  ),
  info: fc.record({
    isMaster: fc.oneof({ weight: 2, arbitrary: fc.constant(false) }, fc.constant(true)),
    known: mostly(true),
    linkUp: mostly(true),
    syncing: mostly(false),
    loading: mostly(false),
    epoch: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.nat(3)),
    offset: fc.nat(3),
    beat: fc.nat(3),
    refusesWrites: mostly(false),
    runId: fc.constantFrom("run-a", "run-b", "run-redis1", "run-redis2"),
  }),
});
const machineCase = fc.record({ cloud, servers: fc.array(server, { minLength: 2, maxLength: 2 }) });
const powerOff = fc.oneof(
  { weight: 3, arbitrary: fc.constant<PowerOff>("not requested") },
  fc.constantFrom<PowerOff>("begun", "accepted", { inDoubtSinceMs: startMs }, { inDoubtSinceMs: 0 }),
);
const proxyLook = fc.oneof({ weight: 4, arbitrary: fc.constant(up) }, look);
const proxyCase = fc.record({
  cloud,
  look: proxyLook,
  fresh: mostly(false),
  masterOnRedis2: fc.boolean(),
  hears: fc.constantFrom("lately", "before", "before", "never", undefined),
  listeningMs: fc.nat(400_000),
});
const worldCase = fc.record({
  redis1: machineCase,
  redis2: machineCase,
  haproxy1: proxyCase,
  haproxy2: proxyCase,
  onDetour: fc.option(fc.constantFrom(...proxyMachines), { nil: undefined }),
  app: fc.record({ cloud, look, known: mostly(true) }),
  epochReached: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.nat(3)),
  inSync: mostly(true),
  phase: fc.oneof(
    {
      weight: 7,
      arbitrary: fc.record({ phase: fc.constantFrom("condemned" as const, "tainted" as const), powerOff }),
    },
    fc.constantFrom<Phase>({ phase: "taken back" }, { phase: "launched" }),
  ),
  /** Another instance than the condemned one is there, though its launch is not known to have ended. */
  isUnfinished: mostly(false),
  attempted: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.nat(3)),
  /** The counterpart of the usual master was seen serving last. */
  lastOnRedis2: mostly(false),
  condemned: fc.option(fc.constantFrom("redis1" as const, "redis2" as const, "haproxy1" as const), {
    nil: undefined,
  }),
  ordered: fc.option(fc.constantFrom("redis1" as const, "haproxy2" as const), { nil: undefined }),
});
type WorldCase = typeof worldCase extends fc.Arbitrary<infer T> ? T : never;

/** Where the proxy's line leads on a detour. */
const detour = (proxy: ProxyMachine, shard: number) => ({
  address: addresses[counterpartOf(proxy)],
  port: 8000 + shard,
});

function build(given: WorldCase): World {
  const world = new World(2);
  for (const machine of redisMachines) {
    world.facts.machines[machine].cloud = given[machine].cloud;
    given[machine].servers.forEach(({ looks, info }, position) => {
      const { isMaster, linkUp, syncing, known, ...rest } = info;
      const base = replicaInfo(counterpartOf(machine), 9001 + position);
      const follows = { host: base.follows?.host ?? "", port: 9001 + position, linkUp, syncing };
      const one = world.server(machine, position + 1);
      one.looks = looks;
      one.info = !known ? undefined : isMaster ? masterInfo(rest) : { ...base, ...rest, follows };
    });
  }
  for (const proxy of proxyMachines) {
    world.facts.proxies[proxy].look = given[proxy].look;
    world.facts.machines[proxy].cloud = given[proxy].cloud;
    world.hearing(proxy, given[proxy].hears, given[proxy].listeningMs);
    if (given[proxy].fresh) world.freshProxy(proxy);
    else if (given[proxy].masterOnRedis2) {
      for (const shard of world.shards) {
        Object.assign(world.lines(proxy, shard).redis1.traffic, { ready: false, maintenance: true });
        Object.assign(world.lines(proxy, shard).redis2.traffic, { ready: true, maintenance: false });
      }
    }
    if (given.onDetour === proxy) {
      for (const shard of world.shards) {
        for (const machine of redisMachines)
          Object.assign(world.lines(proxy, shard)[machine].traffic, detour(proxy, shard));
      }
    }
  }
  world.facts.machines.app.cloud = given.app.cloud;
  world.facts.app.look = given.app.look;
  if (!given.app.known) delete world.facts.app.view;
  for (const shard of world.shards) {
    const { epochReached: epoch, attempted } = given;
    Object.assign(world.remembered(shard), { epoch, attempted });
    if (given.lastOnRedis2)
      world.remembered(shard).master = { machine: "redis2", runId: "run-redis2", epoch: 1 };
    if (!given.inSync) delete world.remembered(shard).inSync;
  }
  const { condemned: machine, phase, isUnfinished } = given;
  const instanceId = isUnfinished ? "i-former" : `i-${machine}`;
  if (machine) world.replacing(machine, phase, instanceId);
  if (given.ordered) world.order(given.ordered);
  return world;
}

type StepOf<Do extends Step["do"]> = Extract<Step, { do: Do }>;
const stepsOf = <Do extends Step["do"]>(outcome: Outcome, name: Do): StepOf<Do>[] =>
  outcome.decisions.flatMap(({ steps }) => steps.filter((step): step is StepOf<Do> => step.do === name));

function holds(check: (world: World, outcome: Outcome) => void): void {
  fc.assert(
    fc.property(worldCase, (given) => {
      const world = build(given);
      const outcome = world.decide();
      expect(outcome.faults).toEqual([]);
      check(world, outcome);
    }),
    { numRuns: 400 },
  );
}

test("every subject has a situation and a sentence; none is unknown", () => {
  holds((_, { decisions, sentence }) => {
    expect(sentence).not.toBe("");
    for (const decision of decisions) {
      expect(decision.because).not.toBe("");
      expect(decision.because).not.toContain("undefined");
      expect(decision.situation).not.toBe("UNKNOWN");
    }
  });
});

test("rule 2: a promotion follows a fence of the counterpart, with every proxy told or proven unable", () => {
  holds((world, outcome) => {
    for (const { subject, steps } of outcome.decisions) {
      const position = steps.findIndex((step) => step.do === "promote");
      if (position < 0) continue;
      const promote = steps[position] as StepOf<"promote">;
      const fence = steps.slice(0, position).find((step) => step.do === "fence") as StepOf<"fence">;
      expect(fence, subject).toMatchObject({ machine: counterpartOf(promote.machine), shard: promote.shard });
      const isOff = (machine: RedisMachine | "haproxy1" | "haproxy2") =>
        ["terminated", "stopped"].includes(world.facts.machines[machine].cloud ?? "");
      for (const proxy of proxyMachines) {
        const isTold = fence.proxies.includes(proxy) && world.facts.proxies[proxy].look.state === "up";
        expect(isTold || isOff(proxy) || isOff(fence.machine)).toBe(true);
      }
    }
  });
});

test("rule 3: nobody is promoted who is incomplete, of an earlier term than was reached, or does not answer", () => {
  holds((world, outcome) => {
    for (const { machine, shard, epoch } of stepsOf(outcome, "promote")) {
      const { info, looks } = world.server(machine, shard);
      const reached = world.remembered(shard).epoch;
      expect(looks.monit.state).toBe("up");
      expect(info?.loading).toBe(false);
      expect(info?.follows?.syncing ?? false).toBe(false);
      expect(info?.epoch ?? -1).toBeGreaterThanOrEqual(reached);
      // Later also than any term that was begun in vain: that promotion may still come true.
      expect(epoch).toBe(Math.max(reached, world.remembered(shard).attempted) + 1);
    }
  });
});

test("rule 4: no traffic line becomes ready but the one of the only master, which is not out", () => {
  holds((world, outcome) => {
    for (const { changes } of stepsOf(outcome, "set servers")) {
      for (const { line, ready, machine, shard } of changes) {
        if (line !== "traffic" || !ready) continue;
        expect(world.server(machine, shard).info?.role).toBe("master");
        expect(world.memory.durable.servers[`${machine}/${shard}`]?.verdict).toBeUndefined();
      }
    }
  });
});

/** Does any server of the machine answer monit, without a verdict against it? */
const serves = (world: World, machine: RedisMachine) =>
  world.shards.some((shard) => {
    const { looks, info } = world.server(machine, shard);
    const isOut = world.memory.durable.servers[`${machine}/${shard}`]?.verdict !== undefined;
    return looks.monit.state === "up" && info !== undefined && !isOut;
  });

test("rule 5: no redis machine is replaced or powered off unless its counterpart is master of every shard, or nothing of it serves", () => {
  holds((world, outcome) => {
    const powerOffs = stepsOf(outcome, "power off").map(({ machine }) => machine);
    const launches = stepsOf(outcome, "launch").flatMap(({ machines }) => machines);
    for (const machine of redisMachines.filter((one) => [...powerOffs, ...launches].includes(one))) {
      if (!serves(world, machine)) continue;
      for (const shard of world.shards) {
        expect(world.server(counterpartOf(machine), shard).info?.role).toBe("master");
        expect(world.server(counterpartOf(machine), shard).looks.monit.state).toBe("up");
      }
    }
  });
});

test("app is condemned by the cloud's word only, or because monit and a proxy miss it and no proxy hears it", () => {
  holds((world, outcome) => {
    const { app, proxies, machines } = world.facts;
    const isCondemned = stepsOf(outcome, "stop monitoring").some(({ machine }) => machine === "app");
    if (!isCondemned || !["running", "pending"].includes(machines.app.cloud ?? "")) return;
    expect(app.look).toMatchObject({ state: "down", silence: "silent" });
    const answers = proxyMachines.filter((proxy) => proxies[proxy].look.state === "up");
    const lately = answers.map((proxy) => proxies[proxy].view?.hearing?.lately[machines.app.address ?? ""]);
    expect(lately).not.toContain(true);
    expect(lately).toContain(false);
  });
});

test("what does not answer monit is not settled", () => {
  holds((world, { decisions }) => {
    const app = decisions.find(({ subject }) => subject === "app");
    if (app && world.facts.app.look.state !== "up") expect(app.settled).toBe(false);
  });
});

test("a shard is decided upon once: at most one promotion and one master that follows nobody", () => {
  holds((world, outcome) => {
    for (const shard of world.shards) {
      expect(stepsOf(outcome, "promote").filter((step) => step.shard === shard).length).toBeLessThanOrEqual(
        1,
      );
    }
  });
});

/** Sets the proxies' lines as this cycle wants them. */
function setServers(world: World): void {
  for (const { proxy, changes } of stepsOf(world.decide(), "set servers")) {
    for (const { line, machine, shard, address, ready } of changes) {
      const present = world.lines(proxy, shard)[machine][line];
      Object.assign(present, address, ready === undefined ? {} : { ready, maintenance: !ready });
    }
  }
}

test("doing what the proxies need leaves nothing to be done", () => {
  holds((world) => {
    // By the second cycle: in the first one recovery learns what each copy may have, and may wait for it from then on.
    setServers(world);
    // And by the third, because a detour begins when the twin is right.
    setServers(world);
    expect(stepsOf(world.decide(), "set servers")).toEqual([]);
  });
});

test("a detour leads to a twin that sends the traffic to the master itself, and no two ever meet", () => {
  holds((world) => {
    for (let cycle = 0; cycle < 3; cycle += 1) {
      for (const { proxy, changes } of stepsOf(world.decide(), "set servers")) {
        for (const { shard, machine, address } of changes) {
          if (address?.address !== detour(proxy, shard).address) continue;
          const { traffic } = world.lines(counterpartOf(proxy), shard)[machine];
          expect(traffic).toMatchObject({ ready: true, address: addresses[machine] });
        }
      }
      setServers(world);
    }
    for (const shard of world.shards) {
      const isOnDetour = (proxy: ProxyMachine) =>
        redisMachines.some((machine) => {
          const { ready, address } = world.lines(proxy, shard)[machine].traffic;
          return ready && address === detour(proxy, shard).address;
        });
      const isSeen = proxyMachines.every((proxy) => world.facts.proxies[proxy].look.state === "up");
      expect(isSeen && proxyMachines.every(isOnDetour)).toBe(false);
    }
  });
});
