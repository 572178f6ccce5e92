/**
 * Pulumi as recovery's engine: the program in BARTON_PROJECT_DIR, by the Automation API.
 *
 * Pulumi's lock is one per stack, so calls run one after the other. A lock that a dead run on this machine
 * left behind is taken away, and the operations that it left pending are cleared; a living run's lock,
 * somebody else's included, is respected.
 */
import { join, relative } from "node:path";
import { LocalWorkspace, type PulumiCommand, type Stack } from "@pulumi/pulumi/automation/index.js";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { type MachineName, type Topology, topologySchema } from "../topology.ts";
import type { Engine } from "./engine.ts";
import { isLocked, isStaleLock, whyUpFailed, withoutPendingOperations } from "./pulumi-state.ts";
import { type CommandLimit, type CommandOptions, runCommand } from "./run-command.ts";

export interface PulumiOptions {
  /**
   * Whether a lock of monit's own name whose process is not here is a dead run's: not while another monit may be alive, because
   * all of them have this name.
   */
  mayJudgeLocks: () => boolean;
  stack: string;
  /** Folder of Pulumi.yaml. */
  projectDir: string;
  /** Root of the program: what the bundle was unpacked into. */
  programDir: string;
  log: Log;
  clock: Clock;
  limits?: PulumiLimits;
  /** When it aborts, pulumi is asked to end: recovery stops. */
  signal?: AbortSignal;
}

/** How long pulumi may take. At the limit it is asked to end, and it is killed with all its plugins after the grace period. */
export interface PulumiLimits {
  /** `stack output` reads a file; `state taint` and `untaint` rewrite one. */
  short: CommandLimit;
  /** An `up` waits for the cloud to launch and to terminate. */
  up: CommandLimit;
}

const defaultPulumiLimits: PulumiLimits = {
  short: { limitMs: 60_000, graceMs: 5_000 },
  // Asked to end, pulumi waits for what the cloud is doing, so that nothing is made that its state does not know.
  up: { limitMs: 900_000, graceMs: 60_000 },
};
/** A comparison of programs this old is good enough to launch by. */
const comparisonFreshMs = 20_000;

export function pulumiEngine(options: PulumiOptions): Engine {
  const { stack, projectDir, log, clock } = options;
  let comparison: { madeMs: number; result: Promise<string | undefined> } | undefined;
  let known: Topology | undefined;

  const pulumi = async (args: string[], input = ""): Promise<string> => {
    const all = [...args, "--stack", stack, "--non-interactive", "--color", "never"];
    const { short } = options.limits ?? defaultPulumiLimits;
    const result = await runCommand("pulumi", all, { cwd: projectDir, input, ...short });
    if (result.ok) return result.stdout;
    const said = result.isCut ? "" : result.stderr.trim();
    throw new Error(`pulumi ${args.join(" ")}: ${said || result.why}`);
  };

  const outputs = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await pulumi(["stack", "output", "--json"]));

  const topology = async () => {
    const { topology: built } = await outputs();
    known = built === undefined ? undefined : topologySchema.parse(built);
    return known;
  };

  const compare = async (): Promise<string | undefined> => {
    const [{ programHash }, own] = await Promise.all([outputs(), ownProgramHash(options)]);
    if (programHash === own) return undefined;
    return (
      `the last up ran another program (${String(programHash).slice(0, 12)}) than the one on this machine ` +
      `(${own.slice(0, 12)}): run "pulumi up" once from the newest clone, which also delivers the program here`
    );
  };

  const unlocked = <T>(what: string, work: () => Promise<T>) =>
    retryUnlocked(what, work, { pulumi, log, mayJudgeLocks: options.mayJudgeLocks });

  const mark = async (verb: "taint" | "untaint", machines: MachineName[]) => {
    const urns = await urnsOf(machines, known, topology, ({ urn }) => [urn]);
    await unlocked(verb, () => pulumi(["state", verb, ...urns, "--yes"]));
  };

  return {
    topology,
    whyProgramDiffers() {
      const isFresh = comparison && clock.now() - comparison.madeMs < comparisonFreshMs;
      if (!isFresh) comparison = { madeMs: clock.now(), result: compare() };
      const result = comparison?.result ?? compare();
      result.catch(() => {
        comparison = undefined;
      });
      return result;
    },
    taint: (machines) => mark("taint", machines),
    untaint: (machines) => mark("untaint", machines),
    async launch(machines) {
      const target = await urnsOf(machines, known, topology, ({ urn, recordUrn, attachmentUrn }) => [
        urn,
        recordUrn,
        ...(attachmentUrn ? [attachmentUrn] : []),
      ]);
      comparison = undefined;
      return unlocked("up", () => up(options, target));
    },
    async updateRecords(machines) {
      const target = await urnsOf(machines, known, topology, ({ recordUrn }) => [recordUrn]);
      await unlocked("up", () => up(options, target));
    },
  };
}

/** The hash of the program on this machine, made the same way as the stack's output. */
async function ownProgramHash({ programDir, projectDir, stack }: PulumiOptions): Promise<string> {
  const bundle: typeof import("../../infra/bundle.ts") = await import(join(programDir, "infra/bundle.ts"));
  const projectFolder = relative(programDir, projectDir) || ".";
  return bundle.programHash({
    root: programDir,
    projectFolder,
    stack,
    configFile: process.env.PULUMI_OPTION_CONFIG_FILE,
  });
}

async function up(options: PulumiOptions, target: string[]): Promise<Topology | undefined> {
  const { stack: stackName, projectDir: workDir, log } = options;
  const pulumiCommand = boundedPulumi(options);
  const stack: Stack = await LocalWorkspace.selectStack({ stackName, workDir }, { pulumiCommand });
  const say = (text: string) => {
    for (const line of text.split("\n")) if (line.trim()) log.info(`pulumi: ${line.trim()}`);
  };
  const result = await stack
    .up({
      target,
      color: "never",
      suppressOutputs: true,
      onOutput: say,
      onError: say,
    })
    .catch((error: Error) => {
      throw new Error(whyUpFailed(error.message), { cause: error });
    });
  return topologySchema.safeParse(result.outputs.topology?.value).data;
}

/**
 * The pulumi that the Automation API runs. Its own one gets a single SIGINT at the limit, which a pulumi whose provider hangs in
 * a creation ignores; nor would it kill the plugins. `run` is what the API calls, although its type does not tell.
 */
function boundedPulumi({ limits = defaultPulumiLimits, signal }: PulumiOptions): PulumiCommand {
  const run = async (
    args: string[],
    cwd: string,
    env: Record<string, string>,
    onOutput?: CommandOptions["onOutput"],
    onError?: CommandOptions["onError"],
  ) => {
    const all = args.includes("--non-interactive") ? args : [...args, "--non-interactive"];
    const result = await runCommand("pulumi", all, {
      cwd,
      env: { ...env, PULUMI_AUTOMATION_API: "true" },
      ...(args[0] === "up" ? limits.up : limits.short),
      onOutput,
      onError,
      signal,
    });
    const { exitCode: code, stdout, stderr, isCut, why } = result;
    if (result.ok) return { stdout, stderr, code };
    throw new Error(`pulumi ${args[0]} ${isCut ? why : `${why}\n stdout: ${stdout}\n stderr: ${stderr}`}`);
  };
  return { command: "pulumi", version: null, run } as PulumiCommand;
}

async function urnsOf(
  machines: MachineName[],
  known: Topology | undefined,
  read: () => Promise<Topology | undefined>,
  pick: (machine: Topology["machines"][MachineName]) => string[],
): Promise<string[]> {
  // A machine's URN is the same for life, so that an earlier reading serves.
  const topology = known ?? (await read());
  if (!topology) throw new Error(`the stack has no output "topology" yet: no up has ended`);
  return machines.flatMap((machine) => pick(topology.machines[machine]));
}

export interface Unlocking {
  pulumi: (args: string[], input?: string) => Promise<string>;
  log: Log;
  mayJudgeLocks: () => boolean;
}

/** Does the work; when a stale lock is in its way, takes that away, clears what is pending, and does it again. */
export async function retryUnlocked<T>(
  what: string,
  work: () => Promise<T>,
  { pulumi, log, mayJudgeLocks }: Unlocking,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const text = (error as Error).message;
    if (!isLocked(text)) throw error;
    if (!mayJudgeLocks() || !isStaleLock(text))
      throw new Error(
        `${what} waits: somebody else's run has locked the stack: ${firstLock(text)}; ` +
          'if that run is dead, "pulumi cancel" takes its lock away',
      );
    log.warn(`the lock of a dead run is taken away: ${firstLock(text)}`);
    await pulumi(["cancel", "--yes"]);
    await clearPending(pulumi);
    return work();
  }
}

const firstLock = (text: string) => /created by .*/.exec(text)?.[0] ?? "unknown holder";

/** Operations that a killed run left pending would keep Pulumi asking; what they did, the cloud's tags tell. */
async function clearPending(pulumi: Unlocking["pulumi"]): Promise<void> {
  const cleared = withoutPendingOperations(JSON.parse(await pulumi(["stack", "export"])));
  if (cleared) await pulumi(["stack", "import"], JSON.stringify(cleared));
}
