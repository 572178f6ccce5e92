/** `barton` on the monit machine. `status`, `plan`, `incidents`, `incident` and `explain` only look. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import { getView, NoMonitor, order, orderFailover, tellMonitor } from "./client.ts";
import { systemClock } from "./clock.ts";
import { explain } from "./explain.ts";
import { type FailoverResult, whyNoFailover } from "./failover.ts";
import { replaceFile } from "./incidents/files.ts";
import { readIncidents } from "./incidents/journal.ts";
import { describeIncident, type Incident } from "./incidents/record.ts";
import { newPause, parseDuration, pauseFile, whyPaused } from "./pause.ts";
import type { PlannedSubject } from "./reconciler.ts";
import { monitorSocket, pathsFrom, readSettings } from "./settings.ts";
import type { Status } from "./view-status.ts";

const { stateDir, runDir } = pathsFrom();
const socket = monitorSocket(runDir);
const viewTimeoutMs = 700;
const say = (text: string) => void process.stdout.write(`${text}\n`);
const asJson = (value: unknown) => JSON.stringify(value, null, 2);

const program = new Command("barton")
  .description("What recovery sees, plans and did. Run it as root on the monit machine.")
  .showHelpAfterError();

program
  .command("status")
  .description("who is master, where the proxies send traffic, machines, open incidents")
  .option("--json", "as JSON")
  .option("--watch", "again every second, until Ctrl-C")
  .option("--check", "exit status 1 unless all is well and recovery is not paused, for other monitors")
  .action(async (options: { json?: boolean; watch?: boolean; check?: boolean }) => {
    do {
      const status = await getView<Status>(socket, "status", viewTimeoutMs).catch(lookWithoutMonitor);
      if (options.watch && !options.json) process.stdout.write("\x1b[2J\x1b[H");
      say(options.json ? asJson(status) : describeStatus(status));
      if (options.check && (!status.healthy || status.paused)) process.exitCode = 1;
      if (options.watch) await delay(1_000);
    } while (options.watch);
  });

program
  .command("plan")
  .description("what recovery does now or would do next, and why; changes nothing")
  .option("--json", "as JSON")
  .action(async (options: { json?: boolean }) => {
    const plan = await getView<PlannedSubject[]>(socket, "plan", viewTimeoutMs);
    say(options.json ? asJson(plan) : describePlan(plan));
  });

program
  .command("incidents")
  .description("all recorded incidents, oldest first")
  .option("--json", "as JSON, with every step")
  .action(async (options: { json?: boolean }) => {
    const incidents = await readIncidents(join(stateDir, "incidents"));
    if (options.json) say(asJson(incidents));
    else say(incidents.map(incidentLine).join("\n") || "no incidents");
  });

program
  .command("incident")
  .description("one incident: each step with its start, end and outcome")
  .argument("<id>", "as `barton incidents` prints it")
  .option("--json", "as JSON")
  .action(async (id: string, options: { json?: boolean }) => {
    const incidents = await readIncidents(join(stateDir, "incidents"));
    const incident = incidents.find((one) => one.id === id);
    if (!incident)
      throw new Error(`there is no incident "${id}"; "barton incidents" lists all ${incidents.length}`);
    say(options.json ? asJson(incident) : describeIncident(incident));
  });

program
  .command("failover")
  .description("replaces a machine as if it had failed; ends when the new one is well")
  .argument("<machine>", "redis1, redis2, haproxy1, haproxy2 or app", replaceable)
  .action(async (machine: string) => {
    const result = await orderFailover(socket, machine, say).catch((error: Error) =>
      error instanceof NoMonitor ? failoverWithoutMonitor(machine) : Promise.reject(error),
    );
    if (!result.ok) throw new Error(result.message);
    say(result.message);
  });

program
  .command("switchover")
  .description("makes the counterpart master, without error and without loss; ends when it is done")
  .argument("<target>", "redis1 or redis2: all shards whose master is there; or one shard by its index")
  .action(async (target: string) => {
    const result = await order(socket, "switchover", target, say);
    if (!result.ok) throw new Error(result.message);
    say(result.message);
  });

program
  .command("pause")
  .description("recovery looks on and reports, but begins nothing; ends by itself")
  .option("--for <duration>", "90s, 30m, 1h, 1h30m; up to 24h", duration, 3_600_000)
  .option("--why <text>", "shown in the status", "")
  .action(async ({ for: forMs, why }: { for: number; why: string }) => {
    say(
      await tellMonitor(socket, `/pause/${forMs}/${encodeURIComponent(why)}`, viewTimeoutMs).catch(
        withoutMonitor(async () => {
          const pause = newPause(systemClock, forMs, why);
          await replaceFile(pauseFile(stateDir), JSON.stringify(pause));
          return `the monitor does not run; when it is back it will be paused until ${pause.untilAt}`;
        }),
      ),
    );
  });

program
  .command("resume")
  .description("ends a pause")
  .action(async () => {
    say(
      await tellMonitor(socket, "/resume", viewTimeoutMs).catch(
        withoutMonitor(async () => {
          await replaceFile(pauseFile(stateDir), "null");
          return "the monitor does not run; when it is back it will not be paused";
        }),
      ),
    );
  });

program
  .command("explain")
  .description("prints the tables of situations by which recovery decides, with diagrams (Markdown)")
  .action(() => say(explain()));

function replaceable(name: string): string {
  const refusal = whyNoFailover(name);
  if (refusal) throw new InvalidArgumentError(refusal);
  return name;
}

function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** Does something else when no monitor runs; other errors stay errors. */
const withoutMonitor = (otherwise: () => Promise<string>) => (error: Error) =>
  error instanceof NoMonitor ? otherwise() : Promise.reject(error);

async function lookWithoutMonitor(error: Error): Promise<Status> {
  const { lookDirectly } = await import("./look.ts");
  const status = await lookDirectly(await readSettings());
  return error instanceof NoMonitor
    ? status
    : { ...status, sentence: `${error.message}; ${status.sentence}` };
}

/** The same code in this process, under the same lock. */
async function failoverWithoutMonitor(machine: string): Promise<FailoverResult> {
  const { failoverAlone } = await import("./failover-alone.ts");
  return failoverAlone(machine, say);
}

function describeStatus(status: Status): string {
  const machines = status.machines.map(
    ({ name, address, state }) => `  ${name.padEnd(10)} ${(address ?? "-").padEnd(16)} ${state}`,
  );
  const shards = status.shards.map((shard) => {
    const { haproxy1, haproxy2 } = shard.proxies;
    return (
      `  ${String(shard.index).padEnd(3)} port ${shard.port}  master ${(shard.master ?? "none").padEnd(7)} ` +
      `replica ${(shard.replica ?? "none").padEnd(7)} link ${shard.replicaLink.padEnd(5)} ` +
      `haproxy1 → ${(haproxy1 ?? "holds").padEnd(7)} haproxy2 → ${haproxy2 ?? "holds"}`
    );
  });
  const open = status.incidents.filter(({ endedAt }) => endedAt === undefined);
  return [
    ...(status.paused ? [`PAUSED, nothing is acted upon: ${whyPaused(status.paused)}`] : []),
    `${status.healthy ? "healthy" : "NOT HEALTHY"}${status.inProgress ? ", recovery is at work" : ""}: ${status.sentence}`,
    "machines",
    ...machines,
    "shards",
    ...shards,
    ...(open.length > 0 ? ["open incidents", ...open.map((incident) => `  ${incidentLine(incident)}`)] : []),
  ].join("\n");
}

function describePlan(plan: PlannedSubject[]): string {
  if (plan.length === 0) return "nothing to do: the desired state is reached";
  return plan
    .map(({ subject, situation, because, steps, trouble }) =>
      [
        `${subject} (${situation}): ${because}`,
        ...steps.map((step, position) => `  ${position + 1}. ${step}`),
        ...(trouble ? [`  ${trouble}`] : []),
      ].join("\n"),
    )
    .join("\n");
}

function incidentLine({ id, because, endedAt, tookMs }: Incident): string {
  const took = tookMs === undefined ? "" : ` after ${(tookMs / 1000).toFixed(1)} s`;
  return `${id}  ${endedAt ? `over${took}` : "OPEN"}  ${because}`;
}

program.parseAsync().catch((error: Error) => {
  process.stderr.write(`barton: ${error.message}\n`);
  process.exitCode = 1;
});
