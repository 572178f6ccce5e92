/**
 * Pulumi as recovery's engine: the program in BARTON_PROJECT_DIR, by the Automation API.
 *
 * Pulumi's lock is one per stack, so calls run one after the other. A lock that a dead run on this machine
 * left behind is taken away, and the operations that it left pending are cleared; a living run's lock,
 * somebody else's included, is respected.
 */
import { join, relative } from "node:path";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation/index.js";
import { execa } from "execa";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { type MachineName, type Topology, topologySchema } from "../topology.ts";
import type { Engine } from "./engine.ts";
import { isLocked, isStaleLock, whyUpFailed, withoutPendingOperations } from "./pulumi-state.ts";

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
}

/** `stack output` reads a file; `state taint` and `untaint` rewrite one. */
const shortTimeoutMs = 60_000;
/** An `up` waits for the cloud to launch and to terminate. */
const upTimeoutMs = 900_000;
/** A comparison of programs this old is good enough to launch by. */
const comparisonFreshMs = 20_000;

export function pulumiEngine(options: PulumiOptions): Engine {
  const { stack, projectDir, log, clock } = options;
  let comparison: { madeMs: number; result: Promise<string | undefined> } | undefined;
  let known: Topology | undefined;

  const pulumi = async (args: string[], input = ""): Promise<string> => {
    const result = await execa(
      "pulumi",
      [...args, "--stack", stack, "--non-interactive", "--color", "never"],
      {
        cwd: projectDir,
        timeout: shortTimeoutMs,
        reject: false,
        input,
      },
    );
    if (!result.failed) return result.stdout;
    throw new Error(`pulumi ${args.join(" ")}: ${result.stderr.trim() || result.shortMessage}`);
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
  const stack: Stack = await LocalWorkspace.selectStack({ stackName, workDir });
  const say = (text: string) => {
    for (const line of text.split("\n")) if (line.trim()) log.info(`pulumi: ${line.trim()}`);
  };
  const result = await stack
    .up({
      target,
      color: "never",
      suppressOutputs: true,
      signal: AbortSignal.timeout(upTimeoutMs),
      onOutput: say,
      onError: say,
    })
    .catch((error: Error) => {
      throw new Error(whyUpFailed(error.message), { cause: error });
    });
  return topologySchema.safeParse(result.outputs.topology?.value).data;
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
