/** `failover --if-failed`: when recovery agrees that a machine failed, and when it does not. */
import { describe, expect, test } from "vitest";
import { apply, type Remembered } from "../../../../recovery/decide/memory/events.ts";
import type { Memory } from "../../../../recovery/decide/memory/memory.ts";
import { appSituations } from "../../../../recovery/decide/policy/app-and-monit.ts";
import { proxySituations } from "../../../../recovery/decide/policy/proxy.ts";
import { redisSituations } from "../../../../recovery/decide/policy/redis-machine.ts";
import type { Situation } from "../../../../recovery/decide/policy/tables.ts";
import { opinionOf } from "../../../../recovery/decide/rules/opinion.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import type { MachineName } from "../../../../recovery/topology.ts";
import { down, failing, none, type up, World } from "../../world-of-facts.ts";

function opinion(world: World, machine: MachineName) {
  const { decisions, memory } = world.decide();
  return opinionOf(machine, decisions, memory, world.facts);
}
const monitSees = (world: World, look: typeof up) => {
  for (const shard of world.shards) world.server("redis1", shard).looks.monit = look;
};
const having = (memory: Memory, ...events: Remembered[]) =>
  events.reduce((before, event) => apply(before, event, 0), memory);
const condemned = (machine: MachineName): Remembered => ({
  event: "condemned",
  machine,
  instanceId: `i-${machine}`,
  because: "test",
});

test.each(["redis1", "redis2", "haproxy1", "haproxy2", "app"] as const)("well: %s is sound", (machine) => {
  expect(opinion(new World(), machine)).toBe("sound");
});

const machineRows: { situation: Situation; steps?: unknown }[] = [
  ...redisSituations,
  ...proxySituations,
  ...appSituations,
];

const condemning: Situation[] = ["machine-lost", "machine-dead", "lost", "leaves"];

test.each(machineRows)(
  "a machine in $situation is never sound if it is condemned by that",
  ({ situation }) => {
    const { memory, facts } = new World();
    const opinions = (["redis1", "haproxy1", "app"] as const).map((machine) =>
      opinionOf(machine, [{ subject: machine, situation }], memory, facts),
    );
    if (condemning.includes(situation) || situation.startsWith("condemned"))
      expect(opinions).not.toContain("sound");
  },
);

describe("a redis machine", () => {
  test("that monit alone does not see is sound, as soon as monit has made up its mind", () => {
    const world = new World();
    monitSees(world, failing("silent"));
    expect(opinion(world, "redis1")).toBe("open");
    monitSees(world, down("silent"));
    expect(opinion(world, "redis1")).toBe("sound");
    world.later(600_000);
    expect(opinion(world, "redis1")).toBe("sound");
  });

  test("that stalls for monit alone is sound, too", () => {
    const world = new World();
    monitSees(world, down("stalled", 60_000));
    expect(opinion(world, "redis1")).toBe("sound");
  });

  test("that is silent to all has failed", () => {
    expect(opinion(new World().lookAll("redis1", down("silent")), "redis1")).toBe("failed");
  });

  test("that nobody but monit looks at is open until its time to boot has passed", () => {
    const world = new World();
    for (const shard of world.shards) {
      world.server("redis1", shard).looks = { haproxy1: none, haproxy2: none, monit: down("silent") };
    }
    expect(opinion(world, "redis1")).toBe("open");
    world.later(defaultLimits.bootMs + 1);
    expect(opinion(world, "redis1")).toBe("failed");
  });

  test("whose process is gone is open while that may come back, and has failed then", () => {
    const world = new World().look("redis1", 1, down("refused"));
    expect(opinion(world, "redis1")).toBe("open");
    world.later(defaultLimits.graceMs);
    expect(opinion(world, "redis1")).toBe("failed");
  });

  test("that is being replaced has failed, also while its successor boots; one that is taken back has not", () => {
    const world = new World();
    world.memory = having(world.memory, condemned("redis1"));
    expect(opinion(world, "redis1")).toBe("failed");
    world.facts.machines.redis1.instanceId = "i-new";
    world.lookAll("redis1", none);
    expect(opinion(world, "redis1")).toBe("failed");
    const taken = new World();
    taken.memory = having(taken.memory, condemned("redis1"), {
      event: "taken back",
      machine: "redis1",
      because: "it is needed",
    });
    expect(opinion(taken, "redis1")).toBe("sound");
  });
});

describe("a proxy", () => {
  test("that monit alone does not see is open for two seconds, then sound", () => {
    const world = new World();
    world.facts.proxies.haproxy1.look = down("silent");
    expect(opinion(world, "haproxy1")).toBe("open");
    world.later(defaultLimits.proxyPatienceMs);
    expect(opinion(world, "haproxy1")).toBe("sound");
  });

  test("that app does not see either has failed", () => {
    const world = new World().clientLook("haproxy1", down("silent"));
    world.facts.proxies.haproxy1.look = down("silent", defaultLimits.proxyPatienceMs);
    expect(opinion(world, "haproxy1")).toBe("failed");
  });

  test("that leaves by order is not interfered with", () => {
    const world = new World();
    world.memory = having(world.memory, { event: "ordered", machine: "haproxy2", why: "barton roll" });
    expect(opinion(world, "haproxy2")).toBe("open");
  });
});

test("app has failed when the cloud says so; silent to monit it is open, then kept", () => {
  const world = new World();
  world.facts.app.look = down("silent");
  expect(opinion(world, "app")).toBe("open");
  world.later(defaultLimits.bootMs);
  expect(opinion(world, "app")).toBe("sound");
  world.facts.machines.app.cloud = "stopped";
  expect(opinion(world, "app")).toBe("failed");
});

test("while monit sees nobody, everything is open", () => {
  const world = new World();
  for (const machine of ["redis1", "redis2"] as const) world.lookAll(machine, down("silent"));
  world.facts.proxies.haproxy1.look = down("silent");
  world.facts.proxies.haproxy2.look = down("silent");
  expect(opinion(world, "redis1")).toBe("open");
  expect(opinion(world, "haproxy1")).toBe("open");
});

describe("asked directly", () => {
  const of = (
    machine: MachineName,
    situation: Situation | undefined,
    change: (world: World) => unknown = () => {},
  ) => {
    const world = new World();
    change(world);
    const decisions = situation ? [{ subject: machine, situation }] : [];
    return opinionOf(machine, decisions, world.memory, world.facts);
  };

  test("nothing was decided about the machine, or something that is no machine's situation: open", () => {
    expect(of("redis1", undefined)).toBe("open");
    expect(of("redis1", "served")).toBe("open");
  });

  test("a machine that is being replaced has failed, unless it is needed again", () => {
    const replaced = (world: World) => world.replacing("redis1", { phase: "launched" });
    expect(of("redis1", "present", replaced)).toBe("failed");
    expect(of("redis1", "needed-again", replaced)).toBe("sound");
    expect(of("redis1", "present", (world) => world.replacing("redis1", { phase: "taken back" }))).toBe(
      "sound",
    );
  });

  test("app that the cloud alone calls present must be heard", () => {
    const unheard = (world: World) => (world.facts.app.look = failing("silent"));
    expect(of("app", "present")).toBe("sound");
    expect(of("app", "present", unheard)).toBe("open");
    expect(of("app", "unseen", unheard)).toBe("sound");
  });

  test("of a redis machine that was not seen whole every server must be heard, by monit or by a proxy", () => {
    const servers =
      (looks: Partial<Record<"haproxy1" | "haproxy2" | "monit", typeof up>>) => (world: World) =>
        Object.assign(world.server("redis1", 2).looks, looks);
    const silent = down("silent");
    const heard = (looks: Parameters<typeof servers>[0]) => of("redis1", "not-seen-whole", servers(looks));
    expect(heard({ haproxy1: silent, haproxy2: silent })).toBe("sound");
    expect(heard({ monit: silent })).toBe("sound");
    expect(heard({ monit: silent, haproxy1: silent })).toBe("sound");
    expect(heard({ monit: silent, haproxy2: silent })).toBe("sound");
    expect(heard({ monit: silent, haproxy1: silent, haproxy2: silent })).toBe("open");
    expect(heard({ monit: failing("silent") })).toBe("open");
    const lacking = (world: World) => delete world.facts.servers["redis1/2"];
    expect(of("redis1", "not-seen-whole", lacking)).toBe("open");
    // Its own situations tell all that there is to know of other machines.
    expect(of("redis1", "present", servers({ monit: failing("silent") }))).toBe("sound");
    expect(of("haproxy1", "serving", servers({ monit: failing("silent") }))).toBe("sound");
  });
});
