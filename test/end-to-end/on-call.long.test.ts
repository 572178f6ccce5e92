/** What people, and the monitors that they have already, see of a failure: plan, watch, pages, notifications, an order from outside. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { labNamed } from "../../lab/lab.ts";
import { runningMachine } from "../../lab/machines.ts";
import { waitFor } from "../../lab/operate.ts";
import {
  addressIn,
  expectNothingLost,
  expectSmooth,
  freshBudget,
  lab,
  scenarioBeforeEach,
} from "./scenario.ts";

const onMonit = (script: string) => lab.exec("monit", "bash", "-c", script);
const barton = (...args: string[]) => lab.exec("monit", "barton", ...args);
const page = () => onMonit("curl -fsS http://127.0.0.1:9464/metrics");
const node = "/opt/barton/tools/bin/node";
const received = "/run/notifications.jsonl";

/** A receiver of notifications on monit, as a service there: each message becomes a line of a file. */
const receiver = `require("node:http").createServer((request, response) => {
  let text = "";
  request.on("data", (piece) => { text += piece; });
  request.on("end", () => { require("node:fs").appendFileSync("${received}", text + "\\n"); response.end(); });
}).listen(9466, "127.0.0.1")`;

async function notifications(): Promise<{ event: string; about: string; sentence: string }[]> {
  const text = await onMonit(`cat ${received} 2>/dev/null || true`);
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const webhook = ["--path", "barton:monitEnvironment.BARTON_WEBHOOK_URL"];
const up = () => lab.pulumi("up", "--yes", "--skip-preview");

beforeAll(async () => {
  await freshBudget();
  await lab.exec("monit", "systemd-run", "--quiet", "--unit", "receiver", node, "-e", receiver);
  await lab.pulumi("config", "set", "--secret", ...webhook, "http://127.0.0.1:9466/");
  await up(); // brings it to the running monit
}, 120_000);
afterAll(async () => {
  await lab.pulumi("config", "rm", ...webhook);
  await up();
  await onMonit("systemctl stop receiver");
}, 120_000);

const scenario = scenarioBeforeEach();

test("a failure as the page, the notifications and the watch tell it", async () => {
  const { master, replica } = scenario.current;
  expect(await page()).toContain("barton_healthy 1");
  const watch = "/run/watch.log";
  await onMonit(`systemd-run --quiet --unit watch bash -c 'exec barton status --watch >${watch}'`);
  await lab.fault("vanish", master);
  await waitFor("the page to tell the incident", 20_000, async () => {
    const text = await page();
    return (
      (text.includes("barton_healthy 0") && text.includes(`barton_incident_open{machine="${master}"`)) ||
      undefined
    );
  });
  const { summary } = await scenario.current.replaced(master);
  expectSmooth(summary);

  const text = await page();
  expect(text).toContain("barton_healthy 1");
  expect(text).toMatch(new RegExp(`barton_incidents_total\\{machine="${master}",[^}]*\\} 1`));
  expect(text).toContain(`barton_shard_master{shard="1",machine="${replica}"} 1`);
  expect(text).toMatch(/barton_step_duration_seconds_count\{step="promote",outcome="done"\} [1-9]/);

  const told = await waitFor("the last notification", 10_000, async () => {
    const all = await notifications();
    return all.some(({ event }) => event === "incident-end") ? all : undefined;
  });
  expect(told.filter(({ about }) => about === master).map(({ event }) => event)).toEqual([
    "incident-start",
    "incident-end",
  ]);
  expect(told[0]?.sentence).toMatch(new RegExp(`^${master} does not answer on any port`));

  const watched = await onMonit(`systemctl stop watch; cat ${watch}`);
  expect(watched).toMatch(new RegExp(`^\\S+Z .*${master} does not answer on any port`, "m"));
  expect(watched).toMatch(new RegExp(`^\\S+Z .*all is well: .*${replica} serves, ${master} has a copy`, "m"));
});

test("a failure in a pause: the plan says what would be done, nothing is, and it is done when the pause ends", async () => {
  const { master, replica } = scenario.current;
  expect(await barton("plan")).toContain("nothing to do");
  await barton("pause", "--for", "10m", "--why", "a test");
  try {
    await lab.fault("vanish", master);
    const plan = await waitFor("the plan", 20_000, async () => {
      const text = await barton("plan");
      return text.includes(`make ${replica} master of shard 1`) ? text : undefined;
    });
    expect(plan).toContain(`stop monitoring ${master}`);
    const status = await barton("status");
    expect(status).toMatch(/paused until .*a test/);
    await expect(barton("status", "--check")).rejects.toThrow();
    await expect(lab.exec("monit", "failover", master)).rejects.toThrow(/paused until/);
    // It watches and keeps the record; it has done nothing.
    const incidents = await scenario.current.newIncidents();
    expect(incidents.map((incident) => incident.machine)).toContain(master);
    expect(incidents.flatMap(({ steps }) => steps)).toEqual([]);
  } finally {
    await barton("resume");
  }
  const { summary } = await scenario.current.replaced(master);
  expectNothingLost(summary);
});

/** Debian's webhook, which Alertmanager calls, with barton's ready-made configuration. */
async function installWebhook(): Promise<void> {
  const { leader } = runningMachine(labNamed(lab.name), "monit");
  const root = `/proc/${leader}/root/run`;
  const tools = join(labNamed(lab.name).cacheDir, "monitors");
  await copyFile(join(tools, "usr/bin/webhook"), `${root}/webhook`);
  await copyFile(join(import.meta.dirname, "../../docs/monitors/webhook-hooks.json"), `${root}/hooks.json`);
  const command = "/run/webhook -ip 127.0.0.1 -port 9465 -template -hooks /run/hooks.json";
  await onMonit(
    `systemd-run --quiet --unit webhook --setenv BARTON_HOOK_TOKEN=a-test --setenv PATH=/usr/local/sbin:/usr/bin:/bin ${command}`,
  );
}

test("barton's monitor is stopped, and another one's alert starts the same failover", async () => {
  const { before, master, replica } = scenario.current;
  await installWebhook();
  await onMonit("systemctl stop barton-monitor");
  try {
    await lab.fault("vanish", master);
    const alert = { status: "firing", commonLabels: { action: "failover", machine: master } };
    const post = (token: string) =>
      onMonit(
        `curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' ` +
          `--data '${JSON.stringify(alert)}' http://127.0.0.1:9465/hooks/barton-failover`,
      );
    expect(await waitFor("webhook", 10_000, () => post("wrong"))).toBe("403");
    expect(await post("a-test")).toBe("200");
    // Nobody but the monitor answers `barton status`: what the order did is seen from outside.
    await waitFor(`another ${master}`, 120_000, async () => {
      return addressIn(await lab.status(), master) !== addressIn(before, master) || undefined;
    });
    await waitFor("the order's end", 120_000, async () => {
      return (await onMonit("pgrep -f '[s]bin/failover' || echo none")) === "none" || undefined;
    });
    await scenario.current.untilFlowing();
  } finally {
    await onMonit("systemctl stop webhook; systemctl start barton-monitor");
  }
  const { after, summary } = await scenario.current.replaced(master);
  expect(after.shards[0]).toMatchObject({ master: replica, replica: master });
  expectNothingLost(summary);
});
