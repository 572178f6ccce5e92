/** Steps and decisions in a person's words: `barton plan`, the records of incidents, and the sentence of a cycle. */
import { describe, expect, test } from "vitest";
import {
  bugDecision,
  type Decision,
  findingsOf,
  reportIt,
  type Subject,
  unknownDecision,
} from "../../../recovery/decide/decision.ts";
import { UnknownSituation } from "../../../recovery/decide/policy/table.ts";
import { sentenceOf } from "../../../recovery/decide/sentence.ts";
import { describeStep, type Step } from "../../../recovery/decide/steps.ts";

const redis1 = { shard: 2, machine: "redis1" } as const;
const proxies = ["haproxy1" as const];

test.each<[string, Step]>([
  ["drain redis1's server of shard 2", { do: "drain", ...redis1, proxies }],
  ["fence redis1's server of shard 2", { do: "fence", ...redis1, proxies, proven: [] }],
  ["pause writes of redis1's server of shard 2", { do: "pause writes", ...redis1 }],
  ["resume writes of redis1's server of shard 2", { do: "resume writes", ...redis1 }],
  ["wait until redis2 has everything of shard 2", { do: "catch up", shard: 2, from: "redis1", to: "redis2" }],
  ["make redis1 master of shard 2 (epoch 7)", { do: "promote", ...redis1, epoch: 7 }],
  ["send the traffic of shard 2 to redis1", { do: "release", ...redis1, proxies }],
  ["cut old sessions of shard 2 with redis1", { do: "cut", ...redis1, proxies }],
  ["make redis1 replica of redis2 for shard 2", { do: "follow", ...redis1, master: "redis2" }],
  ["write epoch 7 into shard 2", { do: "write epoch", ...redis1, epoch: 7 }],
  ["end the script that keeps redis1's server of shard 2 busy", { do: "end script", ...redis1 }],
  ["end redis1's sessions of shard 2 with haproxy1", { do: "end sessions", ...redis1, proxy: "haproxy1" }],
  [
    "set servers of haproxy1: traffic 2/redis1 at 10.42.1.11:9002 ready, probe 2/redis1 out, traffic 2/redis1 at 10.42.1.11:9002",
    {
      do: "set servers",
      proxy: "haproxy1",
      changes: [
        { ...redis1, line: "traffic", address: { address: "10.42.1.11", port: 9002 }, ready: true },
        { ...redis1, line: "probe", ready: false },
        { ...redis1, line: "traffic", address: { address: "10.42.1.11", port: 9002 } },
      ],
    },
  ],
  [
    "reopen frontend shard1, frontend health, shard2/hold of haproxy1",
    { do: "reopen", proxy: "haproxy1", frontends: ["shard1", "health"], holds: [2] },
  ],
  ["reload haproxy1", { do: "reload proxy", proxy: "haproxy1" }],
  ["configure haproxy1 like haproxy2", { do: "copy configuration", proxy: "haproxy1", from: "haproxy2" }],
  ["register haproxy1", { do: "register proxy", proxy: "haproxy1" }],
  ["drain haproxy1", { do: "drain proxy", proxy: "haproxy1" }],
  ["unregister haproxy1", { do: "unregister proxy", proxy: "haproxy1" }],
  ["stop monitoring redis1", { do: "stop monitoring", machine: "redis1", because: "gone" }],
  ["take redis1 back", { do: "take back", machine: "redis1", because: "needed" }],
  ["compare the program with the one that the last up ran", { do: "check program", machines: ["redis1"] }],
  ["taint redis1 and app", { do: "taint", machines: ["redis1", "app"] }],
  ["untaint redis1", { do: "untaint", machines: ["redis1"] }],
  ["power off redis1 (i-1)", { do: "power off", machine: "redis1", instanceId: "i-1" }],
  ["power off redis1", { do: "power off", machine: "redis1" }],
  ["launch a new redis1 and app", { do: "launch", machines: ["redis1", "app"] }],
  ["update monit's record (i-9)", { do: "update record", machine: "monit", instanceId: "i-9" }],
  ["update monit's record", { do: "update record", machine: "monit" }],
])("%s", (text, step) => {
  expect(describeStep(step)).toBe(text);
});

const decision = (subject: Subject, because: string, more: Partial<Decision> = {}): Decision => {
  const plain = { steps: [], operator: "", settled: false, opens: false };
  return { ...plain, situation: "served", subject, because, ...more };
};

describe("the sentence of a cycle", () => {
  const well = [1, 2, 3].map((index) => decision(`shard ${index}`, "redis1 serves", { settled: true }));

  test("all is well: what the shards say, once", () => {
    const app = decision("app", "app is present", { settled: true });
    expect(sentenceOf([...well, app])).toBe("all is well: shards 1, 2 and 3: redis1 serves");
  });

  test("what is not settled, and nothing else", () => {
    const open = [decision("shard 2", "redis2 lags behind"), decision("haproxy1", "haproxy1 is gone")];
    expect(sentenceOf([...well, ...open])).toBe("shard 2: redis2 lags behind; haproxy1 is gone");
  });

  test("a machine that was not seen whole is named only if nothing else tells it", () => {
    const unseen = decision("redis2", "redis2 fails probes", { situation: "not-seen-whole" });
    expect(sentenceOf([unseen])).toBe("redis2 fails probes");
    expect(sentenceOf([unseen, decision("shard 1", "redis2 is away")])).toBe("shard 1: redis2 is away");
  });

  test("what both tables of a shard say: writes first", () => {
    const writes = {
      situation: "writes-refused",
      because: "redis1's disk is full",
      operator: "",
      opens: true,
    } as never;
    const both = decision("shard 1", "redis2 is away", { writes });
    expect(sentenceOf([both])).toBe("shard 1: redis1's disk is full; shard 1: redis2 is away");
    expect(findingsOf(both)).toEqual([both, writes]);
    expect(findingsOf(decision("app", "x"))).toHaveLength(1);
  });
});

describe("a subject about which nothing can be decided", () => {
  const undecided = { steps: [], operator: reportIt, settled: false, opens: false, holds: true };

  test("an unknown situation is reported by name, and does nothing", () => {
    const error = new UnknownSituation("redis1: odd");
    expect(unknownDecision("redis1", error)).toEqual({
      ...undecided,
      subject: "redis1",
      situation: "UNKNOWN",
      because: error.message,
    });
  });

  test("a bug likewise; its error goes to whoever isolates the subject", () => {
    expect(() => unknownDecision("redis1", new TypeError("no"))).toThrow("no");
    expect(bugDecision("redis1")).toEqual({
      ...undecided,
      subject: "redis1",
      situation: "BUG",
      because:
        "a bug in recovery: it cannot decide about redis1, does nothing about it, and goes on with all others",
    });
  });

  test("what a person should do", () => {
    expect(reportIt).toBe(
      "Report it with the sentence of `barton status`, and look at the subject yourself.",
    );
  });
});
