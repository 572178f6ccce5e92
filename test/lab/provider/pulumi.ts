/** A throw-away Pulumi project for tests with the real engine, the real CLI and our plugins. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

const root = join(import.meta.dirname, "../../..");
const cache = process.env.BARTON_CACHE || "/var/cache/barton";

export interface Project {
  folder: string;
  /** What a pulumi needs in its environment for this project. */
  env: Record<string, string>;
  /** Replaces the program and runs `pulumi <args>`; rejects with the whole output when it fails. */
  run(args: string[], program?: string): Promise<string>;
  /** The same for a run that must fail: its output. */
  fails(args: string[], program?: string): Promise<string>;
  /** Starts it, for tests that interrupt it: `pid` is the CLI's, `ended` resolves with its whole output. */
  start(args: string[], program?: string): Promise<{ pid: number; ended: Promise<string> }>;
  /** The stack's state, as `pulumi stack export` shows it (secrets encrypted). */
  state(): Promise<{ text: string; resources: StateResource[] }>;
  remove(): Promise<void>;
}

export interface StateResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  taint?: boolean;
}

/**
 * Makes the project with a stack `local`; `env` is what the plugins see, `prefix` is put before the command line
 * (`nsenter …`, for programs that reach machines of a lab).
 */
export async function newProject(env: Record<string, string>, prefix: string[] = []): Promise<Project> {
  if (!existsSync(join(cache, "bin/pulumi")))
    throw new Error(`there is no ${cache}/bin/pulumi: run scripts/setup`);
  const folder = await mkdtemp(join(tmpdir(), "barton-pulumi-"));
  await mkdir(join(folder, "state"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{"name":"trial","type":"module"}\n');
  await writeFile(join(folder, "Pulumi.yaml"), projectFile());
  const [file = "", ...first] = [...prefix, join(cache, "bin/pulumi")];
  const full = {
    PATH: [
      join(cache, "bin"),
      join(root, "node_modules/.bin"),
      process.env.PATH,
      join(root, "lab/command"),
    ].join(":"),
    PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
    PULUMI_CONFIG_PASSPHRASE: "trial",
    PULUMI_HOME: join(folder, "home"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // A third of the time of a run, of which these tests have dozens.
    NODE_COMPILE_CACHE: join(cache, "compiled"),
    ...env,
  };
  const pulumi = (args: string[]) =>
    execa(file, [...first, ...args, "--non-interactive", "--color", "never"], {
      cwd: folder,
      all: true,
      reject: false,
      stdin: "ignore",
      env: full,
    });
  const attempt = async (args: string[], program?: string) => {
    if (program !== undefined) await writeFile(join(folder, "index.ts"), program);
    const { exitCode, all } = await pulumi(args);
    return { exitCode, output: all };
  };
  const run = async (args: string[], program?: string) => {
    const { exitCode, output } = await attempt(args, program);
    if (exitCode !== 0)
      throw new Error(`pulumi ${args.join(" ")} failed with status ${exitCode}:\n${output}`);
    return output;
  };
  await run(["stack", "init", "local"]);
  await run(["config", "set", "aws:region", "eu-central-1"]);
  await run(["config", "set", "--path", "aws:defaultTags.tags.project", "barton"]);
  return {
    folder,
    env: full,
    run,
    async fails(args, program) {
      const { exitCode, output } = await attempt(args, program);
      if (exitCode === 0) throw new Error(`pulumi ${args.join(" ")} should have failed:\n${output}`);
      return output;
    },
    async start(args, program) {
      if (program !== undefined) await writeFile(join(folder, "index.ts"), program);
      const child = pulumi(args);
      if (child.pid === undefined) throw new Error("pulumi could not be started");
      return { pid: child.pid, ended: child.then(({ all }) => all) };
    },
    async state() {
      const text = await run(["stack", "export"]);
      // A stack without resources has no such list.
      const { deployment } = JSON.parse(text) as { deployment: { resources?: StateResource[] } };
      return { text, resources: deployment.resources ?? [] };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** As lab/Pulumi.yaml, but with the program beside it. */
function projectFile(): string {
  return [
    "name: barton",
    "main: index.ts",
    "runtime: {name: nodejs, options: {typescript: false}}",
    `plugins: {providers: [{name: aws, path: "${join(root, "lab/provider")}"}]}`,
    "",
  ].join("\n");
}
