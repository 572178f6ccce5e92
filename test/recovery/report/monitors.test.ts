/** The ready-made configurations for other monitors, as far as they can be tried without those monitors. */

import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { whyNoFailover } from "../../../recovery/orders/failover.ts";
import { Counters, metricsPage } from "../../../recovery/report/metrics.ts";

const folder = resolve(import.meta.dirname, "../../../docs/monitors");
const read = (name: string) => readFile(join(folder, name), "utf8");

test("every failover that they start is one of a machine that can be replaced, and only if recovery agrees", async () => {
  const names = (await readdir(folder)).filter((name) => !name.endsWith(".md"));
  const texts = await Promise.all(names.map(read));
  const machines = texts.flatMap((text) =>
    [...text.matchAll(/sbin\/failover --if-failed (\w+)/g)].map(([, one]) => one),
  );
  expect(new Set(machines).size).toBe(4);
  expect(texts.join()).not.toMatch(/sbin\/failover (?!--if-failed)\S/);
  for (const machine of machines) expect(whyNoFailover(String(machine)), machine).toBeUndefined();
});

test("the alert rules use metrics that exist", async () => {
  const page = metricsPage(new Counters(), {
    status: undefined,
    replacements: [],
    replacementsPerHourMax: 1,
    wallMs: 0,
    holds: [],
  });
  const known = [...page.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
  const rules = await read("prometheus-rules.yml");
  const used = [...rules.matchAll(/\bbarton_\w+/g)].map(([name]) => name.replace(/_(count|sum|bucket)$/, ""));
  expect(used.length).toBeGreaterThan(5);
  for (const name of used) expect(known).toContain(name);
});

test("the hook passes the machine on, and only a machine", async () => {
  const [hook] = JSON.parse(await read("webhook-hooks.json"));
  expect(hook["execute-command"]).toBe("/usr/local/sbin/failover");
  expect(hook["pass-arguments-to-command"].map(({ name }: { name: string }) => name)).toEqual([
    "--if-failed",
    "commonLabels.machine",
  ]);
  const rules: { match: { type: string; regex?: string } }[] = hook["trigger-rule"].and;
  const regex = new RegExp(rules.find(({ match }) => match.type === "regex")?.match.regex ?? "");
  for (const machine of ["redis1", "redis2", "haproxy1", "haproxy2"]) expect(regex.test(machine)).toBe(true);
  for (const wrong of ["app", "redis3", "redis1; reboot", "xredis1"]) expect(regex.test(wrong)).toBe(false);
});

describe("collectd's notification", () => {
  const notify = (changes: Record<string, string>) => {
    const fields = {
      Severity: "FAILURE",
      Host: "monit",
      Plugin: "barton",
      PluginInstance: "redis1",
      ...changes,
    };
    const headers = Object.entries(fields).map(([key, value]) => `${key}: ${value}`);
    const input = `${headers.join("\n")}\n\nHost monit, plugin barton: PluginInstance: redis2\n`;
    return execa({ input, env: { BARTON_FAILOVER: "echo failover" } })(join(folder, "collectd-notification"));
  };

  test("of a failure starts a failover", async () => {
    expect((await notify({})).stdout).toBe("failover --if-failed redis1");
  });

  test.each<Record<string, string>>([{ Severity: "OKAY" }, { Severity: "WARNING" }, { Plugin: "cpu" }])(
    "with %j does nothing",
    async (changes) => {
      expect((await notify(changes)).stdout).toBe("");
    },
  );
});

test("collectd's probe tells who accepts a connection", async () => {
  const redis = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(redis, "listening");
  const port = String((redis.address() as AddressInfo).port);
  const env = {
    COLLECTD_HOSTNAME: "monit",
    BARTON_PROBE_HOST: "127.0.0.1",
    BARTON_REDIS_PORT: port,
    BARTON_HEALTH_PORT: "1",
  };
  const { stdout } = await execa({ env })(join(folder, "collectd-probe"), ["10", "1"]);
  redis.close();
  expect(stdout.split("\n").sort()).toEqual([
    'PUTVAL "monit/barton-haproxy1/gauge-answers" interval=10 N:0',
    'PUTVAL "monit/barton-haproxy2/gauge-answers" interval=10 N:0',
    'PUTVAL "monit/barton-redis1/gauge-answers" interval=10 N:1',
    'PUTVAL "monit/barton-redis2/gauge-answers" interval=10 N:1',
  ]);
});
