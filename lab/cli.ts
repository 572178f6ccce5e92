/** `scripts/lab`: the commands for one lab, an emulated cloud with its machines. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { Command, CommanderError } from "commander";
import { withOptionsFirst } from "./cli-arguments.ts";
import { faultCommands } from "./cli-fault.ts";
import { type Lab, LabError, labNamed, whyNotALabName } from "./lab.ts";

type Options = { name?: string; json?: boolean };

const nameOption = ["--name <lab>", "which lab (default: BARTON_LAB, or `local`)"] as const;

const program = new Command("scripts/lab")
  .description(
    "A lab: AWS emulated on this host, with real machines (systemd-nspawn), for the same Pulumi program.\n" +
      "Needs root. Every piece of a lab's state is in one folder below /var/lib/barton (BARTON_LAB_HOME).",
  )
  .option(...nameOption)
  .enablePositionalOptions()
  .showHelpAfterError("(scripts/lab --help shows all commands)")
  .hook("preAction", () => {
    if (process.platform !== "linux") throw new LabError(`A lab needs Linux; this is ${process.platform}.`);
    if (process.getuid?.() !== 0)
      throw new LabError("A lab belongs to root: run this as root, or with sudo.");
  })
  .exitOverride();

/** A command that knows which lab is meant, wherever `--name` stands before it. */
function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option(...nameOption)
    .exitOverride()
    .showHelpAfterError();
}

function labOf(self: Command): Lab {
  return labNamed(self.optsWithGlobals<Options>().name);
}

/** Writes lines with the seconds since the start. To standard error when standard output is for JSON. */
function progressTo(stream: NodeJS.WriteStream): (line: string) => void {
  const began = performance.now();
  return (line) =>
    stream.write(`[${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const sayJson = (value: unknown) => say(JSON.stringify(value, null, 2));

command(program, "up", "build the lab, or continue or repair it; on a lab that is up it changes nothing")
  .option("--engine <engine>", "redis (default) or valkey, for a new lab")
  .option("--control-only", "start the control plane alone: a cloud without a stack")
  .option("--json", "print the status as JSON at the end; progress goes to standard error")
  .action(async (options: Options & { controlOnly?: boolean; engine?: string }, self: Command) => {
    const lab = labOf(self);
    const progress = progressTo(options.json ? process.stderr : process.stdout);
    if (options.controlOnly) return startControl(lab, progress);
    const { bringUp } = await import("./up.ts");
    const { statusText } = await import("./status.ts");
    const interrupted = new AbortController();
    // Ctrl-C reaches pulumi too, which then ends in order; a second one ends everything at once.
    process.once("SIGINT", () => {
      progress("interrupted: waiting for what runs to end (Ctrl-C again: at once)");
      interrupted.abort();
    });
    const status = await bringUp(lab, progress, interrupted.signal, options.engine);
    progress("up");
    if (options.json) sayJson(status);
    else say(`\n${statusText(status)}\n\n${hints(lab)}`);
  });

function hints(lab: Lab): string {
  const name = lab.name === "local" ? "" : ` --name ${lab.name}`;
  return `Look around: scripts/lab status${name} · scripts/lab exec${name} app -- redis-test 7001 · scripts/pulumi${name} preview\nRemove it:   scripts/lab down${name}`;
}

async function startControl(lab: Lab, progress: (line: string) => void): Promise<void> {
  const { startControlPlane } = await import("./control.ts");
  progress(
    (await startControlPlane(lab, progress)) ? "control plane: started" : "control plane: runs already",
  );
}

command(program, "down", "remove the lab and everything of it, whatever state it is in; safe to repeat")
  .option("--json", "print what was removed as JSON; progress goes to standard error")
  .action(async (options: Options, self: Command) => {
    const lab = labOf(self);
    const { removeLab } = await import("./down.ts");
    const progress = progressTo(options.json ? process.stderr : process.stdout);
    const removed = await removeLab(lab, progress);
    if (options.json) sayJson({ lab: lab.name, ...removed });
    else if (removed.processes + removed.mounts + removed.namespaces === 0 && !removed.folder) {
      say(`lab ${lab.name}: nothing to remove`);
    } else progress(`lab ${lab.name} is removed`);
  });

command(program, "status", "machines, shards and faults. Exit status 0 if they could be read, healthy or not")
  .option("--json", "print JSON")
  .action(async (options: Options, self: Command) => {
    const { labStatus, statusText } = await import("./status.ts");
    const status = await labStatus(labOf(self));
    if (options.json) sayJson(status);
    else say(statusText(status));
  });

command(program, "list", "the labs on this host")
  .option("--json", "print JSON")
  .action(async (options: Options) => {
    const { answers } = await import("./client.ts");
    const folder = dirname(labNamed("local").dir);
    const names = (existsSync(folder) ? readdirSync(folder) : []).filter((name) => !whyNotALabName(name));
    const labs = await Promise.all(
      names.map(async (name) => ({ name, controlPlane: (await answers(labNamed(name))) ? "up" : "down" })),
    );
    if (options.json) sayJson(labs);
    else for (const { name, controlPlane } of labs) say(`${name}  (control plane ${controlPlane})`);
  });

command(
  program,
  "exec",
  "run a command as root inside a machine, with its exit status; works without the machine's network",
)
  .usage("[--name LAB] MACHINE -- COMMAND…")
  .argument("<machine>", "its name (redis1), or an instance id")
  .argument("[command...]", "without one: a shell")
  .passThroughOptions()
  .action(async (machine: string, words: string[], _options: Options, self: Command) => {
    const { execInMachine } = await import("./exec.ts");
    const wanted = commandOf(words);
    process.exitCode = await execInMachine(
      labOf(self),
      machine,
      wanted.length > 0 ? wanted : ["bash", "--login"],
    );
  });

command(program, "ssh", "log in to a machine as admin over ssh, as an engineer would")
  .usage("[--name LAB] MACHINE [-- COMMAND…]")
  .argument("<machine>", "its name (redis1), or an instance id")
  .argument("[command...]", "without one: a login")
  .passThroughOptions()
  .action(async (machine: string, words: string[], _options: Options, self: Command) => {
    const { sshToMachine } = await import("./exec.ts");
    process.exitCode = await sshToMachine(labOf(self), machine, commandOf(words));
  });

command(program, "console", "what a machine wrote to its console")
  .argument("<machine>", "its name (redis1), or an instance id")
  .action(async (machine: string, _options: Options, self: Command) => {
    const lab = labOf(self);
    const { machineNamed } = await import("./machines.ts");
    const { consoleTail } = await import("./control-plane/machine.ts");
    say(consoleTail(lab, machineNamed(lab, machine).instanceId, 10_000));
  });

command(program, "logs", "what the control plane wrote").action((_options: Options, self: Command) => {
  const { logFile } = labOf(self);
  if (!existsSync(logFile)) throw new LabError(`There is no ${logFile}: the lab was never up.`);
  process.stdout.write(readFileSync(logFile));
});

/** What follows MACHINE, without the `--` before it. */
function commandOf(words: string[]): string[] {
  return words[0] === "--" ? words.slice(1) : words;
}

faultCommands(
  command(
    program,
    "fault",
    "injure the lab: processes, machines, links, the cloud; and heal what can be healed",
  ),
  { command, labOf, say, sayJson },
);

const control = command(program, "control", "the control plane alone");
command(control, "start", "start the control plane, without a stack; as `up --control-only`").action(
  (_options: Options, self: Command) => startControl(labOf(self), progressTo(process.stdout)),
);

command(program, "image", "make the base image that all labs share, unless it is there").action(
  async (_options: Options, self: Command) => {
    const { ensureBaseImage } = await import("./image/base.ts");
    say(await ensureBaseImage(labOf(self), progressTo(process.stderr)));
  },
);

try {
  await program.parseAsync(withOptionsFirst(process.argv.slice(2)), { from: "user" });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    const text = error instanceof LabError ? error.message : ((error as Error).stack ?? String(error));
    process.stderr.write(`scripts/lab: ${text}\n`);
    process.exitCode = 1;
  }
}
