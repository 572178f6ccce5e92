/**
 * Operates a lab like a person: every call runs `scripts/lab`. So the demo and the end-to-end tests use the documented commands and see
 * what a person sees.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { z } from "zod";
import { type Incident, incidentSchema } from "../recovery/incidents/record.ts";
import type { LabStatus } from "./status.ts";

export type { Incident, LabStatus };

const scripts = join(import.meta.dirname, "../scripts");

/** The last line of `redis-test --json`. `lost` is null when the writes could not be read back. */
export type TrafficSummary = {
  writes: number;
  acknowledged: number;
  errors: number;
  slowestMs: number;
  lost: number | null;
};
/** A line of `redis-test --json`: one second of traffic. `at` is in milliseconds since 1970. */
export type TrafficSecond = { at: number; writes: number; slowestMs: number; errors: number };

/** Waits until `look` returns something; throws what was waited for and what was seen last after `deadlineMs`. */
export async function waitFor<T>(
  what: string,
  deadlineMs: number,
  look: () => Promise<T | undefined>,
  describe: () => string = () => "",
): Promise<T> {
  const began = performance.now();
  let lastError = "";
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
    } catch (error) {
      lastError = ` (last error: ${(error as Error).message})`;
    }
    if (performance.now() - began > deadlineMs) {
      throw new Error(`Not seen within ${deadlineMs} ms: ${what}. ${describe()}${lastError}`);
    }
    await delay(200);
  }
}

/** The commands of `scripts/lab` on one lab. */
export class LabOperator {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs `scripts/lab VERB --name … ARGUMENTS`; rejects with its output when the exit status is not 0. */
  async lab(verb: string, ...args: string[]): Promise<string> {
    const { stdout } = await execa(join(scripts, "lab"), [verb, "--name", this.name, ...args], {
      stdin: "ignore",
    });
    return stdout;
  }

  async status(): Promise<LabStatus> {
    return JSON.parse(await this.lab("status", "--json")) as LabStatus;
  }

  /** Runs a command as root inside a machine; rejects when its exit status is not 0. */
  async exec(machine: string, ...command: string[]): Promise<string> {
    return this.lab("exec", machine, "--", ...command);
  }

  async fault(...args: string[]): Promise<void> {
    const [kind = "", ...rest] = args;
    await execa(join(scripts, "lab"), ["fault", kind, "--name", this.name, ...rest], { stdin: "ignore" });
  }

  async pulumi(...args: string[]): Promise<string> {
    const { stdout } = await execa(join(scripts, "pulumi"), ["--name", this.name, ...args], {
      stdin: "ignore",
    });
    return stdout;
  }

  /** Incidents that recovery has on record, oldest first. */
  async incidents(): Promise<Incident[]> {
    const printed = await this.exec("monit", "barton", "incidents", "--json");
    return z
      .array(incidentSchema)
      .parse(JSON.parse(printed))
      .sort((a, b) => a.noticedAt.localeCompare(b.noticedAt));
  }

  /** Waits for the desired state; throws with the status seen last. */
  async untilHealthy(deadlineMs: number): Promise<LabStatus> {
    let last: LabStatus | undefined;
    return waitFor(
      `a healthy lab '${this.name}'`,
      deadlineMs,
      async () => {
        last = await this.status();
        return last.healthy ? last : undefined;
      },
      () => `Last status: ${JSON.stringify(last)}`,
    );
  }

  /** The proxy machine that app's local haproxy sends new connections of shard 1 to now. */
  async activeProxy(): Promise<string> {
    const csv = await this.exec("app", "sh", "-c", "echo 'show stat' | socat stdio /run/haproxy/admin.sock");
    const [header = "", ...rows] = csv.replace(/^# /, "").split("\n");
    const columns = header.split(",");
    const value = (row: string, column: string) => row.split(",")[columns.indexOf(column)] ?? "";
    const usable = rows.filter(
      (row) => value(row, "pxname") === "shard1" && /^UP/.test(value(row, "status")),
    );
    const active = ["haproxy1", "haproxy2"].find((name) =>
      usable.some((row) => value(row, "svname") === name),
    );
    if (active === undefined) throw new Error("app's haproxy sees no usable proxy machine for shard 1");
    return active;
  }

  startTraffic(port: number, onSecond: (second: TrafficSecond) => void = () => {}): Traffic {
    return new Traffic(this, port, onSecond);
  }
}

/** `redis-test PORT` running on app. */
export class Traffic {
  readonly seconds: TrafficSecond[] = [];
  readonly #operator: LabOperator;
  readonly #pidFile = `/run/redis-test-${randomUUID()}.pid`;
  readonly #ended: Promise<TrafficSummary>;

  constructor(operator: LabOperator, port: number, onSecond: (second: TrafficSecond) => void) {
    this.#operator = operator;
    const shell = `echo $$ > ${this.#pidFile}; exec redis-test ${port} --json --seconds 3600`;
    const running = execa(
      join(scripts, "lab"),
      ["exec", "--name", operator.name, "app", "--", "bash", "-c", shell],
      {
        stdin: "ignore",
        reject: false,
        // A Ctrl-C at the terminal is for the demo, which then ends the traffic in order.
        detached: true,
      },
    );
    this.#ended = this.#read(running, onSecond);
    this.#ended.catch(() => {}); // whoever calls stop() sees it
  }

  async #read(
    running: AsyncIterable<string> & PromiseLike<{ stderr: unknown }>,
    onSecond: (second: TrafficSecond) => void,
  ) {
    let summary: TrafficSummary | undefined;
    for await (const line of running) {
      const parsed = JSON.parse(line) as TrafficSecond & TrafficSummary & { summary?: true };
      if (parsed.summary) {
        summary = parsed;
      } else {
        this.seconds.push(parsed);
        onSecond(parsed);
      }
    }
    const { stderr } = await running;
    if (summary === undefined) throw new Error(`redis-test ended without a summary: ${String(stderr)}`);
    return summary;
  }

  /** Waits until `seconds` lines with writes and without a wait have come, from now on. */
  async untilFlowing(seconds: number, deadlineMs: number): Promise<void> {
    const from = this.seconds.length;
    await waitFor(`${seconds} s of steady writes`, deadlineMs, async () => {
      const steady = this.seconds
        .slice(from)
        .filter((second) => second.writes > 0 && second.slowestMs < 1000);
      return steady.length >= seconds || undefined;
    });
  }

  /** Ends the traffic as Ctrl-C would; resolves with its summary after it has read back what it wrote. */
  async stop(): Promise<TrafficSummary> {
    await this.#operator.exec(
      "app",
      "sh",
      "-c",
      `kill -INT "$(cat ${this.#pidFile})" && rm -f ${this.#pidFile}`,
    );
    return this.#ended;
  }
}
