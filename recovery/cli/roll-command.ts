/** The command `barton roll`: shows the plan, asks, and runs the roll. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { systemClock } from "../clock.ts";
import { getView, order } from "../control/client.ts";
import { rollReason } from "../decide/memory/memory.ts";
import { createLog } from "../log.ts";
import type { Status } from "../report/status.ts";
import { readSettings } from "../settings.ts";
import { type MachineName, machineNames } from "../topology.ts";
import { isTyped } from "./ask.ts";
import { planRoll, type RollPlan, type RollTools, roll, whyNoRoll } from "./roll.ts";
import { abortOnSignals, sayBeside } from "./terminal.ts";

type Say = (text: string) => void;

const statusTimeoutMs = 2_000;

/** Adds the command to `program`. `socket` is the path of the running monitor's socket. */
export function maintenanceCommands(program: Command, socket: string, say: Say): void {
  program
    .command("roll")
    .description("replaces machines that the last up would make otherwise, one by one, with traffic running")
    .argument("[machines...]", "only these; all, unless given", machineList)
    .option("--yes", "do not ask")
    .option("--dry-run", "only say what would be replaced, and in which order")
    .option("--json", "the result as JSON; what happens meanwhile goes to standard error")
    .action(async (machines: MachineName[] | undefined, options: RollFlags) => {
      await runRoll(socket, machines ?? [], options, say);
    });
}

interface RollFlags {
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

async function runRoll(socket: string, only: MachineName[], flags: RollFlags, say: Say): Promise<void> {
  const stop = new AbortController();
  const sayProgress = flags.json ? sayBeside : say;
  const tools = await rollTools(socket, sayProgress, stop.signal);
  const [status, topology] = await Promise.all([tools.status(), tools.topology()]);
  if (!topology) throw new Error("no up has ended yet: there is nothing to replace");
  const plan = planRoll(topology, status, only);
  sayProgress(describePlan(plan));
  if (flags.dryRun) {
    if (flags.json) say(JSON.stringify(plan, null, 2));
    return;
  }
  const refusal = whyNoRoll(status);
  if (refusal) throw new Error(refusal);
  const isAsked = plan.replace.length > 0 && !flags.yes;
  if (isAsked && !(await isTyped("Replace them, one after the other?", "yes", 'say "--yes" to begin'))) {
    throw new Error("nothing was done");
  }
  abortOnSignals(stop);
  const result = await roll(tools, only);
  say(flags.json ? JSON.stringify(result, null, 2) : result.message);
  // Without this, the open connection to the monitor would make an interrupted command wait for the present machine.
  process.exit(result.ok ? 0 : 1);
}

async function rollTools(socket: string, say: Say, signal: AbortSignal): Promise<RollTools> {
  const { stack, projectDir } = await readSettings();
  const { pulumiEngine } = await import("../cloud/pulumi.ts");
  const programDir = resolve(import.meta.dirname, "../..");
  const log = createLog(process.stderr, { BARTON_LOG_LEVEL: "warn" });
  // This engine only reads outputs, which needs no lock.
  const mayJudgeLocks = () => false;
  const engine = pulumiEngine({ stack, projectDir, programDir, log, clock: systemClock, mayJudgeLocks });
  return {
    topology: () => engine.topology(),
    status: () => getView<Status>(socket, "status", statusTimeoutMs),
    switchover: (machine) => order(socket, "switchover", machine, say),
    failover: (machine) => order(socket, "failover", machine, say, rollReason),
    clock: systemClock,
    say,
    signal,
  };
}

function describePlan({ replace, left }: RollPlan): string {
  const lines = [
    replace.length > 0
      ? `to be replaced, in this order: ${replace.join(", ")}`
      : "no machine is to be replaced",
    ...left.map(({ machine, why }) => `${machine} is outdated too, and left: ${why}`),
  ];
  return lines.join("\n");
}

function machineList(name: string, before: MachineName[] | undefined): MachineName[] {
  if (!machineNames.some((machine) => machine === name)) {
    throw new InvalidArgumentError(`there is no machine "${name}"; there are: ${machineNames.join(", ")}`);
  }
  return [...(before ?? []), name as MachineName];
}
