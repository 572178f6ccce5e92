/** `scripts/mutate`: mutates recovery's decisions and steps with Stryker, and says which mutants no unit test notices. */
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { Stryker } from "@stryker-mutator/core";
import { Command, InvalidArgumentError } from "commander";
import { type Mutant, survivorsText, verdictOn } from "./report.ts";
import { covers, folders, globOf, type Target, targetOf } from "./targets.ts";

const root = resolve(import.meta.dirname, "../..");
/** What earlier runs have found, so that a run repeats only what a change can have made different. Git ignores it. */
const kept = join(root, "reports/mutation/incremental.json");

type Settings = ConstructorParameters<typeof Stryker>[0];
type Result = Awaited<ReturnType<Stryker["runMutationTest"]>>[number];

const statuses: Partial<Record<Result["status"], Mutant["status"]>> = {
  Killed: "killed",
  // An endless loop is noticed too.
  Timeout: "killed",
  Survived: "survived",
  NoCoverage: "not covered",
};

/** It has slow tests of its own. */
const memory = "recovery/decide/memory";

interface Options {
  threshold: number;
  concurrency: number;
  fresh?: boolean;
}

const program = new Command("mutate")
  .description(
    "Mutation testing: changes recovery's code in small ways, one at a time, runs the unit tests that reach the changed place, " +
      "and lists the changes that no test notices.",
  )
  .argument(
    "[files...]",
    "folders and files of recovery/decide and recovery/act, files also with lines",
    folders,
  )
  .option("--threshold <percent>", "the score that each of them must reach", percent, 85)
  .option("--concurrency <number>", "how many mutants are tested at a time", atLeastOne, 1)
  .option("--fresh", "test every mutant, also where an earlier run has a result")
  .addHelpText(
    "after",
    "\nFor example: scripts/mutate act   scripts/mutate decide/view act/promote.ts   scripts/mutate act/fence.ts:40-60" +
      "\nEarlier results are kept in reports/mutation. A mutant is tested again when its line or its tests have changed; use" +
      "\n--fresh when something else has that the tests use. Survivors that were looked at: docs/mutation.md." +
      "\nExit status: 0 each score is at the threshold or above, 1 one is below it, 2 it could not run.",
  )
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
program.parse();
try {
  const names = program.args.length > 0 ? program.args : folders;
  process.exitCode = await mutate(
    names.map((name) => targetOf(root, name)),
    program.opts<Options>(),
  );
} catch (error) {
  console.error(`mutate: ${(error as Error).message}`);
  process.exitCode = 2;
}

async function mutate(targets: Target[], { threshold, concurrency, fresh }: Options): Promise<number> {
  if (fresh) await rm(kept, { force: true });
  // The runner's processes inherit it; see vitest.config.ts.
  if (targets.some(({ path }) => memory.startsWith(path) || path.startsWith(memory)))
    process.env.BARTON_MUTATE_MEMORY = "1";
  const results = await new Stryker({
    mutate: targets.map(globOf),
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner"],
    vitest: { configFile: "test/mutation/vitest.config.ts" },
    coverageAnalysis: "perTest",
    // What runs only while a module loads: mostly the sentences of the tables, which would be one run of all tests each.
    ignoreStatic: true,
    concurrency,
    incremental: true,
    incrementalFile: kept,
    reporters: ["progress-append-only"],
    logLevel: "warn" as Settings["logLevel"],
    // tsc is no part of a run: type stripping does not look at types.
    disableTypeChecks: false,
    // The copy of the repository in which the mutants live.
    tempDirName: join(tmpdir(), "barton-mutate"),
    ignorePatterns: ["/docs", "/lab", "/reports", "/test/end-to-end", "/test/lab"],
    allowEmpty: true,
  }).runMutationTest();
  const mutants = results.map(mutantOf).filter((mutant) => targets.some((target) => covers(target, mutant)));
  const { text, isEnough } = verdictOn(targets, mutants, threshold);
  console.log([survivorsText(mutants), "", text].join("\n").trimStart());
  return isEnough ? 0 : 1;
}

function mutantOf({ fileName, location, mutatorName, replacement, status }: Result): Mutant {
  return {
    file: relative(root, resolve(root, fileName)),
    line: location.start.line,
    mutator: mutatorName,
    original: textAt(fileName, location),
    replacement: replacement ?? "",
    status: statuses[status] ?? "not counted",
  };
}

function textAt(fileName: string, { start, end }: Result["location"]): string {
  const lines = readFileSync(resolve(root, fileName), "utf8")
    .split("\n")
    .slice(start.line - 1, end.line);
  const last = lines.length - 1;
  lines[last] = lines[last]?.slice(0, end.column - 1) ?? "";
  lines[0] = lines[0]?.slice(start.column - 1) ?? "";
  return lines.join("\n");
}

function percent(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 100))
    throw new InvalidArgumentError("must be a number from 0 to 100");
  return value;
}

function atLeastOne(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("must be a whole number, 1 or more");
  return Number(text);
}
