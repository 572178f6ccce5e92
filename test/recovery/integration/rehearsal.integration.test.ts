/** A rehearsal against real servers: what it sees, what it measures, and when it refuses. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../recovery/clock.ts";
import { type Fault, faultOf } from "../../../recovery/rehearsal/fault.ts";
import { Probe } from "../../../recovery/rehearsal/probe.ts";
import { describeReport, type RehearsalTools, rehearse } from "../../../recovery/rehearsal/rehearse.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
const said: string[] = [];
const stop = { current: new AbortController() };

beforeEach(async () => {
  said.length = 0;
  stop.current = new AbortController();
  world = await TestWorld.healthy();
});
afterEach(() => world.close());

const pathsThrough = (...proxies: ("haproxy1" | "haproxy2")[]) =>
  proxies.flatMap((proxy) =>
    world.shards.map(({ proxyPort: port }) => {
      return { name: `${proxy}:${port}`, address: world.machine(proxy).address, port };
    }),
  );

const faultIn = (kind: string, target: string) => faultOf(kind, target, world.topology, 10);

function tools(overrides: Partial<RehearsalTools> = {}): RehearsalTools {
  return {
    status: async () => {
      if (!world.status) throw new Error("no cycle yet");
      return world.status;
    },
    inject: async ({ machine }: Fault) => world.loseMachine(machine),
    heal: async () => "healed",
    probe: new Probe(pathsThrough("haproxy1", "haproxy2"), systemClock),
    clock: systemClock,
    say: (line) => void said.push(line),
    signal: stop.current.signal,
    ...overrides,
  };
}

test("a machine loses its power: noticed, replaced, well; clients have waited", async () => {
  const from = world.machine("redis1").address;
  const report = await rehearse(faultIn("poweroff", "redis1"), tools());
  expect(report).toMatchObject({
    ok: true,
    fault: "poweroff redis1",
    result: "recovery has healed it: redis1 is replaced, and all is well",
    replaced: { from, to: world.machine("redis1").address },
  });
  expect(report.replaced?.to).not.toBe(from);
  expect(report.noticedMs).toBeGreaterThan(0);
  expect(report.wellMs).toBeGreaterThan(report.noticedMs ?? 0);
  expect(report.steps.map(({ step }) => step)).toEqual(
    expect.arrayContaining(["launch a new redis1", expect.stringMatching(/^make redis2 master of shard 1/)]),
  );
  expect(report.clients.probes).toBeGreaterThan(50);
  // Each shard's traffic waited while it had no master, and not longer than all of it took.
  expect(report.clients.longestWaitMs).toBeGreaterThan(100);
  expect(report.clients.longestWaitMs).toBeLessThan(report.wellMs ?? 0);
  expect(said[0]).toMatch(/0\.00 s {2}poweroff redis1/);
  expect(said.some((line) => /noticed: .*redis1/.test(line))).toBe(true);
  expect(said.at(-1)).toMatch(/all well again$/);
  expect(describeReport(report)).toMatch(
    /longest wait +\d\.\d\d s {2}of a client, through haproxy[12]:800[12]/,
  );
});

test("a process crashes and comes back: healed without a new machine", async () => {
  const inject = async () => {
    await world.machine("redis1").crash(9001);
    setTimeout(() => world.machine("redis1").startRedis(9001), 2_000);
  };
  const report = await rehearse(faultIn("crash", "redis1:9001"), tools({ inject }));
  expect(report).toMatchObject({ ok: true, result: expect.stringContaining("redis1 is in use again") });
  expect(report.replaced).toBeUndefined();
  expect(world.status?.shards[0]?.master).toBe("redis2");
});

test("refused while not all is well or paused, and nothing is broken", async () => {
  let broken = 0;
  const inject = async () => {
    broken += 1;
  };
  const refusing = () => tools({ inject });
  world.reconciler.pause.begin(60_000, "new disks");
  await expect(rehearse(faultIn("poweroff", "redis1"), refusing())).rejects.toThrow(
    /nothing was broken.*new disks/,
  );
  world.reconciler.pause.end();
  await world.machine("redis2").crash(9001);
  await world.until("the verdict", () => world.status?.healthy === false);
  await expect(rehearse(faultIn("poweroff", "redis1"), refusing())).rejects.toThrow(
    /not all is well.*redis2/,
  );
  expect(broken).toBe(0);
});

test("refused when the probes get no answer: without traffic it proves nothing", async () => {
  const [path] = pathsThrough("haproxy1");
  if (!path) throw new Error("no path");
  const probe = new Probe([{ ...path, name: "haproxy1:1", port: 1 }], systemClock);
  const begun = rehearse(faultIn("poweroff", "redis1"), tools({ probe }));
  await expect(begun).rejects.toThrow("a probe gets no answer through haproxy1:1");
  expect(world.calls).toEqual([]);
});

test("a fault that cannot be injected is an error that says so", async () => {
  const inject = async () => {
    throw new Error("permission denied");
  };
  const begun = rehearse(faultIn("vanish", "redis1"), tools({ inject }));
  await expect(begun).rejects.toThrow("the fault could not be injected: permission denied");
});

test("Ctrl-C heals what can be healed and ends the account", async () => {
  let healed = 0;
  const inject = async () => {
    world.machine("redis1").stop(9001);
    setTimeout(() => stop.current.abort(), 300);
  };
  const heal = async () => {
    healed += 1;
    world.machine("redis1").continue(9001);
    return "redis1 goes on";
  };
  const report = await rehearse(faultIn("hang", "redis1:9001"), tools({ inject, heal }));
  expect(report).toMatchObject({ ok: false, result: "interrupted: redis1 goes on" });
  expect(healed).toBe(1);
  expect((await world.untilHealthy()).shards[0]?.master).toBe("redis1");
});
