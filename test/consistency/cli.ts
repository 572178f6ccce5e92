/** `scripts/chaos`: faults under load, and a verdict. */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { execa } from "execa";
import { answers } from "../../lab/client.ts";
import { type Lab, LabError, labNamed } from "../../lab/lab.ts";
import { exitStatusOf, grouped } from "./checkers/verdict.ts";
import { catalogue } from "./faults/catalogue.ts";
import { parseWanted, type Wanted } from "./faults/plan.ts";
import { readRun } from "./files.ts";
import { interruption } from "./interruption.ts";
import { page } from "./report/page/page.ts";
import { type Results, resultsOf, statisticsText } from "./report/results.ts";
import { programOf, Run } from "./run.ts";

interface Options {
  seed: number;
  minutes?: number;
  fault: Wanted[];
  repeat: number;
  rate: number;
  name?: string;
  json?: boolean;
  out?: string;
  judge?: string;
}

const root = join(import.meta.dirname, "../..");
/** A random sequence ends after so many minutes, unless somebody says otherwise. */
const usualMinutes = 5;

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError("It must be a whole number above 0.");
  return Number(text);
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1440))
    throw new InvalidArgumentError("It must be a number of minutes, up to 1440.");
  return value;
}

function fault(text: string, former: Wanted[]): Wanted[] {
  try {
    return [...former, parseWanted(text)];
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

const program = new Command("scripts/chaos")
  .description(
    "Injects faults into a lab under load, and says what clients lost, how long they waited and whether two masters\n" +
      "were ever reachable. Without --fault: a random sequence. Each fault waits for a healthy and loaded system.",
  )
  .option(
    "--seed <number>",
    "chooses faults and targets; the same seed asks for the same ones",
    wholeNumber,
    1,
  )
  .option(
    "--minutes <m>",
    `no fault begins later than this after the first (default for a random sequence: ${usualMinutes})`,
    minutes,
  )
  .option(
    "--fault <kind>",
    "KIND or KIND:MACHINE, see below; can be given several times, they take turns",
    fault,
    [],
  )
  .option("--repeat <n>", "how often each --fault is injected", wholeNumber, 1)
  .option("--rate <n>", "operations per second and shard, at the most", wholeNumber, 150)
  .option("--name <lab>", "which lab (default: BARTON_LAB, or local); it is brought up if it is not there")
  .option("--json", "print the results as JSON; progress goes to standard error")
  .option("--out <folder>", "where the run's folder goes (default: reports/ in the repository)")
  .option("--judge <folder>", "inject nothing: judge the run in this folder again, and write its report anew")
  .addHelpText(
    "after",
    `
Faults:
${catalogue.map(({ name, about, targets }) => `  ${name.padEnd(17)} ${about}${targets ? ` (${targets.join(", ")})` : ""}`).join("\n")}

KIND:MACHINE of a fault that hits a master, where MACHINE has none: the masters are moved there first (barton switchover).

Exit status: 0 pass, 1 fail, 2 unknown (interrupted, not healthy, too little traffic, a fault named by --fault that the
lab cannot inject, a mistake in the command line: not shown). Ctrl-C, or SIGTERM as of timeout(1), heals all faults, ends
the load and writes what there is. docs/proof.md says how to read the report.`,
  )
  .showHelpAfterError("(scripts/chaos --help lists the faults)")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitStatusOf.unknown))
  .action(async (options: Options) => {
    process.exitCode = await chaos(options);
  });

const began = performance.now();

async function chaos(options: Options): Promise<number> {
  const stream = options.json ? process.stderr : process.stdout;
  const say = (line: string) =>
    void stream.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
  if (options.judge !== undefined) return judge(resolve(options.judge), options, say);
  if (process.getuid?.() !== 0) throw new LabError("A lab belongs to root: run this as root, or with sudo.");
  const lab = labNamed(options.name);
  const signal = interruption(() =>
    say("interrupted: healing all faults, ending the load (Ctrl-C again: at once)"),
  );
  await bringUp(lab, stream, say);
  const folder = newFolder(options, lab);
  say(`the run's folder: ${folder}`);
  const limit = options.fault.length > 0 ? 1440 : usualMinutes;
  const run = new Run({
    ...{ lab, folder, say, signal },
    ...{ seed: options.seed, wanted: options.fault, repeat: options.repeat, rate: options.rate },
    minutes: options.minutes ?? limit,
    command: ["scripts/chaos", ...process.argv.slice(2)].join(" "),
    program: await programOf(root),
  });
  await run.go();
  return judge(folder, options, say);
}

/** Judges what a run's folder holds, and writes the report into it. */
async function judge(folder: string, { json }: Options, say: (line: string) => void): Promise<number> {
  const { run, evidence } = await readRun(folder);
  const results = resultsOf(run, evidence);
  await writeFile(join(folder, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
  await writeFile(join(folder, "index.html"), page(results, evidence.operations, evidence.incidents));
  tell(results, folder, say);
  process.stdout.write(json ? `${JSON.stringify({ ...results, folder }, null, 2)}\n` : `${results.line}\n`);
  return exitStatusOf[results.verdict];
}

/** A lab that is there is used as it is; else it is made, and stays. */
async function bringUp(lab: Lab, stream: NodeJS.WriteStream, say: (line: string) => void): Promise<void> {
  if (await answers(lab)) return;
  say(
    `there is no lab ${lab.name}: bringing it up (it stays; \`scripts/lab down --name ${lab.name}\` removes it)`,
  );
  await execa(join(root, "scripts/lab"), ["up", "--name", lab.name], {
    stdin: "ignore",
    stdout: stream,
    stderr: stream,
  });
}

function newFolder({ out, fault, seed }: Options, lab: Lab): string {
  const time = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  const what =
    fault.length === 0 ? `seed-${seed}` : [...new Set(fault.map(({ kind }) => kind.name))].join("+");
  const folder = join(resolve(out ?? join(root, "reports")), `${time}-${lab.name}-${what}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function tell({ findings, kinds, targets }: Results, folder: string, say: (line: string) => void): void {
  for (const { verdict, checker, sentence } of findings) say(`${verdict.padEnd(7)} ${checker}: ${sentence}`);
  if (kinds.length > 0) for (const line of statisticsText(kinds).split("\n")) say(line);
  for (const { what, wantedMs, measuredMs, met } of targets) {
    if (met !== null)
      say(
        `${met ? "met    " : "NOT MET"} ${what}: ${grouped(measuredMs ?? 0)} ms, wanted at most ${grouped(wantedMs)} ms`,
      );
  }
  say(`report: ${join(folder, "index.html")}`);
}

try {
  await program.parseAsync();
} catch (error) {
  const text = error instanceof LabError ? error.message : (error as Error).message;
  process.stderr.write(`scripts/chaos: ${text}\n`);
  process.exitCode = exitStatusOf.unknown;
}
