/** What the end-to-end tests of failures share: a healthy lab under traffic before each, and what must hold after it. */
import { afterEach, beforeEach, expect, inject } from "vitest";
import { forgiveAll, rememberReplacements } from "../../lab/budget.ts";
import {
  LabOperator,
  type LabStatus,
  type Traffic,
  type TrafficSummary,
  waitFor,
} from "../../lab/operate.ts";

export const lab = new LabOperator(inject("labName"));

/** The longest pause of writes through 7001 that the traffic may have seen, in ms (issue: go on within 2 s). */
const pauseMsMax = 2000;
/** How long a replacement may take until all is well again, in ms. */
export const replacementMsMax = 60_000;

/** One test's healthy lab and its traffic through 7001. */
export class Scenario {
  /** The lab before the fault. */
  before: LabStatus;
  #traffic: Traffic | undefined;
  #incidents: ReadonlySet<string>;

  private constructor(before: LabStatus, incidents: ReadonlySet<string>) {
    this.before = before;
    this.#incidents = incidents;
  }

  /** A fault is injected only into a healthy system under traffic; anything else would prove nothing. */
  static async begin(): Promise<Scenario> {
    const before = await lab.untilHealthy(120_000);
    const incidents = new Set((await lab.incidents()).map(({ id }) => id));
    const scenario = new Scenario(before, incidents);
    scenario.#traffic = lab.startTraffic(7001);
    await scenario.untilFlowing();
    return scenario;
  }

  /** The machine with the master, and that with the replica, of shard 1 before the fault. */
  get master(): string {
    return this.before.shards[0]?.master ?? "";
  }
  get replica(): string {
    return this.before.shards[0]?.replica ?? "";
  }

  /** Waits until writes flow steadily again. */
  async untilFlowing(seconds = 2): Promise<void> {
    await this.#traffic?.untilFlowing(seconds, 30_000);
  }

  /** Ends the traffic; resolves with its summary. */
  async endTraffic(): Promise<TrafficSummary> {
    const traffic = this.#traffic;
    this.#traffic = undefined;
    if (traffic === undefined) throw new Error("there was no traffic");
    return traffic.stop();
  }

  /** Waits until `machines` are new ones and the desired state is reached, and writes flow. */
  async replaced(...machines: string[]): Promise<{ after: LabStatus; summary: TrafficSummary }> {
    return this.replacedWithin(replacementMsMax, ...machines);
  }

  /** As `replaced`, for a replacement that has to wait or to begin again. */
  async replacedWithin(
    deadlineMs: number,
    ...machines: string[]
  ): Promise<{ after: LabStatus; summary: TrafficSummary }> {
    const after = await untilReplaced(this.before, deadlineMs, ...machines);
    return { after, summary: await this.ended() };
  }

  /** Waits until writes flow, and ends them. */
  async ended(): Promise<TrafficSummary> {
    await this.untilFlowing();
    return this.endTraffic();
  }

  /** What recovery noticed since the test began. */
  async newIncidents() {
    return (await lab.incidents()).filter(({ id }) => !this.#incidents.has(id));
  }

  /**
   * Expects that a disturbance was not taken for a failure: the same masters on the same machines, and nothing was
   * done to any of them.
   */
  async expectLeftAlone(): Promise<void> {
    const after = await lab.untilHealthy(30_000);
    const roles = ({ shards }: LabStatus) => shards.map(({ index, master }) => ({ index, master }));
    expect(roles(after)).toEqual(roles(this.before));
    expect(after.machines).toEqual(this.before.machines);
    const acted = (await this.newIncidents()).filter(({ steps }) => steps.length > 0);
    expect(acted).toEqual([]);
  }
}

/** Begins a scenario before each test of the file; all faults are healed after each. */
export function scenarioBeforeEach(): { readonly current: Scenario } {
  let current: Scenario | undefined;
  beforeEach(async () => {
    current = await Scenario.begin();
  });
  afterEach(async () => {
    await current?.endTraffic().catch(() => {});
    current = undefined;
    await lab.fault("heal");
  });
  return {
    get current() {
      if (current === undefined) throw new Error("no test is running");
      return current;
    },
  };
}

/** Waits until `machines` are others than in `before`, and the lab is healthy. */
export async function untilReplaced(
  before: LabStatus,
  deadlineMs: number,
  ...machines: string[]
): Promise<LabStatus> {
  let last: LabStatus | undefined;
  return waitFor(
    `${machines.join(" and ")} replaced and the lab healthy`,
    deadlineMs,
    async () => {
      const now = await lab.status();
      last = now;
      const areNew = machines.every((name) => addressIn(now, name) !== addressIn(before, name));
      return areNew && now.healthy ? now : undefined;
    },
    () => `Last status: ${JSON.stringify(last)}`,
  );
}

export const addressIn = (status: LabStatus, name: string) =>
  status.machines.find((machine) => machine.name === name)?.address;

/** The address that the VPC's resolver gives app for a machine. */
export async function recordOf(name: string): Promise<string> {
  // A machine takes its own name from its /etc/hosts.
  const asked = name === "app" ? "monit" : "app";
  return (await lab.exec(asked, "getent", "hosts", `${name}.barton`)).split(/\s+/)[0] ?? "";
}

/** A command to shard 1's redis on `machine`, with recovery's credentials. */
export const asRecovery = (machine: string, ...command: string[]) => asRecoveryAt(9001, machine, ...command);

/** The same to the redis at that port. */
export async function asRecoveryAt(port: number, machine: string, ...command: string[]): Promise<string> {
  const node =
    'const { redisUser, redisPassword } = require("/etc/barton/recovery.json"); console.log(redisUser, redisPassword)';
  const [user, password] = (await lab.exec("monit", "/opt/barton/tools/bin/node", "-e", node)).split(" ");
  const script = 'export REDISCLI_AUTH="$1"; shift; exec redis-cli "$@"';
  const target = ["--user", user ?? "", "--no-auth-warning", "-p", String(port)];
  return lab.exec(machine, "sh", "-c", script, "sh", password ?? "", ...target, ...command);
}

/** A command to a proxy's runtime socket. */
export const runtime = (proxy: string, command: string) =>
  lab.exec(proxy, "sh", "-c", 'echo "$1" | socat stdio /run/haproxy/admin.sock', "sh", command);

/** The redis machines that a proxy sends traffic of shard 1 to. */
export async function readyServers(proxy: string): Promise<string[]> {
  return (await serversInUse(proxy, "shard1")).filter((server) => server.startsWith("redis"));
}

/** May app use the proxy? */
export async function isRegistered(proxy: string): Promise<boolean> {
  return (await serversInUse(proxy, "registered")).includes("self");
}

async function serversInUse(proxy: string, backend: string): Promise<string[]> {
  const lines = await statOf(proxy);
  return lines
    .filter(({ pxname, status }) => pxname === backend && status !== "MAINT")
    .map(({ svname = "" }) => svname);
}

/** Does the proxy send new connections to this server (`shard1/hold`)? One that drains gets none, nor one without weight. */
export async function takesConnections(proxy: string, server: string): Promise<boolean> {
  const line = (await statOf(proxy)).find(({ pxname, svname }) => `${pxname}/${svname}` === server);
  if (line === undefined) throw new Error(`${proxy} has no server ${server}`);
  return line.status === "no check" && line.weight !== "0";
}

/** Does the proxy's frontend listen? */
export async function isOpen(proxy: string, frontend: string): Promise<boolean> {
  const lines = await statOf(proxy);
  return lines.some(
    ({ pxname, svname, status }) => pxname === frontend && svname === "FRONTEND" && status === "OPEN",
  );
}

/** `show stat`, each line by the names of its columns. */
async function statOf(proxy: string): Promise<Record<string, string>[]> {
  const [header = "", ...rows] = (await runtime(proxy, "show stat")).split("\n");
  const names = header.replace(/^# /, "").split(",");
  return rows.map((row) => Object.fromEntries(row.split(",").map((cell, i) => [names[i] ?? "", cell])));
}

/** Expects that nothing acknowledged was lost and nobody saw an error, except for a write in flight at each failure. */
export function expectNothingLost({ lost, acknowledged, errors }: TrafficSummary, failures = 1): void {
  expect(lost).toBe(0);
  expect(acknowledged).toBeGreaterThan(100);
  // One write at a time is in flight, and only that one may fail.
  expect(errors).toBeLessThanOrEqual(failures);
}

/** Expects, besides, that writes went on within the time that a failure may take. */
export function expectSmooth(summary: TrafficSummary, failures = 1): void {
  expectNothingLost(summary, failures);
  expect(summary.slowestMs).toBeLessThanOrEqual(pauseMsMax);
}

/**
 * Makes recovery forget how often it replaced machines. These tests put a month of failures into an hour, which its
 * budget (rule 8) rightly holds against them.
 */
export async function freshBudget(): Promise<void> {
  await lab.untilHealthy(120_000);
  await forgiveAll(lab);
}

/** Makes recovery believe that it has replaced `machine` so often within the last minutes that its budget is spent. */
export async function spendBudget(machine: string, times: number): Promise<void> {
  await lab.untilHealthy(120_000);
  await rememberReplacements(
    lab,
    Array.from({ length: times }, (_, i) => ({ machine, wallMs: Date.now() - i * 60_000 })),
  );
}

const dropIns = "/run/systemd/system/barton-monitor.service.d";

/** Writes a file on monit. */
export async function writeOnMonit(file: string, text: string): Promise<void> {
  const script = 'mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"';
  await lab.exec("monit", "sh", "-c", script, "sh", file, text);
}

/** Starts the monitor anew with variables in its environment, until `plainMonitor`. */
export async function monitorWith(variables: Record<string, string>): Promise<void> {
  const lines = Object.entries(variables).map(([name, value]) => `Environment="${name}=${value}"\n`);
  await writeOnMonit(`${dropIns}/test.conf`, `[Service]\n${lines.join("")}`);
  await restartMonitor();
}

/** Starts the monitor anew as the program made it. */
export async function plainMonitor(): Promise<void> {
  await lab.exec("monit", "rm", "-rf", dropIns);
  await restartMonitor();
}

async function restartMonitor(): Promise<void> {
  await lab.exec("monit", "systemctl", "daemon-reload");
  await lab.exec("monit", "systemctl", "restart", "barton-monitor");
}
