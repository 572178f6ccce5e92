/** The workload's process against a real pair of redis servers, one of which is killed under it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePorts, login, passwords, until, Workbench } from "../../infra/servers.ts";
import { checkAll } from "../checkers/index.ts";
import { type FinalLine, finalStates, now, type Operation, readLines } from "../history.ts";
import { clientSpecs, type WorkloadSpec } from "./spec.ts";
import { Workload } from "./workload.ts";

/** Addresses of this test alone. */
const addresses = { master: "127.77.0.1", replica: "127.77.0.2" };
let bench: Workbench;
let port: number;
let spec: WorkloadSpec;
let load: Workload | undefined;

beforeEach(async () => {
  bench = new Workbench();
  [port = 0] = await freePorts(1);
  spec = {
    host: addresses.master,
    username: "client",
    password: passwords.clientPassword,
    shards: [{ index: 1, port }],
    prefix: "chaos:test:",
    rate: 300,
    waitMs: 300,
    historyFile: join(bench.folder, "history.jsonl"),
    finalsFile: join(bench.folder, "finals.jsonl"),
  };
});

afterEach(async () => {
  await load?.end();
  load = undefined;
  await bench.close();
});

/** Starts a server, and makes it what its name says. */
async function start(name: keyof typeof addresses) {
  const child = bench.startRedis(name, addresses[name], port);
  await until(
    "the server's answer",
    () => ask(addresses[name], "ROLE"),
    (reply) => reply.startsWith("*"),
  );
  await ask(
    addresses[name],
    name === "master" ? "REPLICAOF NO ONE" : `REPLICAOF ${addresses.master} ${port}`,
  );
  return child;
}

async function ask(
  address: string,
  command: string,
  user: "client" | "recovery" = "recovery",
): Promise<string> {
  const client = await login(address, port, user);
  try {
    return await client.ask(command);
  } finally {
    client.close();
  }
}

async function replicaCaughtUp(): Promise<void> {
  // WAIT is answered with the number of replicas that have everything.
  await until(
    "a replica that follows",
    () => ask(addresses.master, "WAIT 1 500", "client"),
    (reply) => reply === ":1",
    30_000,
  );
}

/** Empty until the workload has begun. */
async function history(): Promise<Operation[]> {
  return existsSync(spec.historyFile) ? readLines<Operation>(spec.historyFile) : [];
}

/** Waits until so many more operations have ended well. */
async function flowing(count: number): Promise<void> {
  const well = async () => (await history()).filter(({ outcome }) => outcome === "ok").length;
  const wanted = (await well()) + count;
  await until(`${count} operations`, well, (seen) => seen >= wanted, 20_000);
}

test("every client's operations are recorded as they were, through the death of the server", async () => {
  const master = await start("master");
  await start("replica");
  await replicaCaughtUp();
  load = new Workload([], spec);
  await flowing(300);
  const calm = (await history()).filter(({ outcome }) => outcome === "ok");
  expect(new Set(calm.map(({ process }) => process))).toEqual(
    new Set(clientSpecs.map(({ name }) => `1/${name}`)),
  );
  expect(new Set(calm.map(({ server }) => server))).toEqual(new Set([`${addresses.master}:${port}`]));
  expect(calm.some(({ confirmed }) => confirmed)).toBe(true);

  // Clients wait for a server that is stopped; then it dies with their requests unanswered.
  master.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 300)); // the requests that are to be in flight
  const killedAt = now();
  master.kill("SIGKILL");
  await until(
    "errors",
    async () => (await history()).filter(({ outcome }) => outcome !== "ok"),
    (errors) => new Set(errors.map(({ process }) => process)).size === clientSpecs.length,
    10_000,
  );
  await start("master");
  await replicaCaughtUp();
  await flowing(300);
  const told = await load.stop();
  await load.readBack();

  const operations = await history();
  expect(operations).toHaveLength(told);
  // Requests in flight are nobody's knowledge; requests that reached no server certainly failed; both are told at once.
  const inFlight = operations.filter((each) => each.invokedAt < killedAt && each.completedAt > killedAt);
  expect(inFlight.length).toBeGreaterThanOrEqual(clientSpecs.length);
  for (const { action, outcome, completedAt } of inFlight) {
    expect(outcome).toBe(action === "read" ? outcome : "unknown");
    expect(completedAt - killedAt).toBeLessThan(1000);
  }
  const refused = operations.filter(
    ({ client, outcome, invokedAt }) => client === "anew" && outcome !== "ok" && invokedAt > killedAt,
  );
  expect(refused.length).toBeGreaterThan(0);
  expect(new Set(refused.map(({ outcome }) => outcome))).toEqual(new Set(["fail"]));

  const finals = finalStates(await readLines<FinalLine>(spec.finalsFile));
  const fault = {
    ...{ number: 1, kind: "crash", title: "crash", processCrash: true, strict: false },
    ...{ at: killedAt - 350, doneAt: killedAt, healthyAt: now(), loadBefore: { 1: 100 }, loadAverage: 0 },
  };
  const findings = checkAll({ operations, finals, faults: [fault], observations: [], incidents: [] });
  const verdictOf = (name: string) => findings.find(({ checker }) => checker === name)?.verdict;
  // The server's file is written every second only, and nobody was promoted: so unconfirmed writes are no matter here.
  expect(verdictOf("duplicates")).toBe("pass");

  await load.clean();
  expect(await ask(addresses.master, "DBSIZE", "client")).toBe(":0");
});

test("a write that is lost is found missing", async () => {
  await start("master");
  load = new Workload([], spec);
  await flowing(100);
  await load.stop();
  const [victim] = (await history()).filter(({ action, outcome }) => action === "set" && outcome === "ok");
  const client = await login(addresses.master, port, "client");
  await client.ask(`DEL ${spec.prefix}${victim?.key}`);
  client.close();
  await load.readBack();
  const evidence = {
    operations: await history(),
    finals: finalStates(await readLines<FinalLine>(spec.finalsFile)),
    faults: [],
    observations: [],
    incidents: [],
  };
  const finding = checkAll(evidence).find(({ checker }) => checker === "acknowledged writes");
  expect(finding).toMatchObject({ verdict: "fail", figures: { lost: 1 } });
  expect(finding?.examples[0]).toContain(victim?.key);
});

test("the password is in no argument, no environment and no file", async () => {
  await start("master");
  load = new Workload([], spec);
  await flowing(20);
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")
    .trim()
    .split(" ");
  const told = children.map((pid) =>
    ["cmdline", "environ"].map((file) => readFileSync(`/proc/${pid}/${file}`, "utf8")),
  );
  expect(told.some(([cmdline = ""]) => cmdline.includes("workload/main.ts"))).toBe(true);
  for (const texts of told) for (const text of texts) expect(text).not.toContain(spec.password);
  await load.stop();
  expect(readFileSync(spec.historyFile, "utf8")).not.toContain(spec.password);
});
