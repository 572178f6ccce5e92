/** What must not be taken for a failure (issue: detection): nobody fails over, and writes at most wait. */
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import {
  expectNothingLost,
  expectSmooth,
  lab,
  monitorWith,
  plainMonitor,
  scenarioBeforeEach,
  writeOnMonit,
} from "./scenario.ts";

const scenario = scenarioBeforeEach();

/** Runs a shell command on app with `ask COMMAND…`, which asks shard 1 as the client user. */
async function asClient(script: string): Promise<string> {
  const ask =
    '. /etc/barton/client.env; export REDISCLI_AUTH=$BARTON_CLIENT_PASSWORD; ask() { redis-cli --user "$BARTON_CLIENT_USER" --no-auth-warning -p 7001 "$@"; }';
  return lab.exec("app", "bash", "-c", `set -e; ${ask}; ${script}`);
}

/** Lines of a shard's redis server on `machine`, in its journal. */
async function journalOf(machine: string, pattern: string): Promise<number> {
  const count = `journalctl --no-pager -q | grep -c '${pattern}' || true`;
  return Number(await lab.exec(machine, "sh", "-c", count));
}

/** How often app's local proxy has left one of the proxies. */
const leftByApp = () => journalOf("app", "Server proxies/haproxy. is DOWN");

describe("a redis server that is busy", () => {
  test("a script of a second", async () => {
    const loop = (rounds: number) => `ask EVAL "for i = 1, ${rounds} do end return 'DONE'" 0`;
    const tried = 20_000_000;
    const tookMs = Number(
      await asClient(`s=$(date +%s%N); ${loop(tried)} > /dev/null; echo $((($(date +%s%N) - s) / 1000000))`),
    );
    expect(await asClient(loop(Math.round((tried * 1100) / tookMs)))).toBe("DONE");
    const summary = await scenario.current.ended();
    expect(summary.slowestMs).toBeGreaterThan(800); // the script did keep the server busy
    expectNothingLost(summary);
    await scenario.current.expectLeftAlone();
  });

  test("a fork with 200 MB of data", async () => {
    const { master } = scenario.current;
    const forks = () => journalOf(master, "Background AOF rewrite finished successfully");
    const before = await forks();
    // The append-only file is rewritten, by a fork, when it has grown enough.
    const fill =
      "head -c 4000000 /dev/urandom | base64 -w 0 > /tmp/value; for i in $(seq 40); do ask -x SET ballast:$i < /tmp/value; done; rm /tmp/value";
    await asClient(fill);
    try {
      await waitFor("a fork", 60_000, async () => (await forks()) > before || undefined);
      await scenario.current.untilFlowing();
    } finally {
      await asClient("ask UNLINK $(seq -f ballast:%g 40)");
    }
    expectNothingLost(await scenario.current.ended());
    await scenario.current.expectLeftAlone();
  });
});

describe("a link that loses 10 % of its packets", () => {
  test.each(["the master's machine", "haproxy1", "monit"])("%s", async (target) => {
    const machine = target === "the master's machine" ? scenario.current.master : target;
    const before = await leftByApp();
    await lab.fault("lossy", machine);
    await delay(20_000); // some hundred probes
    await lab.fault("heal");
    const summary = await scenario.current.ended();
    // No failover; but app's own proxy, which has no second witness, may go to the other proxy and back: each time the
    // request under way is cut.
    expectNothingLost(summary, Math.max((await leftByApp()) - before, 1));
    await scenario.current.expectLeftAlone();
  });
});

describe("recovery itself", () => {
  test("is paused for five seconds", async () => {
    const pid = await lab.exec("monit", "systemctl", "show", "-P", "MainPID", "barton-monitor");
    await lab.exec("monit", "kill", "-STOP", pid);
    await delay(5000); // the fault itself
    await lab.exec("monit", "kill", "-CONT", pid);
    await delay(2000); // time for a wrong verdict, were there one
    expectSmooth(await scenario.current.ended());
    await scenario.current.expectLeftAlone();
    expect(await lab.exec("monit", "systemctl", "show", "-P", "MainPID", "barton-monitor")).toBe(pid);
  });

  test("and haproxy1 are paused at once", async () => {
    const pid = await lab.exec("monit", "systemctl", "show", "-P", "MainPID", "barton-monitor");
    await lab.fault("pause", "haproxy1:haproxy", "--seconds", "3");
    await lab.exec("monit", "kill", "-STOP", pid);
    await delay(3500); // the fault itself
    await lab.exec("monit", "kill", "-CONT", pid);
    await delay(2000); // time for a wrong verdict, were there one
    expectNothingLost(await scenario.current.ended());
    await scenario.current.expectLeftAlone();
  });
});

/**
 * The lab's machines share one wall clock with the host, which is not to be set. So it is the monitor's own clock that
 * jumps: `Date` in its process is shifted by the seconds in a file. The monotonic clock does not jump, as on a real machine.
 */
describe("the monitor's wall clock jumps", () => {
  const shim = `import { readFileSync, watchFile } from "node:fs";
    const Real = Date; let shift = 0;
    const read = () => { shift = Number(readFileSync("/run/clock-shift", "utf8")) * 1000; };
    read(); watchFile("/run/clock-shift", { interval: 100, persistent: false }, read);
    globalThis.Date = class extends Real {
      constructor(...args) { super(...(args.length ? args : [Real.now() + shift])); }
      static now() { return Real.now() + shift; }
    };`;

  afterEach(async () => {
    await lab.exec("monit", "rm", "-f", "/run/clock-shift", "/run/clock-shift.mjs");
    await plainMonitor();
  });

  test.each([
    ["forwards", 3600],
    ["backwards", -3600],
  ])("an hour %s", async (_, seconds) => {
    await writeOnMonit("/run/clock-shift", "0");
    await writeOnMonit("/run/clock-shift.mjs", shim);
    await monitorWith({ NODE_OPTIONS: "--import=file:///run/clock-shift.mjs" });
    await lab.untilHealthy(30_000);
    await writeOnMonit("/run/clock-shift", String(seconds));
    await delay(5000); // some ten cycles with the other time
    expectSmooth(await scenario.current.ended());
    await scenario.current.expectLeftAlone();
    // It does live in the other time: what it notices now carries it.
    await lab.fault("crash", `${scenario.current.replica}:9001`);
    const noticed = await waitFor(
      "an incident",
      30_000,
      async () => (await scenario.current.newIncidents())[0],
    );
    const shiftSeen = (Date.parse(noticed.noticedAt) - Date.now()) / 1000;
    expect(Math.abs(shiftSeen - seconds)).toBeLessThan(60);
  });
});

/** Each is told from the others by what it was noticed as, and by whom: two vantage points at least. */
describe("three kinds of silence", () => {
  const several = "\\(say [\\w, ]+ and \\w+\\)";

  /** Waits until the replica has taken over; resolves with what recovery says about the reason. */
  async function promoted(): Promise<string> {
    const { replica } = scenario.current;
    await waitFor("the promotion", 30_000, async () => {
      return (await lab.status()).shards[0]?.master === replica || undefined;
    });
    return (await scenario.current.newIncidents()).map(({ because }) => because).join("\n");
  }

  test("refused: the process is gone, and is failed over at once", async () => {
    await lab.fault("crash", `${scenario.current.master}:9001`);
    expect(await promoted()).toMatch(new RegExp(`redis process is gone ${several}`));
    expectSmooth(await scenario.current.ended());
  });

  test("no answer at all: the machine is gone, is failed over at once, and replaced", async () => {
    const { master } = scenario.current;
    await lab.fault("vanish", master);
    expect(await promoted()).toMatch(new RegExp(`${master} does not answer on any port ${several}`));
    expectSmooth((await scenario.current.replaced(master)).summary);
  });

  test("a stall: failed over when patience has ended, and not before", async () => {
    const { before, master } = scenario.current;
    await lab.fault("hang", `${master}:9001`);
    expect(await promoted()).toMatch(new RegExp(`accepts but has not replied for too long ${several}`));
    await lab.fault("heal");
    const summary = await scenario.current.ended();
    expectNothingLost(summary);
    expect(summary.slowestMs).toBeGreaterThan(4000); // stallMs
    expect((await lab.untilHealthy(60_000)).machines).toEqual(before.machines);
  });
});
