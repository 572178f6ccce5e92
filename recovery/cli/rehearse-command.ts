/** The command `barton rehearse KIND TARGET`: checks that it is allowed, asks, and runs the rehearsal. */
import { type Command, InvalidArgumentError } from "commander";
import { systemClock } from "../clock.ts";
import { getView } from "../control/client.ts";
import { createLog } from "../log.ts";
import { tryLock } from "../loop/lock.ts";
import { parseDuration } from "../loop/pause.ts";
import { cachedTopology } from "../loop/topology-cache.ts";
import { type Fault, faultKinds, faultOf, isReplacing } from "../rehearsal/fault.ts";
import { heal, inject } from "../rehearsal/inject.ts";
import { Probe } from "../rehearsal/probe.ts";
import {
  describeReport,
  type RehearsalReport,
  type RehearsalTools,
  rehearse,
  whyNoRehearsal,
} from "../rehearsal/rehearse.ts";
import type { Status } from "../report/status.ts";
import { readSettings, type Settings } from "../settings.ts";
import { proxyMachines, type Topology } from "../topology.ts";
import { isTyped } from "./ask.ts";
import { abortOnSignals, sayBeside } from "./terminal.ts";

interface Flags {
  for: number;
  yes?: boolean;
  json?: boolean;
}

const statusTimeoutMs = 2_000;

/** Adds the command to `program`. `socket` is the path of the running monitor's socket. */
export function rehearseCommand(program: Command, socket: string, say: (text: string) => void): void {
  program
    .command("rehearse")
    .description("breaks a machine for real, watches recovery heal it, and reports; only while all is well")
    .argument("<kind>", faultKinds.join(", "))
    .argument("<target>", "MACHINE; of crash and hang a process: redis1:9001, haproxy1:haproxy")
    .option("--for <duration>", "how long a hang lasts", seconds, 10)
    .option("--yes", "do not ask for the machine's name (only in a lab)")
    .option("--json", "the report as JSON; the live account goes to standard error")
    .action((kind: string, target: string, flags: Flags) => run({ kind, target, flags, socket, say }));
}

interface Order {
  kind: string;
  target: string;
  flags: Flags;
  socket: string;
  say: (text: string) => void;
}

async function run({ kind, target, flags, socket, say }: Order): Promise<void> {
  const settings = await readSettings();
  const topology = await cachedTopology(settings.stateDir, createLog(process.stderr));
  if (!topology) throw new Error("the monitor has never run here: see journalctl -u barton-monitor");
  const fault = faultOf(kind, target, topology, flags.for);
  const refusal = whyNotAllowed(process.env.BARTON_REHEARSAL, flags);
  if (refusal) throw new Error(`nothing was broken: ${refusal}`);
  const lock = await tryLock(`${settings.runDir}/rehearsal`);
  if (!lock) throw new Error("nothing was broken: another rehearsal is under way on this machine");
  try {
    const report = await perform(fault, topology, settings, { flags, socket, say });
    process.exitCode = report.ok ? 0 : 1;
  } finally {
    await lock.release();
  }
}

async function perform(
  fault: Fault,
  topology: Topology,
  settings: Settings,
  { flags, socket, say }: Pick<Order, "flags" | "socket" | "say">,
): Promise<RehearsalReport> {
  const status = () => getView<Status>(socket, "status", statusTimeoutMs);
  const unwell = whyNoRehearsal(await status());
  if (unwell) throw new Error(`nothing was broken: ${unwell}`);
  if (!flags.yes && !(await isConfirmed(fault))) throw new Error("nothing was broken");
  const stop = new AbortController();
  abortOnSignals(stop);
  const live = flags.json ? sayBeside : say;
  const report = await rehearse(fault, await toolsFor(fault, topology, settings, status, live, stop.signal));
  say(flags.json ? JSON.stringify(report, null, 2) : `\n${describeReport(report)}`);
  return report;
}

/**
 * Why this stack does not allow the rehearsal, or undefined.
 *
 * @param mode value of barton:rehearsal, from monit's environment.
 */
export function whyNotAllowed(mode: string | undefined, { yes }: Pick<Flags, "yes">): string | undefined {
  if (mode === "free" || (mode === "confirmed" && !yes)) return undefined;
  if (mode === "confirmed") return "--yes is for a lab; here a person types the machine's name";
  return 'this stack allows no rehearsals: set barton:rehearsal to "confirmed", run "pulumi up", and "barton roll"';
}

function isConfirmed(fault: Fault): Promise<boolean> {
  const what = isReplacing(fault) ? "and is then replaced" : "and is then healed";
  const question = `${fault.machine} is broken for real (${fault.text}), ${what}, under whatever traffic runs.`;
  return isTyped(question, fault.machine, "a rehearsal is confirmed at a terminal, by the machine's name");
}

async function toolsFor(
  fault: Fault,
  topology: Topology,
  settings: Settings,
  status: () => Promise<Status>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<RehearsalTools> {
  const [{ sshRemote }, { ec2PowerSwitch }] = await Promise.all([
    import("../cloud/remote.ts"),
    import("../cloud/ec2.ts"),
  ]);
  const { machines } = await status();
  const addressOf = async (machine: string) => {
    const address = machines.find(({ name }) => name === machine)?.address;
    if (!address) throw new Error(`recovery knows no address of ${machine}`);
    return address;
  };
  const means = { remote: sshRemote(settings.sshKey), power: ec2PowerSwitch(settings.stack), addressOf };
  const paths = proxyMachines
    .filter((proxy) => proxy !== fault.machine)
    .flatMap((proxy) =>
      topology.shards.map(async ({ proxyPort: port }) => {
        return { name: `${proxy}:${port}`, address: await addressOf(proxy), port };
      }),
    );
  return {
    status,
    inject: (one) => inject(one, means),
    heal: (one) => heal(one, means),
    probe: new Probe(await Promise.all(paths), systemClock),
    clock: systemClock,
    say,
    signal,
  };
}

function seconds(text: string): number {
  try {
    return Math.round(parseDuration(text) / 1000);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}
