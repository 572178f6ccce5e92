/** `scripts/simulate`: replays one schedule with its trace, or runs many with progress. */
import { availableParallelism } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { closingOf, exitStatusOf, lineOf, progressOf } from "./closing.ts";
import { type Summary, traceOf } from "./many.ts";
import { addTo, runInParallel } from "./parallel.ts";
import { keepRunState, readRunState } from "./run-state.ts";

interface Options {
  seed?: number;
  schedules: number;
  from: number;
  threads: number;
  json?: boolean;
  state?: string;
}

const program = new Command("simulate")
  .description(
    "Runs recovery against a model of the six machines: seeded random faults, virtual time, the rules as invariants.",
  )
  .option("--seed <number>", "replay this one schedule and print its trace", wholeNumber)
  .option("--schedules <number>", "how many schedules to run", atLeastOne, 20_000)
  .option("--from <number>", "the first seed", wholeNumber, 1)
  .option("--threads <number>", "how many threads run them", atLeastOne, availableParallelism())
  .option(
    "--open",
    "draw also the faults under which rules are known to break (docs/bugs-found.md, Open)",
    drawOpenFaults,
  )
  .option("--state <file>", "keep in this file how far it has come, and go on from there the next time")
  .option("--json", "print the result as JSON")
  .addHelpText(
    "after",
    "\nA million schedules, which can be interrupted: scripts/simulate --schedules 1000000 --state FILE" +
      "\nCtrl-C ends a run early and prints what was found so far; a second one ends it at once." +
      "\nExit status: 0 all schedules ran and no rule was broken, 1 one was, 2 neither is known (the arguments make" +
      "\nno sense, the run was interrupted, or the simulation itself failed).",
  )
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
program.parse();
try {
  const options = program.opts<Options>();
  process.exitCode = options.seed === undefined ? await many(options) : await one(options.seed, options);
} catch (error) {
  console.error(`simulate: ${(error as Error).message}`);
  process.exitCode = 2;
}

/** The threads that run schedules take it from the environment, which they share. */
function drawOpenFaults(): true {
  process.env.BARTON_SIMULATION_OPEN = "1";
  return true;
}

async function one(seed: number, { json }: Options): Promise<number> {
  const trace = await traceOf(seed);
  const isBroken = trace.some((line) => line.includes("BROKEN "));
  if (json) {
    console.log(JSON.stringify({ seed, broken: isBroken, trace }, undefined, 2));
  } else {
    const end = isBroken ? "a rule was broken" : "all rules held, and all was well in the end";
    console.log([...trace, `seed ${seed}: ${end}`].join("\n"));
  }
  return isBroken ? 1 : 0;
}

async function many({ from, schedules, threads, json, state: path }: Options): Promise<number> {
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  const run = { firstSeed: from, asked: schedules };
  const before = path === undefined ? undefined : await readRunState(path, run);
  const firstSeed = before?.nextSeed ?? from;
  const sum = (part: Summary): Summary => summed(before?.summary, part);
  let keeping = Promise.resolve();
  let keptAt = 0;
  const keep = (nextSeed: number, summary: Summary) => {
    if (path !== undefined) keeping = keeping.then(() => keepRunState(path, { ...run, nextSeed, summary }));
  };
  let last: [number, Summary] | undefined;
  console.error(`seeds ${firstSeed} to ${from + schedules - 1}, threads: ${threads}`);
  let toldAt = 0;
  const ran = await runInParallel({
    firstSeed,
    schedules: from + schedules - firstSeed,
    threads,
    onDone(nextSeed, part) {
      last = [nextSeed, sum(part)];
      if (part.seconds - keptAt < 5) return;
      keptAt = part.seconds;
      keep(...last);
    },
    signal: stop.signal,
    onProgress(soFar) {
      if (soFar.seconds - toldAt < 5) return;
      toldAt = soFar.seconds;
      console.error(progressOf(sum(soFar), schedules));
    },
    onFinding: (finding) => json || console.log(lineOf(finding)),
  });
  if (last) keep(...last);
  await keeping;
  const summary = sum(ran);
  if (json) console.log(JSON.stringify({ ...summary, asked: schedules }, undefined, 2));
  else console.log(await closingOf(summary, schedules));
  if (summary.schedules < schedules && path === undefined && last)
    console.error(`go on with: scripts/simulate --from ${last[0]} --schedules ${from + schedules - last[0]}`);
  return exitStatusOf(summary, schedules);
}

/** What an earlier part of the run has shown, and this one. */
function summed(before: Summary | undefined, part: Summary): Summary {
  if (!before) return part;
  const total: Summary = {
    ...before,
    findings: [...before.findings],
    seconds: before.seconds + part.seconds,
  };
  addTo(total, part);
  return total;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError("It must be a whole number.");
  return value;
}

function atLeastOne(text: string): number {
  if (wholeNumber(text) === 0) throw new InvalidArgumentError("It must be a whole number above 0.");
  return Number(text);
}
