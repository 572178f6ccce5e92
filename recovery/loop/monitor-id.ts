/**
 * The id of this monitor. Two monitors may run by mistake: a monit that its group has replaced and that still runs, or a second one
 * that somebody started. Of two, the one on the younger machine acts (decide/rules/one-monitor.ts). So the id has the launch time of
 * the machine and its instance. The metadata service gives both; it works also while the cloud's API is down.
 */
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";

const metadata = "http://169.254.169.254/latest";
const timeoutMs = 1_000;
const attempts = 5;
const pauseMs = 500;

/** Sorts by age: the greater one is the younger. At most 64 characters, none of them white space. */
export type MonitorId = string;

export function monitorId({ launchedAt, instanceId }: { launchedAt: string; instanceId: string }): MonitorId {
  return `${launchedAt}/${instanceId}`;
}

/** The instance that a monitor runs on. */
export const instanceOf = (id: MonitorId) => id.slice(id.indexOf("/") + 1);

/** This monitor's id; undefined when the metadata service does not tell it: then it acts, and cannot know of another one. */
export async function ownMonitorId(
  clock: Clock,
  log: Log,
  env: NodeJS.ProcessEnv = process.env,
): Promise<MonitorId | undefined> {
  if (env.BARTON_MONITOR_ID) return env.BARTON_MONITOR_ID;
  for (let attempt = 1; ; attempt++) {
    try {
      return monitorId(await ownInstance());
    } catch (error) {
      if (attempt === attempts) {
        log.warn(
          `who this monitor is remains unknown, and so whether it is the only one: ${(error as Error).message}`,
        );
        return undefined;
      }
      await clock.sleep(pauseMs);
    }
  }
}

async function ownInstance(): Promise<{ launchedAt: string; instanceId: string }> {
  const token = await ask("api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "60" }, "PUT");
  const document = await ask("dynamic/instance-identity/document", { "x-aws-ec2-metadata-token": token });
  const { pendingTime, instanceId } = JSON.parse(document) as { pendingTime?: string; instanceId?: string };
  if (pendingTime && instanceId) return { launchedAt: pendingTime, instanceId };
  throw new Error("the instance identity document has no pendingTime or no instanceId");
}

async function ask(path: string, headers: Record<string, string>, method = "GET"): Promise<string> {
  const response = await fetch(`${metadata}/${path}`, {
    method,
    headers,
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.ok) return response.text();
  throw new Error(`the metadata service answers ${response.status} to ${method} ${path}`);
}
