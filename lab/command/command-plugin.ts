/**
 * Stand-in for Pulumi's `command` plugin, for networks where the official one cannot be downloaded: local.Command,
 * remote.Command and remote.CopyToRemote over the system's ssh, with the behaviour of 1.2.1.
 */
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import type { EngineLog, Plugin, ResourceRef } from "../plugin/plugin.ts";
import { type Properties, unknown, type Value } from "../plugin/values.ts";
import { checkInputs, isInternal } from "../schema/check.ts";
import { diffInputs, withoutIgnored } from "../schema/diff.ts";
import { sameValue } from "../schema/kinds.ts";
import type { ResourceSchema } from "../schema/schema.ts";
import { copyOf } from "./copy.ts";
import { type ProgramResult, runProgram } from "./process.ts";
import { copyToRemote, localCommand, schemaOf } from "./schema.ts";
import { masked, secretOutputs, secretTexts } from "./secrecy.ts";
import { type Connection, runRemote } from "./ssh.ts";

type Bag = Record<string, Value>;

/** What one run of a command needs. */
interface Job {
  resource: ResourceRef;
  inputs: Properties;
  /** Shows a line of output or progress, with secrets hidden. */
  show(line: string, options?: { isTransient?: boolean }): void;
  /** Resolves when the engine has every line. */
  shown(): Promise<void>;
  signal: AbortSignal;
}

/** Environment of the engine that its commands inherit: that of the plugin itself. */
export function commandPlugin(): Plugin {
  const cancelled = new AbortController();
  let log: EngineLog = async () => undefined;
  const jobOf = (resource: ResourceRef, inputs: Properties) =>
    newJob(resource, inputs, log, cancelled.signal);
  return {
    version: (createRequire(import.meta.url)("@pulumi/command/package.json") as { version: string }).version,
    checkConfig: (config) => ({ inputs: config, failures: [] }),
    configure(_config, engineLog) {
      log = engineLog;
    },
    check: ({ type, name }, olds, news, seed) =>
      checkInputs(schemaOf(type), { name, region: "", olds, news, seed }),
    diff: ({ type }, { oldInputs, news, ignoreChanges }) =>
      withoutIgnored(diffInputs(schemaOf(type), oldInputs.values, news.values), ignoreChanges),
    async create(resource, news, { preview }) {
      const schema = schemaOf(resource.type);
      if (preview) return { id: "", state: foretold(schema, news) };
      const id = `${schema === copyToRemote ? "" : resource.name}${randomBytes(4).toString("hex")}`;
      if (schema === copyToRemote) return { id, state: await copy(jobOf(resource, news)) };
      return { id, state: await runCommand(jobOf(resource, news), news.values.create, {}) };
    },
    // Nothing can be read back from a command that ran: it is what it was.
    read: async (_resource, id, olds) => ({ id, ...olds }),
    async update(resource, _id, olds, news, { preview }) {
      const schema = schemaOf(resource.type);
      if (preview) return foretold(schema, news);
      if (schema !== copyToRemote) {
        return runCommand(jobOf(resource, news), news.values.update ?? news.values.create, olds.state.values);
      }
      const isSame = (name: string) => sameInput(schema, name, olds.inputs.values, news.values);
      // A changed connection alone is no reason to copy, as with the official plugin: use triggers.
      return isSame("source") && isSame("remotePath") ? stateOf(news, {}) : copy(jobOf(resource, news));
    },
    async delete(resource, _id, olds) {
      const command = olds.state.values.delete;
      if (typeof command === "string")
        await runCommand(jobOf(resource, olds.state), command, olds.state.values);
    },
    async invoke(token) {
      throw new Error(`the lab's stand-in for the command plugin does not know the function "${token}"`);
    },
    cancel: () => cancelled.abort(new Error("cancelled")),
  };
}

function newJob(resource: ResourceRef, inputs: Properties, log: EngineLog, signal: AbortSignal): Job {
  const secrets = secretTexts(inputs);
  let last = Promise.resolve();
  return {
    resource,
    inputs,
    signal,
    show(line, options) {
      last = log("info", resource.urn, masked(line, secrets), options);
    },
    shown: () => last,
  };
}

/** Runs the command, if there is one, and gives the new outputs; rejects with its output when it fails. */
async function runCommand(job: Job, command: Value | undefined, olds: Bag): Promise<Properties> {
  const before = { stdout: String(olds.stdout ?? ""), stderr: String(olds.stderr ?? "") };
  if (typeof command !== "string") return stateOf(job.inputs, before);
  const { values } = job.inputs;
  const environment = { ...(values.environment as Record<string, string> | undefined) };
  if (values.addPreviousOutputInEnv !== false) {
    if (before.stdout !== "") environment.PULUMI_COMMAND_STDOUT = before.stdout;
    if (before.stderr !== "") environment.PULUMI_COMMAND_STDERR = before.stderr;
  }
  const isLocal = job.resource.type === localCommand.type;
  const result = await (isLocal ? runLocally : runRemotely)(job, command, environment);
  await job.shown();
  failUnlessDone(job, result);
  return stateOf(job.inputs, {
    stdout: withoutNewline(result.stdout),
    stderr: withoutNewline(result.stderr),
  });
}

function runLocally(job: Job, command: string, environment: Record<string, string>): Promise<ProgramResult> {
  const { interpreter, dir, stdin } = job.inputs.values;
  const [file = "/bin/sh", ...args] = (interpreter as string[] | undefined) ?? ["/bin/sh", "-c"];
  return runProgram({
    file,
    args: [...args, command],
    env: { ...process.env, ...environment },
    cwd: dir as string | undefined,
    stdin: [String(stdin ?? "")],
    onLine: lineLogger(job),
    signal: job.signal,
  });
}

function runRemotely(job: Job, command: string, environment: Record<string, string>): Promise<ProgramResult> {
  return runRemote({
    connection: connectionOf(job),
    command,
    stdin: () => [String(job.inputs.values.stdin ?? "")],
    environment,
    onLine: lineLogger(job),
    onRetry: retryLogger(job),
    signal: job.signal,
  });
}

async function copy(job: Job): Promise<Properties> {
  const { command, stdin } = await copyOf(job.inputs.values.source, String(job.inputs.values.remotePath));
  const connection = connectionOf(job);
  const result = await runRemote({
    connection,
    command,
    stdin,
    onRetry: retryLogger(job),
    signal: job.signal,
  });
  failUnlessDone(job, result);
  return stateOf(job.inputs, {});
}

/** The connection with the SDK's defaults, for programs that do not use the SDK (YAML). */
function connectionOf({ inputs }: Job): Connection {
  const given = inputs.values.connection as unknown as Partial<Connection> & { host: string };
  return { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15, ...given };
}

function failUnlessDone({ resource, inputs }: Job, { status, signal, output }: ProgramResult): void {
  if (status === 0) return;
  const how = signal ? `was ended by ${signal}` : `failed with exit status ${status}`;
  const shown = masked(output.trimEnd(), secretTexts(inputs));
  throw new Error(
    `the command of ${resource.name} ${how}${shown === "" ? ", without output" : `:\n${shown}`}`,
  );
}

function lineLogger({ inputs, show }: Job): (stream: "stdout" | "stderr", line: string) => void {
  const { logging = "stdoutAndStderr" } = inputs.values;
  return (stream, line) => {
    if ((logging === "stdoutAndStderr" || logging === stream) && line.trim() !== "") show(line);
  };
}

function retryLogger({ show }: Job): (attempt: number, reason: string) => void {
  return (attempt, reason) =>
    show(`attempt ${attempt} to reach the machine failed: ${reason}`, { isTransient: true });
}

/** Inputs and outputs together are the state, as with the official plugin. */
function stateOf(inputs: Properties, outputs: { stdout?: string; stderr?: string }): Properties {
  const { stdout = "", stderr = "" } = outputs;
  return {
    values: { ...withoutInternals(inputs.values), ...outputs },
    secrets: secretOutputs(inputs, { stdout, stderr }),
  };
}

function foretold(schema: ResourceSchema, inputs: Properties): Properties {
  const later = Object.fromEntries(Object.keys(schema.outputs).map((name) => [name, unknown] as const));
  return { values: { ...withoutInternals(inputs.values), ...later }, secrets: inputs.secrets };
}

function withoutInternals(values: Bag): Bag {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !isInternal(name)));
}

function sameInput(schema: ResourceSchema, name: string, olds: Bag, news: Bag): boolean {
  const kind = schema.inputs[name]?.is;
  return kind !== undefined && sameValue(kind, olds[name] ?? null, news[name] ?? null);
}

/** Go's strings.TrimSuffix(…, "\n") of the official plugin: one newline, not all. */
function withoutNewline(text: string): string {
  return text.replace(/\n$/, "");
}
