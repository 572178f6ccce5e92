import { expect, test } from "vitest";
import { planRoll, type RollTools, roll } from "../../../recovery/cli/roll.ts";
import { NoMonitor } from "../../../recovery/control/client.ts";
import { apply } from "../../../recovery/decide/memory/events.ts";
import { emptyMemory, rollReason } from "../../../recovery/decide/memory/memory.ts";
import type { FailoverResult } from "../../../recovery/orders/failover.ts";
import type { Status } from "../../../recovery/report/status.ts";
import {
  type MachineName,
  machineNames,
  type RedisMachine,
  type Topology,
} from "../../../recovery/topology.ts";

/** A system whose machines are replaced and whose masters move when a roll asks for it. */
class System {
  readonly done: string[] = [];
  readonly builds: Record<string, string> = Object.fromEntries(machineNames.map((name) => [name, "old"]));
  masters: RedisMachine[] = ["redis1", "redis1"];
  healthy = true;
  paused: Status["paused"] = null;
  readonly stop = new AbortController();
  /** Answers in place of the monitor, for the next failover. */
  answers: FailoverResult[] = [];
  /** What a replaced machine is made from. */
  made = "new";
  nowMs = 0;

  get status(): Status {
    const shards = this.masters.map((master, i) => ({ index: i + 1, master }));
    const { healthy, paused } = this;
    const rest = { sentence: "redis2 is condemned", inProgress: !healthy, machines: [], incidents: [] };
    return { healthy, paused, shards, ...rest } as unknown as Status;
  }

  get topology(): Topology {
    const machine = (name: MachineName) => ({ build: this.builds[name], wantedBuild: "new" });
    return { machines: Object.fromEntries(machineNames.map((name) => [name, machine(name)])) } as Topology;
  }

  readonly tools: RollTools = {
    topology: async () => this.topology,
    status: async () => this.status,
    switchover: async (machine) => {
      this.done.push(`switchover ${machine}`);
      this.masters = this.masters.map(() => (machine === "redis1" ? "redis2" : "redis1"));
      return { ok: true, message: "switched" };
    },
    failover: async (machine) => {
      this.done.push(`failover ${machine}`);
      const answer = this.answers.shift();
      if (answer) return answer;
      this.builds[machine] = this.made;
      return { ok: true, message: `${machine} is replaced and well` };
    },
    clock: {
      now: () => this.nowMs,
      date: () => new Date(this.nowMs),
      sleep: async (ms) => {
        this.nowMs += ms;
      },
    },
    say: () => {},
    signal: this.stop.signal,
  };
}

const four = ["redis1", "redis2", "haproxy1", "haproxy2"] as const;

test("replicas first, masters moved away before their machine goes, the unused proxy before the used one", async () => {
  const system = new System();
  const result = await roll(system.tools, four);
  expect(system.done).toEqual([
    "failover redis2",
    "switchover redis1",
    "failover redis1",
    "failover haproxy2",
    "failover haproxy1",
  ]);
  expect(result).toMatchObject({ ok: true, left: [] });
  expect(result.replaced.map(({ machine }) => machine)).toEqual(["redis2", "redis1", "haproxy2", "haproxy1"]);
});

test("a second run has nothing to do, and a broken-off one goes on with what is left", async () => {
  const system = new System();
  system.builds.redis2 = "new";
  system.builds.haproxy2 = "new";
  await roll(system.tools, four);
  expect(system.done).toEqual(["switchover redis1", "failover redis1", "failover haproxy1"]);
  const again = await roll(system.tools, four);
  expect(system.done).toHaveLength(3);
  expect(again).toMatchObject({ ok: true, replaced: [] });
});

test("what no command replaces is left, and said so", async () => {
  const system = new System();
  const { replace, left } = planRoll(system.topology, system.status);
  expect(replace).not.toContain("monit");
  expect(left).toContainEqual({ machine: "monit", why: expect.stringContaining("monit") });
});

test("monit, of which no build is known, is its group's; of another machine that means an older program", () => {
  const system = new System();
  const { machines } = system.topology;
  const without = (name: MachineName) => {
    const { build: _, wantedBuild: __, ...rest } = machines[name];
    return { ...system.topology, machines: { ...machines, [name]: rest } } as Topology;
  };
  expect(planRoll(without("monit"), system.status)).toMatchObject({ left: [] });
  expect(() => planRoll(without("redis1"), system.status)).toThrow('run "pulumi up"');
});

test.each([
  ["unhealthy", { healthy: false }, "redis2 is condemned"],
  ["paused", { paused: { untilAt: "2026-01-01T00:00:00.000Z", why: "disks" } }, "disks"],
])("%s: refused, and nothing is touched", async (_, state, why) => {
  const system = Object.assign(new System(), state);
  expect(await roll(system.tools, four)).toMatchObject({
    ok: false,
    message: expect.stringContaining(why),
    replaced: [],
  });
  expect(system.done).toEqual([]);
});

test("a failover that is refused ends the roll at once", async () => {
  const system = new System();
  system.answers = [{ ok: false, message: "redis2 is not replaced: the program differs" }];
  const result = await roll(system.tools, four);
  expect(result).toMatchObject({ ok: false, message: "redis2 is not replaced: the program differs" });
  expect(result.left.map(({ machine }) => machine)).toContain("redis2");
  expect(system.done).toEqual(["failover redis2"]);
});

test("the monitor restarts in the middle: the machine is looked at again, not given up", async () => {
  const system = new System();
  system.answers = [{ ok: false, interrupted: true, message: "the monitor ended" }];
  expect(await roll(system.tools, ["redis2"])).toMatchObject({ ok: true });
  expect(system.done).toEqual(["failover redis2", "failover redis2"]);
});

test("the monitor is away for a while after that, and when it is ordered: it is waited for", async () => {
  const system = new System();
  const away = new NoMonitor("the monitor does not run");
  let looksInVain = 0;
  const { status, failover } = system.tools;
  system.tools.status = async () => {
    if (looksInVain-- > 0) throw away;
    return status();
  };
  system.tools.failover = async (machine) => {
    looksInVain = 20;
    if (system.done.length > 0) return failover(machine);
    system.done.push("nobody to order it");
    throw away;
  };
  expect(await roll(system.tools, ["redis2"])).toMatchObject({ ok: true, replaced: [{ machine: "redis2" }] });
  expect(system.done).toEqual(["nobody to order it", "failover redis2"]);
});

test("a monitor that does not come back ends the roll with its account", async () => {
  const system = new System();
  const { failover, status } = system.tools;
  system.tools.failover = async (machine) => {
    const result = await failover(machine);
    if (machine === "redis1") system.tools.status = () => Promise.reject(new NoMonitor("nobody listens"));
    return result;
  };
  const result = await roll(system.tools, four);
  expect(result).toMatchObject({ ok: false, message: "not well again within 30 minutes: nobody listens" });
  expect(result.replaced.map(({ machine }) => machine)).toEqual(["redis2", "redis1"]);
  system.tools.status = status;
  expect(await roll(system.tools, four)).toMatchObject({ ok: true, message: "replaced: haproxy2, haproxy1" });
});

test("a monitor that ends in the middle of the same machine again and again ends the roll, and why is said", async () => {
  const system = new System();
  const interrupted = { ok: false, interrupted: true as const, message: "the monitor ended" };
  system.answers = [interrupted, interrupted, interrupted, interrupted];
  const message = "redis2 is as before after 3 attempts: the monitor ended";
  expect(await roll(system.tools, ["redis2"])).toMatchObject({ ok: false, message });
  expect(system.done).toEqual(["failover redis2", "failover redis2", "failover redis2"]);
});

test("a switch in whose middle the monitor ends is looked at again, and ordered again if need be", async () => {
  const system = new System();
  system.builds.redis2 = "new";
  const { switchover } = system.tools;
  system.tools.switchover = async () => {
    system.tools.switchover = switchover;
    system.done.push("switch interrupted");
    return { ok: false, interrupted: true, message: "the monitor was stopped in the middle of the switch" };
  };
  expect(await roll(system.tools, ["redis1"])).toMatchObject({ ok: true });
  expect(system.done).toEqual(["switch interrupted", "switchover redis1", "failover redis1"]);
});

test("a machine that is not what the last up wants even after its replacement ends the roll", async () => {
  const system = new System();
  system.made = "another";
  expect(await roll(system.tools, four)).toMatchObject({
    ok: false,
    message: expect.stringContaining("pulumi up"),
  });
  expect(system.done).toEqual(["failover redis2"]);
});

test("Ctrl-C: no further machine is begun, and the one under way is the monitor's", async () => {
  const system = new System();
  system.tools.failover = (machine) => {
    system.done.push(`failover ${machine}`);
    system.stop.abort();
    return new Promise(() => {});
  };
  const result = await roll(system.tools, four);
  expect(result).toMatchObject({
    ok: false,
    message: expect.stringContaining("the monitor finishes redis2"),
  });
  expect(system.done).toEqual(["failover redis2"]);
});

test("the budget counts failures, and a roll is none", () => {
  const launch = (why: string) => {
    const ordered = apply(emptyMemory, { event: "ordered", machine: "redis1", why }, 0);
    const condemned = apply(
      ordered,
      { event: "condemned", machine: "redis1", instanceId: "i-1", because: why },
      0,
    );
    return apply(condemned, { event: "launched", machine: "redis1", instanceId: "i-2" }, 0).durable
      .replacements;
  };
  expect(launch(rollReason)).toEqual([]);
  // Another monitor that orders failovers again and again is what the budget is for.
  expect(launch("by hand")).toHaveLength(1);
});
