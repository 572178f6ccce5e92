/**
 * Against the model (issue: proof): the same scenario, run in the simulation and in the lab, ends in the same state. What
 * the simulation shows of a million schedules is worth something only as long as that holds.
 */
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { type LabStatus, waitFor } from "../../lab/operate.ts";
import { ownDatabase } from "../../recovery/observe/own-keys.ts";
import { machineNames, type RedisMachine } from "../../recovery/topology.ts";
import { type EndState, endStateOf } from "../simulation/end-state.ts";
import type { Fault } from "../simulation/faults/fault.ts";
import {
  addressIn,
  asRecoveryAt,
  expectNothingLost,
  freshBudget,
  lab,
  scenarioBeforeEach,
} from "./scenario.ts";

beforeAll(freshBudget);
const scenario = scenarioBeforeEach();

interface Twin {
  name: string;
  /** In the model, all at once. Machines do not come back on the network by themselves. */
  model: Fault[];
  /** The same in the lab; `master` and `replica` of shard 1. */
  lab: (roles: { master: string; replica: string }) => Promise<unknown>;
  /** Requests under way that may fail. */
  failures?: number;
}

const forEver = 60_000;

const twins: Twin[] = [
  {
    name: "the master's machine vanishes",
    model: [{ fault: "vanish", machine: "the master", forMs: forEver }],
    lab: ({ master }) => lab.fault("vanish", master),
  },
  {
    name: "the replica's machine loses its power",
    model: [{ fault: "power off", machine: "the replica" }],
    lab: ({ replica }) => lab.fault("poweroff", replica),
  },
  {
    name: "a proxy vanishes",
    model: [{ fault: "vanish", machine: "haproxy1", forMs: forEver }],
    lab: () => lab.fault("vanish", "haproxy1"),
  },
  {
    name: "both proxies lose their power",
    model: [
      { fault: "power off", machine: "haproxy1" },
      { fault: "power off", machine: "haproxy2" },
    ],
    lab: () => Promise.all([lab.fault("poweroff", "haproxy1"), lab.fault("poweroff", "haproxy2")]),
    failures: 2,
  },
  {
    name: "the master's machine and a proxy vanish at once",
    model: [
      { fault: "vanish", machine: "the master", forMs: forEver },
      { fault: "vanish", machine: "haproxy1", forMs: forEver },
    ],
    lab: ({ master }) => Promise.all([lab.fault("vanish", master), lab.fault("vanish", "haproxy1")]),
    failures: 2,
  },
  {
    name: "a master's process crashes and is started again",
    model: [{ fault: "crash", machine: "the master", shard: 1, forMs: 1_000 }],
    lab: ({ master }) => lab.fault("crash", `${master}:9001`),
  },
  {
    name: "a replica's process crashes and is started again",
    model: [{ fault: "crash", machine: "the replica", shard: 1, forMs: 1_000 }],
    lab: ({ replica }) => lab.fault("crash", `${replica}:9001`),
  },
  {
    name: "a proxy's process crashes and is started again",
    model: [{ fault: "crash", machine: "haproxy1", forMs: 200 }],
    lab: () => lab.fault("crash", "haproxy1:haproxy"),
  },
  {
    name: "a proxy is cut off from both redis machines for some seconds",
    model: [{ fault: "cut", from: "haproxy1", to: ["redis1", "redis2"], direction: "both", forMs: 4_000 }],
    lab: async () => {
      await Promise.all([
        lab.fault("partition", "haproxy1", "redis1"),
        lab.fault("partition", "haproxy1", "redis2"),
      ]);
      await delay(4_000);
      await lab.fault("heal");
    },
  },
  {
    name: "a master stalls for half a second",
    model: [{ fault: "hang", machine: "the master", shard: 1, forMs: 500 }],
    lab: ({ master }) => lab.fault("pause", `${master}:9001`, "--seconds", "0.5"),
  },
  {
    name: "a replica is made master by hand",
    model: [{ fault: "REPLICAOF by hand", machine: "the replica", shard: 1, master: "nobody" }],
    lab: ({ replica }) => asRecoveryAt(9001, replica, "REPLICAOF", "NO", "ONE"),
  },
  {
    name: "another master is ordered",
    model: [{ fault: "order switchover", shard: 1, to: "the replica" }],
    lab: () => lab.exec("monit", "barton", "switchover", "1"),
    failures: 0,
  },
];

test.each(twins)("$name", async ({ model, lab: inject, failures }) => {
  const { before, master, replica } = scenario.current;
  const faults = model.map((fault) => ({ atMs: 3_000, fault }));
  const expected = await endStateOf(mastersIn(before), { faults, endMs: 30_000 }, 1);
  const epochs = await epochsOf(before);
  await inject({ master, replica });
  await delay(3_000); // what is to be left alone shall have had the time to be taken for a failure
  let seen: EndState | undefined;
  await waitFor(
    `the model's end, ${JSON.stringify(expected)}`,
    120_000,
    async () => {
      const now = await lab.status();
      if (!now.healthy) return undefined;
      seen = await endStateInLab(before, epochs, now);
      return JSON.stringify(seen) === JSON.stringify(expected) || undefined;
    },
    () => `Last seen: ${JSON.stringify(seen)}`,
  );
  await scenario.current.untilFlowing();
  const after = await lab.untilHealthy(30_000);
  expect(await endStateInLab(before, epochs, after)).toEqual(expected);
  expectNothingLost(await scenario.current.ended(), failures);
});

const mastersIn = ({ shards }: LabStatus) => shards.map(({ master }) => master as RedisMachine);

function epochsOf({ shards }: LabStatus): Promise<number[]> {
  return Promise.all(
    shards.map(async ({ port, master }) =>
      Number(await asRecoveryAt(port, master ?? "", "-n", String(ownDatabase), "GET", "barton:epoch")),
    ),
  );
}

async function endStateInLab(before: LabStatus, epochs: number[], now: LabStatus): Promise<EndState> {
  const isNew = (name: string) => addressIn(now, name) !== addressIn(before, name);
  const present = await epochsOf(now);
  return {
    masters: mastersIn(now),
    replaced: machineNames.filter(isNew),
    promoted: present.map((epoch, i) => epoch > (epochs[i] ?? 0)),
  };
}
