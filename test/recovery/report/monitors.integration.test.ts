/**
 * The ready-made configurations for other monitors, tried with those monitors where they are installed
 * (on the PATH, or unpacked below BARTON_MONITOR_TOOLS). Each gets a `failover` that only notes its machine.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";

const docs = resolve(import.meta.dirname, "../../../docs/monitors");
const unpacked = process.env.BARTON_MONITOR_TOOLS ?? "";
const folders = [
  ...(unpacked ? [join(unpacked, "usr/bin"), join(unpacked, "usr/sbin")] : []),
  ...(process.env.PATH ?? "").split(":"),
];
const toolOf = (name: string) => folders.map((one) => join(one, name)).find((path) => existsSync(path));

let folder: string;
let stop: (() => Promise<void>) | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "barton-monitors-"));
  await chmod(folder, 0o755);
  await writeFile(notes(), "", { mode: 0o666 });
  await chmod(notes(), 0o666);
  for (const name of ["failover", "barton"])
    await writeFile(join(folder, name), `#!/bin/sh\necho "$@" >> ${notes()}\n`, { mode: 0o755 });
});
afterEach(async () => {
  await stop?.();
  stop = undefined;
  await rm(folder, { recursive: true, force: true });
});

const notes = () => join(folder, "notes");
const read = (name: string) => readFile(join(docs, name), "utf8");

/** Writes a configuration whose commands are the stand-ins. */
async function place(name: string, change: (text: string) => string): Promise<string> {
  const path = join(folder, name);
  const text = (await read(name)).replaceAll("/usr/local/sbin", folder).replaceAll("/usr/local/bin", folder);
  await writeFile(path, change(text), { mode: 0o600 });
  return path;
}

/** Starts a program that goes on until the test has ended. */
function start(command: string, args: string[], env: Record<string, string> = {}): void {
  const child = spawn(command, args, { stdio: "ignore", env: { ...process.env, ...env } });
  const exited = new Promise<void>((done) => child.once("exit", () => done()));
  stop = async () => {
    child.kill("SIGKILL");
    await exited;
  };
}

async function until(what: string, condition: () => Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not seen within ${deadlineMs} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const noted = async () => (await readFile(notes(), "utf8")).trim().split("\n");

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === "object" && address ? address.port : 0;
}

const monit = toolOf("monit");
test.skipIf(!monit)("monit starts a failover of what does not answer", async () => {
  const config = await place("barton.monit", (text) =>
    text
      .replace(
        "set daemon 10",
        `set daemon 1\nset pidfile ${folder}/pid\nset statefile ${folder}/state\nset idfile ${folder}/id`,
      )
      .replaceAll(/address \w+\.barton/g, "address 127.0.0.1")
      .replaceAll(/port \d+/g, "port 1")
      .replaceAll("for 6 cycles", "for 2 cycles"),
  );
  expect((await execa(String(monit), ["-t", "-c", config])).stdout).toContain("syntax OK");
  start(String(monit), ["-I", "-c", config]);
  const machines = ["haproxy1", "haproxy2", "redis1", "redis2"];
  await until("the failovers", async () => {
    const seen = await noted();
    return machines.every((machine) => seen.includes(`--if-failed ${machine}`));
  });
  expect(await noted()).toContain("status --check");
});

const collectd = toolOf("collectd");
test.skipIf(!collectd || process.getuid?.() !== 0)(
  "collectd starts a failover of what does not answer",
  async () => {
    const config = await place("barton.collectd.conf", (text) =>
      [
        ...(unpacked
          ? [`PluginDir "${unpacked}/usr/lib/collectd"`, `TypesDB "${unpacked}/usr/share/collectd/types.db"`]
          : []),
        `BaseDir "${folder}"\nPIDFile "${folder}/pid"\nInterval 1`,
        text
          .replaceAll("barton-watch", "nobody")
          .replaceAll("/usr/local/lib/barton", folder)
          .replace('"10"', '"1"')
          .replace("Hits 6", "Hits 2"),
      ].join("\n"),
    );
    for (const script of ["collectd-probe", "collectd-notification"]) {
      await writeFile(join(folder, script), await read(script), { mode: 0o755 });
    }
    start(String(collectd), ["-f", "-C", config], {
      BARTON_PROBE_HOST: "127.0.0.1",
      BARTON_REDIS_PORT: "1",
      BARTON_HEALTH_PORT: "1",
      BARTON_FAILOVER: join(folder, "failover"),
    });
    await until("the failover", async () => (await noted()).includes("--if-failed redis1"));
  },
);

const webhook = toolOf("webhook");
test.skipIf(!webhook)("an alert starts a failover through webhook, with the token only", async () => {
  const hooks = await place("webhook-hooks.json", (text) => text);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/hooks/barton-failover`;
  const args = ["-ip", "127.0.0.1", "-port", String(port), "-template", "-hooks", hooks];
  start(String(webhook), args, { BARTON_HOOK_TOKEN: "secret" });
  const alert = (machine: string, token: string, status = "firing") =>
    fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ status, commonLabels: { machine, action: "failover" }, alerts: [] }),
    });
  await until("webhook", () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
  expect((await alert("redis1", "wrong")).status).toBe(403);
  expect((await alert("redis1", "secret", "resolved")).status).toBe(403);
  expect((await alert("app", "secret")).status).toBe(403);
  expect((await alert("haproxy2", "secret")).status).toBe(200);
  await until("the failover", async () => (await noted()).includes("--if-failed haproxy2"));
  expect(await noted()).toEqual(["--if-failed haproxy2"]);
});

const promtool = toolOf("promtool");
test.skipIf(!promtool)("promtool accepts the alert rules and their test", async () => {
  await execa(String(promtool), ["check", "rules", join(docs, "prometheus-rules.yml")]);
  const { stdout } = await execa(String(promtool), [
    "test",
    "rules",
    join(docs, "prometheus-rules.test.yml"),
  ]);
  expect(stdout).toContain("SUCCESS");
});

const amtool = toolOf("amtool");
test.skipIf(!amtool)(
  "amtool accepts Alertmanager's configuration, and sends failovers to the hook",
  async () => {
    const file = join(docs, "alertmanager.yml");
    await execa(String(amtool), ["check-config", file]);
    const route = (...labels: string[]) =>
      execa(String(amtool), ["config", "routes", "test", `--config.file=${file}`, ...labels]);
    expect((await route("action=failover", "machine=redis1")).stdout).toBe("barton-failover,people");
    expect((await route("action=failover", "machine=app")).stdout).toBe("people");
    expect((await route("alertname=BartonPaused")).stdout).toBe("people");
  },
);
