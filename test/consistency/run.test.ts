/** What a run keeps of faults that half succeed, of a control plane that dies, and of masters elsewhere: without a lab. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Lab } from "../../lab/lab.ts";
import { set } from "./checkers/histories.ts";
import { parseWanted } from "./faults/plan.ts";
import { readRun } from "./files.ts";
import { now, type Operation } from "./history.ts";
import { resultsOf } from "./report/results.ts";
import type { RunOptions } from "./run.ts";
import { Run } from "./run.ts";
import type { WorkloadSpec } from "./workload/spec.ts";

/** The lab as the run sees it. */
const world = vi.hoisted(() => ({
  /** Answers to faults, in turn: an error's code, or undefined for done. Beyond them, all are done. */
  answers: [] as (string | undefined)[],
  asked: [] as object[],
  masters: ["redis2", "redis2"],
  /** What somebody typed on monit. */
  typed: [] as string[],
  switchRefused: undefined as string | undefined,
  replacementsLeft: 10,
  controlPlane: undefined as Server | undefined,
  history: [] as object[],
  finals: [] as object[],
  isUnhealthy: false,
}));

vi.mock("../../lab/budget.ts", () => ({
  replacementsLeft: () => ({ machine: "redis1", left: world.replacementsLeft }),
  forgiveAll: async () => {
    world.replacementsLeft = 10;
  },
}));
vi.mock("../../lab/exec.ts", () => ({
  askMachine: async () => JSON.stringify({ redisUser: "recovery", redisPassword: "secret" }),
}));
vi.mock("../../lab/operate.ts", () => ({
  LabOperator: class {
    async exec(...command: string[]) {
      world.typed.push(command.join(" "));
      if (world.switchRefused)
        throw Object.assign(new Error("Command failed"), { stderr: world.switchRefused });
      world.masters = world.masters.map(() => (command.at(-1) === "redis1" ? "redis2" : "redis1"));
    }
    async incidents() {
      return [];
    }
  },
}));
vi.mock("./observer/lab-view.ts", () => ({
  activeProxy: async () => "haproxy1",
  async quickStatus() {
    if (!world.controlPlane?.listening) throw new Error("Lab test has no running control plane");
    const healthy = !world.isUnhealthy;
    world.isUnhealthy = false;
    const shards = world.masters.map((master, i) => ({
      index: i + 1,
      port: 9001 + i,
      master,
      replica: null,
    }));
    return { healthy, sentence: healthy ? "" : "redis1 is away", shards };
  },
}));
vi.mock("./observer/logs.ts", () => ({
  hideIn: () => (line: string) => line,
  Logs: class {
    async stop() {}
  },
}));
vi.mock("./observer/observer.ts", () => ({
  Observer: class {
    constructor({ file }: { file: string }) {
      writeFileSync(file, "");
    }
    async stop() {}
  },
}));
vi.mock("./workload/workload.ts", () => ({
  insideApp: () => [],
  clientCredentials: async () => ({ username: "client", password: "secret" }),
  clientPorts: async () => [{ index: 1, port: 7001 }],
  Workload: class {
    ended = undefined;
    readonly #spec: WorkloadSpec;
    constructor(_: unknown, spec: WorkloadSpec) {
      this.#spec = spec;
    }
    recent() {
      const calm = { writes: 50, errors: 0, slowestMs: 3 };
      return [1, 2, 3, 4].map(() => ({ at: now(), ms: 500, shards: { 1: calm, 2: calm } }));
    }
    async stop() {
      const { historyFile, finalsFile } = this.#spec;
      writeFileSync(historyFile, "");
      for (const line of world.history) appendFileSync(historyFile, `${JSON.stringify(line)}\n`);
      writeFileSync(finalsFile, world.finals.map((line) => `${JSON.stringify(line)}\n`).join(""));
      return world.history.length;
    }
    async readBack() {}
    async clean() {}
    async end() {}
  },
}));

/** What the fault does. */
let onFault: () => void;
let folder: string;
const said: string[] = [];
const fresh = structuredClone({ ...world, controlPlane: undefined });

beforeEach(async () => {
  Object.assign(world, structuredClone(fresh));
  said.length = 0;
  onFault = () => {};
  folder = mkdtempSync(join(tmpdir(), "barton-run-"));
  world.controlPlane = createServer(async (request, response) => {
    const [status, answer] = answerTo(request.url ?? "", await textOf(request));
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }).listen(join(folder, "socket"));
});
afterEach(() => {
  world.controlPlane?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function textOf(request: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const part of request) text += part;
  return text;
}

function answerTo(url: string, body: string): [number, object] {
  if (url === "/lab") return [200, { faults: [] }];
  if (url === "/lab/heal") return [200, { healed: [] }];
  const code = world.answers.shift();
  if (code === undefined) {
    world.asked.push(JSON.parse(body) as object);
    world.isUnhealthy = true;
    onFault();
  }
  return code === undefined ? [200, { done: "" }] : [409, { code, message: `the lab says ${code}` }];
}

/** A run of these faults, and its results. */
async function run(faults: string[], options: Partial<RunOptions> = {}) {
  const its = new Run({
    lab: { name: "test", socket: join(folder, "socket") } as Lab,
    ...{ seed: 1, repeat: 1, minutes: 60, rate: 150, folder, command: "", program: "test" },
    wanted: faults.map(parseWanted),
    say: (line) => void said.push(line),
    signal: new AbortController().signal,
    ...options,
  });
  await its.go();
  const { run, evidence } = await readRun(folder);
  return resultsOf(run, evidence);
}

const verdictOf = (name: string, { findings }: Awaited<ReturnType<typeof run>>) =>
  findings.find(({ checker }) => checker === name)?.verdict;

/** A write that was under way, and never had its answer. */
const inFlight = (): Operation => ({
  ...set(1, { invokedAt: now() - 1, completedAt: now() }),
  outcome: "unknown",
});

describe("a fault of two parts", () => {
  test("is on record when only the first took effect: what clients saw came of it", async () => {
    world.answers = [undefined, "NotRunning"];
    onFault = () => world.history.push(inFlight());
    const results = await run(["pair"]);
    expect(results.faults).toMatchObject([
      { kind: "pair", title: expect.stringMatching(/^vanish redis2 and/) },
    ]);
    expect(verdictOf("errors", results)).toBe("pass");
    expect(results).toMatchObject({ verdict: "unknown", run: { invalid: "the lab says NotRunning" } });
  });

  test("is not, when the lab refuses the first", async () => {
    world.answers = ["NoDisk"];
    const results = await run(["pair", "crash"]);
    expect(results.faults).toMatchObject([{ number: 1, kind: "crash" }]);
    expect(results.verdict).toBe("unknown");
    expect(results.line).toMatch(
      /1 of 2 faults that were asked for not injected: vanish .*: the lab says NoDisk/,
    );
  });
});

describe("a control plane that dies", () => {
  const dies = () => {
    world.controlPlane?.close();
    world.controlPlane?.closeAllConnections();
  };

  test("leaves a report: unknown, with the fault that it died of", async () => {
    onFault = dies;
    const results = await run(["vanish"]);
    expect(results.faults).toMatchObject([{ kind: "vanish", title: "vanish redis2" }]);
    expect(results.verdict).toBe("unknown");
    expect(results.line).toContain("the faults could not be healed: Lab test has no running control plane");
  });

  test("hides no loss", async () => {
    world.history = [set(1, { at: now() }), set(2, { at: now(), confirmed: true })];
    world.finals = [
      { shard: 1, keys: ["anew-1:1", "anew-1:2"], values: [1, null] },
      { shard: 1, members: [], counter: null, register: null },
    ];
    onFault = dies;
    const results = await run(["vanish"]);
    expect(results.verdict).toBe("fail");
    expect(results.line).toContain("1 of 1 confirmed writes lost");
  });
});

describe("a fault of a master on a machine that has none", () => {
  test("finds one each time: the masters are moved there before", async () => {
    onFault = () => {
      world.masters = ["redis2", "redis2"]; // as recovery does
    };
    const results = await run(["vanish:redis1"], { repeat: 2 });
    expect(results.faults.map(({ title }) => title)).toEqual(["vanish redis1", "vanish redis1"]);
    expect(world.typed).toEqual(Array(2).fill("monit barton switchover redis2"));
    expect(results.run.switches).toHaveLength(2);
    expect(said).toContain("redis1 has no master: moving the masters there (barton switchover redis2)");
  });

  test("is not possible when the switch is refused", async () => {
    world.switchRefused = "barton: nothing was switched: recovery is paused";
    const results = await run(["crash:redis1", "crash"]);
    expect(results.faults.map(({ title }) => title)).toEqual([expect.stringMatching(/^crash redis2/)]);
    expect(results.verdict).toBe("unknown");
    expect(results.line).toMatch(
      /1 of 2 faults that were asked for not injected: redis1 .*recovery is paused/,
    );
  });

  test("is left alone when the machine has one", async () => {
    await run(["vanish:redis2"]);
    expect(world.typed).toEqual([]);
  });

  test("is not injected when the run is told to end meanwhile", async () => {
    const stop = new AbortController();
    world.switchRefused = "killed";
    const say = () => stop.abort();
    const results = await run(["vanish:redis1"], { signal: stop.signal, say });
    expect(world.asked).toEqual([]);
    expect(results).toMatchObject({ verdict: "unknown", run: { invalid: "interrupted", skipped: [] } });
  });
});

test("the budget is given anew before the last replacement", async () => {
  world.replacementsLeft = 1;
  await run(["crash"]);
  expect(said.find((line) => line.includes("budget"))).toMatch(/^redis1 had 1 replacement left in this hour/);
});
