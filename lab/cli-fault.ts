/** `scripts/lab fault …`: injects and heals faults. The control plane checks each request. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { FaultRequest } from "./control-plane/fault-request.ts";
import type { Lab } from "./lab.ts";

/** What all commands share. */
export type Common = {
  command: (parent: Command, usage: string, description: string) => Command;
  labOf: (self: Command) => Lab;
  say: (text: string) => void;
  sayJson: (value: unknown) => void;
};

const processTarget = ["<process>", "MACHINE:PORT for the redis on that port, or MACHINE:haproxy"] as const;

/** Adds a subcommand for each fault, `heal` and `list` to `fault`. */
export function faultCommands(fault: Command, common: Common): void {
  processFaults(fault, common);
  machineFaults(fault, common);
  diskFault(fault, common);
  networkFaults(fault, common);
  cloudFaults(fault, common);
  clockRefusal(fault, common);
  healing(fault, common);
}

async function inject({ labOf, say }: Common, self: Command, request: FaultRequest): Promise<void> {
  const { ask } = await import("./client.ts");
  const { done } = await ask<{ done: string }>(labOf(self), "POST", "/lab/faults", request);
  say(done);
}

/** Reads a number, with a fraction or not. */
function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It is no number.");
  return value;
}

function processFaults(fault: Command, common: Common): void {
  const { command } = common;
  command(fault, "crash", "kill a process at once (SIGKILL); what systemd then does, it does")
    .argument(...processTarget)
    .action((target: string, _options: object, self: Command) =>
      inject(common, self, { kind: "crash", target }),
    );
  command(fault, "hang", "stop a process (SIGSTOP): connections are accepted, nothing is answered")
    .argument(...processTarget)
    .action((target: string, _options: object, self: Command) =>
      inject(common, self, { kind: "hang", target }),
    );
  command(
    fault,
    "pause",
    "stop a process for some seconds, then let it go on (SIGSTOP, SIGCONT): to the outside a redis in a slow " +
      "script, a fork or a stalled disk. No machine of redis has a credential that might run a script",
  )
    .argument(...processTarget)
    .requiredOption("--seconds <n>", "how long; fractions are possible", number)
    .action((target: string, { seconds }: { seconds: number }, self: Command) =>
      inject(common, self, { kind: "pause", target, seconds }),
    );
}

function machineFaults(fault: Command, common: Common): void {
  const { command } = common;
  command(fault, "poweroff", "a machine loses its power: at once, silently, and it stays off")
    .argument("<machine>")
    .action((target: string, _options: object, self: Command) =>
      inject(common, self, { kind: "poweroff", target }),
    );
  command(fault, "poweron", "a machine that was powered off boots again, by itself so to say")
    .argument("<machine>")
    .action((target: string, _options: object, self: Command) =>
      inject(common, self, { kind: "poweron", target }),
    );
}

function diskFault(fault: Command, common: Common): void {
  common
    .command(fault, "disk-full", "a machine's disk has no space left; heal gives it back, nothing is lost")
    .argument("<machine>")
    .action((target: string, _options: object, self: Command) =>
      inject(common, self, { kind: "disk-full", target }),
    );
}

function networkFaults(fault: Command, common: Common): void {
  const { command } = common;
  command(fault, "vanish", "a machine's link falls silent: packets disappear, the machine runs on")
    .argument("<machine>")
    .action((target: string, _options: object, self: Command) =>
      inject(common, self, { kind: "vanish", target }),
    );
  command(fault, "partition", "packets between two machines disappear, also of established connections")
    .argument("<machine>")
    .argument("<other>")
    .option("--one-way", "only those from the first to the second")
    .action((target: string, peer: string, { oneWay }: { oneWay?: boolean }, self: Command) =>
      inject(common, self, { kind: "partition", target, peer, oneWay: oneWay === true }),
    );
  command(fault, "lossy", "a machine's link loses packets at random, in each direction")
    .argument("<machine>")
    .option("--percent <n>", "how many of a hundred: 1 to 100", number, 10)
    .action((target: string, { percent }: { percent: number }, self: Command) =>
      inject(common, self, { kind: "lossy", target, percent }),
    );
  command(fault, "dns", "the resolver answers nobody: questions get lost").action(
    (_options: object, self: Command) => inject(common, self, { kind: "dns" }),
  );
}

type ApiOptions = { for?: number; late?: number };

function cloudFaults(fault: Command, common: Common): void {
  const { command } = common;
  const api = command(
    fault,
    "api",
    "the cloud's API, for machines and pulumi: slow, failing, or without capacity. Status, exec, heal and down work on",
  );
  const mode = (target: "slow" | "failing" | "full", description: string) =>
    command(api, target, description)
      .addOption(new Option("--for <seconds>", "how long (default: until it is healed)").argParser(number))
      .action((options: ApiOptions, self: Command) =>
        inject(common, self, {
          kind: "api",
          target,
          ...(options.for === undefined ? {} : { seconds: options.for }),
          ...(options.late === undefined ? {} : { lateSeconds: options.late }),
        }),
      );
  mode("slow", "every call is answered late").option("--late <seconds>", "how late (default: 20)", number);
  mode("failing", "every call is answered 503 RequestLimitExceeded");
  mode("full", "instances are not launched and not started: InsufficientInstanceCapacity");
  command(fault, "stale-lock", "Pulumi's stack is locked by a process that no longer exists")
    .argument("[machine]", "where that process was (default: monit, else this host)")
    .action((target: string | undefined, _options: object, self: Command) =>
      inject(common, self, { kind: "stale-lock", ...(target === undefined ? {} : { target }) }),
    );
}

/** Not among the commands, because it is not possible; whoever tries it is told why. */
function clockRefusal(fault: Command, common: Common): void {
  fault
    .command("clock", { hidden: true })
    .option("--name <lab>")
    .allowUnknownOption()
    .allowExcessArguments()
    .exitOverride()
    .action(async (_options: object, self: Command) => {
      const { ask } = await import("./client.ts");
      await ask(common.labOf(self), "POST", "/lab/faults", { kind: "clock" });
    });
}

function healing(fault: Command, { command, labOf, say, sayJson }: Common): void {
  command(
    fault,
    "heal",
    "undo what lasts: all of it, or what is named; `poweron` is for machines that are off",
  )
    .argument("[target]", "all (default), MACHINE, MACHINE:PORT, MACHINE:haproxy, api, dns or stale-lock")
    .argument("[other]", "with MACHINE: only partitions between the two")
    .action(async (target: string | undefined, peer: string | undefined, _options: object, self: Command) => {
      const { ask } = await import("./client.ts");
      const { healed } = await ask<{ healed: string[] }>(labOf(self), "POST", "/lab/heal", { target, peer });
      const lines = healed.map((each) => `healed: ${each}`);
      say(lines.length === 0 ? "there was nothing to heal" : lines.join("\n"));
    });
  command(fault, "list", "the faults in effect")
    .option("--json", "print JSON")
    .action(async (options: { json?: boolean }, self: Command) => {
      const { ask } = await import("./client.ts");
      const { faults } = await ask<{ faults: string[] }>(labOf(self), "GET", "/lab");
      if (options.json) sayJson(faults);
      else say(faults.length === 0 ? "none" : faults.join("\n"));
    });
}
