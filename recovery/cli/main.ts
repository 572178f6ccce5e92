/** `barton` on the monit machine. `status`, `plan`, `incidents`, `incident` and `explain` change nothing. */
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { systemClock } from "../clock.ts";
import { getView, NoMonitor, order, orderFailover, tellMonitor } from "../control/client.ts";
import { readIncidents } from "../incidents/journal.ts";
import { describeIncident } from "../incidents/record.ts";
import { createLog } from "../log.ts";
import { newPause, parseDuration, pauseFile } from "../loop/pause.ts";
import { type FailoverResult, whyNoFailover } from "../orders/failover.ts";
import type { PlannedSubject } from "../report/plan.ts";
import type { Status } from "../report/status.ts";
import { monitorSocket, pathsFrom, readSettings } from "../settings.ts";
import { diskReader, replaceFile } from "../storage/files.ts";
import { replaceableMachines } from "../topology.ts";
import { describeStatus, incidentLine } from "./describe-status.ts";
import { explain } from "./explain.ts";
import { rehearseCommand } from "./rehearse-command.ts";
import { maintenanceCommands } from "./roll-command.ts";
import { sayBeside } from "./terminal.ts";
import { watchStatus } from "./watch-status.ts";

const { stateDir, runDir } = pathsFrom();
const socket = monitorSocket(runDir);
const viewTimeoutMs = 700;
const say = (text: string) => void process.stdout.write(`${text}\n`);
const asJson = (value: unknown) => JSON.stringify(value, null, 2);

/** An error in the command line, on one line like every other error. */
const asOneLine = (text: string) =>
  `barton: ${text
    .replace(/^error: /, "")
    .trim()
    .replaceAll("\n", " ")}`;

/** Exit status of `failover --if-failed` when recovery has no verdict, so that nothing was done. */
const notFailedStatus = 3;
const resultAsJson = "how it ended as JSON; what happens meanwhile goes to standard error";

const program = new Command("barton")
  .description("What recovery sees, plans and did. Run it as root on the monit machine.")
  .configureOutput({ outputError: (text, write) => write(`${asOneLine(text)}; see "barton --help"\n`) });

program
  .command("status")
  .description("who is master, where the proxies send traffic, machines, open incidents")
  .option("--json", "as JSON")
  .option("--watch", "again every second, until Ctrl-C; without a terminal only what has changed")
  .option("--check", "exit status 1 unless all is well and recovery is not paused, for other monitors")
  .action(async (options: { json?: boolean; watch?: boolean; check?: boolean }) => {
    const look = () => getView<Status>(socket, "status", viewTimeoutMs).catch(lookWithoutMonitor);
    if (options.watch) return watchStatus(look, { json: options.json, output: process.stdout });
    const status = await look();
    say(options.json ? asJson(status) : describeStatus(status));
    if (options.check && (!status.healthy || status.paused)) process.exitCode = 1;
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
    const incidents = await recordedIncidents();
    if (options.json) say(asJson(incidents));
    else say(incidents.map(incidentLine).join("\n") || "no incidents");
  });

program
  .command("incident")
  .description("one incident: each step with its start, end and outcome")
  .argument("<id>", "as `barton incidents` prints it")
  .option("--json", "as JSON")
  .action(async (id: string, options: { json?: boolean }) => {
    const incidents = await recordedIncidents();
    const incident = incidents.find((one) => one.id === id);
    if (!incident)
      throw new Error(`there is no incident "${id}"; "barton incidents" lists all ${incidents.length}`);
    say(options.json ? asJson(incident) : describeIncident(incident));
  });

program
  .command("failover")
  .description("replaces a machine as if it had failed; ends when the new one is well")
  .argument("<machine>", "redis1, redis2, haproxy1, haproxy2 or app", replaceable)
  .option(
    "--if-failed",
    `for other monitors: only if recovery too takes it for failed, else exit status ${notFailedStatus} and nothing is done`,
  )
  .option("--json", resultAsJson)
  .action(async (machine: string, { ifFailed, json }: { ifFailed?: boolean; json?: boolean }) => {
    const tell = json ? sayBeside : say;
    conclude(
      await orderFailover(socket, machine, tell, ifFailed).catch((error: Error) =>
        error instanceof NoMonitor ? failoverWithoutMonitor(machine, tell, ifFailed) : Promise.reject(error),
      ),
      json,
    );
  });

program
  .command("switchover")
  .description("makes the counterpart master, without error and without loss; ends when it is done")
  .argument("<target>", "redis1 or redis2: all shards whose master is there; or one shard by its index")
  .option("--json", resultAsJson)
  .action(async (target: string, { json }: { json?: boolean }) =>
    conclude(await order(socket, "switchover", target, json ? sayBeside : say), json),
  );

program
  .command("pause")
  .description("recovery looks on and reports, but begins nothing; ends by itself")
  .option("--for <duration>", "90s, 30m, 1h, 1h30m; up to 24h", duration, 3_600_000)
  .option("--why <text>", "shown in the status", "")
  .option("--json", resultAsJson)
  .action(async ({ for: forMs, why, json }: { for: number; why: string; json?: boolean }) => {
    const message = await tellMonitor(
      socket,
      `/pause/${forMs}/${encodeURIComponent(why)}`,
      viewTimeoutMs,
    ).catch(
      withoutMonitor(async () => {
        const pause = newPause(systemClock, forMs, why);
        await replaceFile(pauseFile(stateDir), JSON.stringify(pause));
        return `the monitor does not run; when it is back it will be paused until ${pause.untilAt}`;
      }),
    );
    conclude({ ok: true, message }, json);
  });

program
  .command("resume")
  .description("ends a pause")
  .option("--json", resultAsJson)
  .action(async ({ json }: { json?: boolean }) => {
    const message = await tellMonitor(socket, "/resume", viewTimeoutMs).catch(
      withoutMonitor(async () => {
        await replaceFile(pauseFile(stateDir), "null");
        return "the monitor does not run; when it is back it will not be paused";
      }),
    );
    conclude({ ok: true, message }, json);
  });

program
  .command("forgive")
  .description(
    "a machine that was replaced too often may be replaced again: what is held for it begins at once",
  )
  .argument("<machine>", replaceableMachines.join(", "), replaceable)
  .option("--json", resultAsJson)
  .action(async (machine: string, { json }: { json?: boolean }) =>
    conclude({ ok: true, message: await tellMonitor(socket, `/forgive/${machine}`, viewTimeoutMs) }, json),
  );

maintenanceCommands(program, socket, say);
rehearseCommand(program, socket, say);

program
  .command("explain")
  .description("prints the tables of situations by which recovery decides (Markdown)")
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

/** Warnings about damaged files go to standard error. */
const recordedIncidents = () =>
  readIncidents(diskReader, join(stateDir, "incidents"), createLog(process.stderr));

/** Handles the error "no monitor runs" with `otherwise`; passes other errors on. */
const withoutMonitor = (otherwise: () => Promise<string>) => (error: Error) =>
  error instanceof NoMonitor ? otherwise() : Promise.reject(error);

async function lookWithoutMonitor(error: Error): Promise<Status> {
  const { lookDirectly } = await import("./status-without-monitor.ts");
  const status = await lookDirectly(await readSettings());
  return error instanceof NoMonitor
    ? status
    : { ...status, sentence: `${error.message}; ${status.sentence}` };
}

/** Runs the failover in this process, with the same code and under the same lock. */
async function failoverWithoutMonitor(
  machine: string,
  tell: (line: string) => void,
  ifFailed = false,
): Promise<FailoverResult> {
  const { failoverAlone } = await import("./failover-without-monitor.ts");
  return failoverAlone(machine, tell, ifFailed);
}

/** Prints the result of an order. An order that was not carried out is an error, except `notFailed`. */
function conclude({ ok, message, notFailed }: FailoverResult, json: boolean | undefined): void {
  if (!json && !ok && !notFailed) throw new Error(message);
  say(json ? asJson({ ok, message, notFailed }) : message);
  if (!ok) process.exitCode = notFailed ? notFailedStatus : 1;
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

program.parseAsync().catch((error: Error) => {
  process.stderr.write(`barton: ${error.message}\n`);
  process.exitCode = 1;
});
