/** Runs commands of the host. An error says which command ran and what it answered. */
import { execa } from "execa";

/** A command of the system failed; the message has the command and what it printed. */
export class CommandError extends Error {
  override name = "CommandError";
}

/** Runs `command`; gives its standard output, without the last newline. Throws a {@link CommandError}. */
export async function run(command: readonly string[], options: { input?: string } = {}): Promise<string> {
  const [file = "", ...args] = command;
  const { exitCode, stdout, stderr, message } = await execa(file, args, {
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    reject: false,
  }).then((result) => ({ ...result, message: (result as { message?: string }).message }));
  if (exitCode === 0) return stdout;
  const answer = stderr.trim() || message || "no output";
  throw new CommandError(`${command.join(" ")} failed (exit status ${exitCode ?? "none"}): ${answer}`);
}

/** As {@link run}, for commands whose failure means that there was nothing to do. */
export async function tryRun(command: readonly string[]): Promise<boolean> {
  return run(command).then(
    () => true,
    () => false,
  );
}

/** `command` inside a named network namespace. nsenter and not `ip netns exec`, which would hide the cgroups. */
export function inNetns(name: string, command: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${name}`, "--", ...command];
}

/** Runs `task`s of one key one after the other; tasks of other keys run beside it. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  take<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(task, task);
    const settled = mine
      .catch(() => {})
      .then(() => {
        if (this.#last.get(key) === settled) this.#last.delete(key);
      });
    this.#last.set(key, settled);
    return mine;
  }
}
