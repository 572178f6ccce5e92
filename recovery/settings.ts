/**
 * Recovery's paths on the `monit` machine, its credentials, and its own limits. The settings of failure detection are not here:
 * they are part of the program's configuration and arrive with the topology.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const limitsSchema = z.object({
  /** How long a crashed process may take to come back (systemd restarts it after some seconds) before its machine is replaced. */
  graceMs: z.int().positive().default(15_000),
  /**
   * How long traffic waits for data that may be better than those at hand, because a lost machine is being replaced and gets
   * its volume. Then the copy at hand is used, and what it lacks is lost.
   */
  dataPatienceMs: z.int().positive().default(600_000),
  /** How long a new machine may take until its servers answer. */
  bootMs: z.int().positive().default(180_000),
  /**
   * How long a proxy must be silent (app moves to its twin by itself, so calm costs no traffic), or be alone in not
   * reaching a master, until its traffic makes a detour.
   */
  proxyPatienceMs: z.int().positive().default(2_000),
  /** Replacements of one machine within an hour; then it is held (rule 8). */
  replacementsPerHourMax: z.int().positive().default(10),
});
export type Limits = z.infer<typeof limitsSchema>;

const credentialsSchema = z.object({
  redisUser: z.string().min(1),
  redisPassword: z.string().min(1),
  limits: limitsSchema.prefault({}),
});

export interface Settings {
  redisUser: string;
  redisPassword: string;
  limits: Limits;
  /** Memory, incidents and caches, kept across restarts. */
  stateDir: string;
  /** The socket of the running monitor. */
  runDir: string;
  /** Private key for root@haproxyN, to copy the running proxy's configuration. */
  sshKey: string;
  stack: string;
  projectDir: string;
  /** As the environment has them: a mistake there must not keep recovery from running. */
  reporting: { metricsPort?: string; webhookUrl?: string };
}

/** The default limits; `limits` in /etc/barton/recovery.json overrides single ones. */
export const defaultLimits: Limits = limitsSchema.parse({});

/**
 * Reads the settings of this machine.
 *
 * @throws when the credentials file is missing or malformed (names the file and the key), or when
 *   BARTON_STACK or BARTON_PROJECT_DIR is not set.
 */
export async function readSettings(env: NodeJS.ProcessEnv = process.env): Promise<Settings> {
  const file = env.BARTON_RECOVERY_FILE ?? "/etc/barton/recovery.json";
  const credentials = parseCredentials(file, await readCredentials(file));
  return {
    ...credentials,
    ...pathsFrom(env),
    stack: required(env, "BARTON_STACK"),
    projectDir: required(env, "BARTON_PROJECT_DIR"),
    reporting: { metricsPort: env.BARTON_METRICS_PORT, webhookUrl: env.BARTON_WEBHOOK_URL },
  };
}

/** The folders and files that recovery uses, each of which the environment may move. */
export function pathsFrom(env: NodeJS.ProcessEnv = process.env) {
  return {
    stateDir: env.BARTON_STATE_DIR ?? "/var/lib/barton",
    runDir: env.BARTON_RUN_DIR ?? "/run/barton",
    sshKey: env.BARTON_SSH_KEY ?? "/etc/barton/ssh_key",
  };
}

/** The running monitor's socket. */
export const monitorSocket = (runDir: string) => join(runDir, "monitor.sock");

async function readCredentials(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new Error(
      `cannot read ${file}, which holds recovery's redis credentials; is this the monit machine, and are you root?`,
      { cause },
    );
  }
}

function parseCredentials(file: string, text: string) {
  const parsed = credentialsSchema.safeParse(parseJson(file, text));
  if (parsed.success) return parsed.data;
  throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${file} is not valid JSON; expected {"redisUser": "recovery", "redisPassword": "…"}`);
  }
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (!value) {
    throw new Error(
      `${name} is not set; on monit it comes from /etc/barton/monitor.env (see barton-monitor.service)`,
    );
  }
  return value;
}
