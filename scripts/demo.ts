/** The demo behind `scripts/demo`: real machines, two real failures, and a report of what was observed. */
import { join } from "node:path";
import { Command } from "commander";
import { execa } from "execa";
import { labNamed } from "../lab/lab.ts";
import {
  type Incident,
  LabOperator,
  type LabStatus,
  type Traffic,
  type TrafficSecond,
  waitFor,
} from "../lab/operate.ts";

/** What was seen of one failure, and what of it was not as it should be. */
type Observation = {
  title: string;
  machine: string;
  faultAt: number;
  before: LabStatus;
  after: LabStatus;
  seconds: TrafficSecond[];
  incident: Incident | undefined;
};

const began = performance.now();
const clock = () => `${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s`;
const say = (text: string) => console.log(`[${clock()}] ${text}`);

const errorsText = (count: number) => `${count} ${count === 1 ? "error" : "errors"}`;

function showSecond(second: TrafficSecond): void {
  const mark = second.slowestMs >= 250 ? `   <== waited ${(second.slowestMs / 1000).toFixed(2)} s` : "";
  const errors = second.errors > 0 ? `   ${errorsText(second.errors)}` : "";
  say(
    `  app:7001  ${String(second.writes).padStart(4)} writes, slowest ${String(second.slowestMs).padStart(4)} ms${errors}${mark}`,
  );
}

const addressIn = (status: LabStatus, name: string) =>
  status.machines.find((machine) => machine.name === name)?.address;

/** One line per machine and shard: what differs between two looks is what a person wants to see. */
function factsOf(status: LabStatus): string[] {
  const machines = status.machines.map(
    (machine) => `${machine.name} ${machine.address ?? "-"} ${machine.state}`,
  );
  const shards = status.shards.map(
    (shard) =>
      `shard ${shard.index}: master ${shard.master ?? "none"}, replica ${shard.replica ?? "none"} (link ${shard.replicaLink}), ` +
      `haproxy1 → ${shard.proxies.haproxy1 ?? "holds"}, haproxy2 → ${shard.proxies.haproxy2 ?? "holds"}`,
  );
  return [...machines, ...shards];
}

/** Watches until `machine` is a new one and all is well; says every change that it sees on the way. */
async function watchReplacement(lab: LabOperator, machine: string, before: LabStatus): Promise<LabStatus> {
  let known = new Set(factsOf(before));
  return waitFor(`${machine} replaced, everything in the desired state`, 180_000, async () => {
    const status = await lab.status();
    const facts = factsOf(status);
    for (const fact of facts.filter((each) => !known.has(each))) say(`  now: ${fact}`);
    known = new Set(facts);
    return status.healthy && addressIn(status, machine) !== addressIn(before, machine) ? status : undefined;
  });
}

async function observe(
  lab: LabOperator,
  traffic: Traffic,
  title: string,
  machine: string,
): Promise<Observation> {
  const before = await lab.untilHealthy(60_000);
  await traffic.untilFlowing(3, 60_000);
  say(`${title}: scripts/lab fault vanish ${machine}`);
  const from = traffic.seconds.length;
  const faultAt = Date.now();
  await lab.fault("vanish", machine);
  const after = await watchReplacement(lab, machine, before);
  await traffic.untilFlowing(3, 60_000);
  say(
    `${machine} is replaced: ${addressIn(before, machine)} → ${addressIn(after, machine)}; all six machines serve`,
  );
  const incident = (await lab.incidents()).filter((each) => each.machine === machine).at(-1);
  return { title, machine, faultAt, before, after, seconds: traffic.seconds.slice(from), incident };
}

/** What keeps an observation from being a success; empty when all was seen. */
function shortcomings({ machine, seconds, incident, faultAt }: Observation): string[] {
  const missing: string[] = [];
  if (incident?.endedAt === undefined) missing.push(`recovery has no finished incident for ${machine}`);
  else if (Date.parse(incident.noticedAt) < faultAt - 1000)
    missing.push(`the incident of ${machine} is older than the fault`);
  if (!seconds.slice(-3).every((second) => second.writes > 0)) missing.push("writes did not go on");
  if (seconds.reduce((sum, second) => sum + second.errors, 0) > 1)
    missing.push("more than the one write in flight failed");
  return missing;
}

const sinceFault = (time: string | undefined, faultAt: number) =>
  time === undefined ? "      ?" : `${((Date.parse(time) - faultAt) / 1000).toFixed(2).padStart(6)} s`;

function report(observation: Observation): void {
  const { title, machine, faultAt, incident, seconds } = observation;
  console.log(`\n${title}: ${machine} vanished`);
  if (incident) {
    console.log(`  noticed        ${sinceFault(incident.noticedAt, faultAt)}   ${incident.because}`);
    for (const step of incident.steps) {
      const took = step.endedAt ? Date.parse(step.endedAt) - Date.parse(step.startedAt) : Number.NaN;
      console.log(
        `  step           ${sinceFault(step.startedAt, faultAt)}   ${step.step} (${took} ms, ${step.outcome ?? "not ended"})`,
      );
    }
    console.log(`  all well again ${sinceFault(incident.endedAt, faultAt)}`);
  }
  console.log(
    `  longest wait   ${(Math.max(...seconds.map((second) => second.slowestMs)) / 1000).toFixed(2).padStart(6)} s`,
  );
  console.log(
    `  errors         ${String(seconds.reduce((sum, second) => sum + second.errors, 0)).padStart(6)}`,
  );
}

function farewell(name: string): void {
  const option = name === "local" ? "" : ` --name ${name}`;
  console.log(`
The lab stays up. Look around:
  scripts/lab status${option}
  scripts/lab exec${option} app -- redis-test 7001
  scripts/lab fault${option} vanish redis1        (also: crash, hang, poweroff, partition; heal)
  scripts/lab exec${option} monit -- barton incidents
  scripts/lab ssh${option} haproxy1
Remove it:
  scripts/lab down${option}`);
}

async function demo(name: string): Promise<number> {
  await execa(join(import.meta.dirname, "lab"), ["up", "--name", name], { stdio: "inherit" });
  const lab = new LabOperator(name);
  say("starting traffic: redis-test 7001 on app, one new connection per write");
  const traffic = lab.startTraffic(7001, showSecond);
  process.once("SIGINT", () => {
    say("interrupted: ending the traffic; the lab stays as it is");
    void traffic.stop().finally(() => process.exit(130));
  });
  const observations: Observation[] = [];
  const problems: string[] = [];
  try {
    const master = (await lab.untilHealthy(120_000)).shards[0]?.master ?? "redis1";
    observations.push(await observe(lab, traffic, "The master machine", master));
    observations.push(await observe(lab, traffic, "The active haproxy machine", await lab.activeProxy()));
  } catch (error) {
    problems.push((error as Error).message);
  }
  const summary = await traffic.stop();
  console.log("\n================ report ================");
  for (const observation of observations) {
    report(observation);
    problems.push(...shortcomings(observation));
  }
  const lost = summary.lost === null ? "unknown" : String(summary.lost);
  console.log(
    `\n${summary.acknowledged} writes acknowledged, ${errorsText(summary.errors)}, longest wait ${(summary.slowestMs / 1000).toFixed(2)} s, lost writes: ${lost}`,
  );
  if (summary.lost !== 0) problems.push(`lost writes: ${lost}`);
  for (const problem of problems) console.log(`NOT AS IT SHOULD BE: ${problem}`);
  console.log(
    problems.length === 0
      ? "PASS: the traffic waited and went on, both machines were replaced, nothing was lost"
      : "FAIL",
  );
  farewell(name);
  return problems.length === 0 ? 0 : 1;
}

const program = new Command("demo")
  .option("--name <lab>", "which lab (default: BARTON_LAB, or local)")
  .showHelpAfterError();
program.action(async (options: { name?: string }) => {
  process.exitCode = await demo(labNamed(options.name).name);
});
try {
  await program.parseAsync();
} catch (error) {
  console.error(`demo: ${(error as Error).message}`);
  process.exitCode = 1;
}
