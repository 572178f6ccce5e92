/** `scripts/simulate`: replays one schedule with its trace, or runs many with progress. */
import { Command, InvalidArgumentError } from "commander";
import { type Finding, report, runMany, type Summary, traceOf } from "./many.ts";

interface Options {
  seed?: number;
  schedules: number;
  from: number;
}

const program = new Command("simulate")
  .description(
    "Runs recovery against a model of the six machines: seeded random faults, virtual time, the rules as invariants.",
  )
  .option("--seed <number>", "replay this one schedule and print its trace", wholeNumber)
  .option("--schedules <number>", "how many schedules to run", wholeNumber, 20_000)
  .option("--from <number>", "the first seed", wholeNumber, 1)
  .addHelpText("after", "\nExit status: 0 no rule was broken, 1 one was, 2 the arguments make no sense.")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
program.parse();
const { seed, schedules, from } = program.opts<Options>();
process.exitCode = seed === undefined ? await many(from, schedules) : await one(seed);

async function one(number: number): Promise<number> {
  const lines = await traceOf(number);
  console.log(lines.join("\n"));
  const isBroken = lines.some((line) => line.includes("BROKEN "));
  console.log(
    `seed ${number}: ${isBroken ? "a rule was broken" : "all rules held, and all was well in the end"}`,
  );
  return isBroken ? 1 : 0;
}

async function many(firstSeed: number, count: number): Promise<number> {
  let toldAt = 0;
  const onProgress = (summary: Summary) => {
    if (summary.seconds - toldAt < 5) return;
    toldAt = summary.seconds;
    console.error(progressOf(summary, count));
  };
  const until = (finding: Finding) => {
    console.log(`seed ${finding.seed} breaks ${finding.check}: ${finding.text}`);
    return false;
  };
  const summary = await runMany({ firstSeed, schedules: count, onProgress, until });
  console.log(progressOf(summary, count));
  const [first] = summary.findings;
  if (first) console.log(`\n${await report(first)}`);
  return first ? 1 : 0;
}

function progressOf({ schedules: ran, seconds, findings, confirmed }: Summary, count: number): string {
  const rate = Math.round(ran / seconds);
  return `${ran} of ${count} schedules, ${rate} per second, ${confirmed} confirmed writes, ${findings.length} broke a rule`;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("it must be a whole number.");
  return value;
}
