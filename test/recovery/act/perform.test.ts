/** What each step is in the end: the commands that redis, the proxies, the engine and EC2 get for it. */
import { expect, test } from "vitest";
import { perform } from "../../../recovery/act/perform.ts";
import type { Step } from "../../../recovery/decide/steps.ts";
import { FakeWorld, session } from "./fake-world.ts";

const redis1 = { shard: 1, machine: "redis1" } as const;
const raising7 = "EVAL (script) 1 barton:epoch 7";
const haproxy1 = { proxy: "haproxy1" } as const;

/** A world in which each of these steps succeeds at once: redis1's line is out, and it says that it is master. */
function ready(): FakeWorld {
  const bench = new FakeWorld();
  Object.assign(bench.facts.lines("haproxy1", 1).redis1.traffic, { ready: false, maintenance: true });
  bench.replies = { ROLE: ["master", 100, []], [raising7]: "7" };
  bench.listings = [[session("0x1", "redis1")], []];
  return bench;
}

test.each<[Step, string[]]>([
  [{ do: "drain", ...redis1, proxies: ["haproxy1"] }, ["haproxy1: set server shard1/redis1 state maint"]],
  [
    { do: "fence", ...redis1, proxies: ["haproxy1"], proven: [] },
    [
      "haproxy1: set server shard1/redis1 state maint",
      "haproxy1: next generation of shard 1",
      "haproxy1: cut 0x1",
    ],
  ],
  [{ do: "pause writes", ...redis1 }, ["redis1: CLIENT PAUSE 4000 WRITE"]],
  [{ do: "resume writes", ...redis1 }, ["redis1: CLIENT UNPAUSE"]],
  [{ do: "catch up", shard: 1, from: "redis1", to: "redis2" }, []],
  [
    { do: "promote", ...redis1, epoch: 7 },
    ["redis1: REPLICAOF NO ONE", "redis1: CLIENT UNPAUSE", `redis1: ${raising7}`, "redis1: ROLE"],
  ],
  [
    { do: "release", ...redis1, proxies: ["haproxy1"] },
    [
      "haproxy1: set server shard1/redis2 state maint",
      "haproxy1: set server shard1/redis1 state maint",
      "haproxy1: set server shard1/redis1 addr 10.42.1.11 port 9001",
      "haproxy1: set server shard1/redis1 weight 100%",
      "haproxy1: set server shard1/redis1 health up",
      "haproxy1: set server shard1/redis1 state ready",
    ],
  ],
  [{ do: "cut", ...redis1, proxies: ["haproxy1"] }, ["haproxy1: cut 0x1"]],
  [{ do: "follow", ...redis1, master: "redis2" }, ["redis1: REPLICAOF 10.42.2.12 9001"]],
  [{ do: "end script", ...redis1 }, ["redis1: SCRIPT KILL", "redis1: FUNCTION KILL"]],
  [{ do: "end sessions", ...redis1, proxy: "haproxy1" }, ["redis1: CLIENT LIST"]],
  [{ do: "write epoch", ...redis1, epoch: 7 }, [`redis1: ${raising7}`]],
  [
    { do: "set servers", ...haproxy1, changes: [{ ...redis1, line: "probe", ready: false }] },
    ["haproxy1: set server probe1/redis1 state maint"],
  ],
  [
    { do: "reopen", ...haproxy1, frontends: ["shard1", "health"], holds: [1] },
    [
      "haproxy1: set server shard1/hold addr 127.0.0.1 port 1",
      "haproxy1: set server shard1/hold weight 100%",
      "haproxy1: set server shard1/hold health up",
      "haproxy1: set server shard1/hold state ready",
      "haproxy1: enable frontend shard1",
      "haproxy1: enable frontend health",
    ],
  ],
  [
    { do: "register proxy", ...haproxy1 },
    [
      "haproxy1: set server registered/self weight 100%",
      "haproxy1: set server registered/self health up",
      "haproxy1: set server registered/self state ready",
    ],
  ],
  [{ do: "drain proxy", ...haproxy1 }, ["haproxy1: set server registered/self state drain"]],
  [{ do: "unregister proxy", ...haproxy1 }, ["haproxy1: set server registered/self state maint"]],
  [{ do: "stop monitoring", machine: "redis1", because: "gone" }, []],
  [{ do: "take back", machine: "redis1", because: "needed" }, []],
  [{ do: "check program", machines: ["redis1"] }, ["engine: compare the program"]],
  [
    { do: "taint", machines: ["redis1", "redis2"] },
    ["engine: compare the program", "engine: taint redis1,redis2"],
  ],
  [{ do: "untaint", machines: ["redis1"] }, ["engine: untaint redis1"]],
  [{ do: "power off", machine: "redis1", instanceId: "i-1" }, ["EC2: power off i-1"]],
  [{ do: "power off", machine: "redis1" }, []],
  [{ do: "launch", machines: ["redis1"] }, ["engine: launch redis1"]],
  [{ do: "update record", machine: "monit", instanceId: "i-9" }, ["engine: update the records of monit"]],
])("%j", async (step, told) => {
  const bench = ready();
  await perform(bench.world, step);
  expect(bench.told.map((line) => line.replace(/^\d+ /, ""))).toEqual(told);
});

const twoMachines = ["redis1", "redis2"] as const;

test.each<[Step, unknown[]]>([
  [
    { do: "stop monitoring", machine: "redis1", instanceId: "i-1", because: "gone" },
    [{ event: "condemned", machine: "redis1", instanceId: "i-1", because: "gone" }],
  ],
  [
    { do: "take back", machine: "redis1", because: "needed" },
    [{ event: "taken back", machine: "redis1", because: "needed" }],
  ],
  [
    { do: "taint", machines: [...twoMachines] },
    twoMachines.map((machine) => ({ event: "tainted", machine })),
  ],
  [{ do: "untaint", machines: ["redis1"] }, [{ event: "untainted", machine: "redis1" }]],
  [{ do: "check program", machines: ["redis1"] }, []],
  [
    { do: "power off", machine: "redis1", instanceId: "i-1" },
    [{ event: "power-off accepted", machine: "redis1" }],
  ],
  [{ do: "update record", machine: "monit", instanceId: "i-9" }, [{ event: "recorded", instanceId: "i-9" }]],
  [{ do: "register proxy", ...haproxy1 }, [{ event: "registered", proxy: "haproxy1" }]],
])("what is done is remembered, so that it is not done twice: %j", async (step, remembered) => {
  const bench = ready();
  await perform(bench.world, step);
  expect(bench.remembered).toEqual(remembered);
});
