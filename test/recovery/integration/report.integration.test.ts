/** What others are told of a real incident: a webhook that takes notifications, and the page for Prometheus. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLog } from "../../../recovery/log.ts";
import { report } from "../../../recovery/report/start.ts";
import type { Notification } from "../../../recovery/report/webhook.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;
let receiver: Server;
const servers: (Server | undefined)[] = [];
const received: Notification[] = [];
const warnings: string[] = [];
const log = createLog({ write: (text) => void warnings.push(text) }, {});

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    let text = "";
    for await (const part of request) text += part;
    received.push(JSON.parse(text));
    response.end();
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  world = await TestWorld.healthy();
});
afterAll(async () => {
  for (const server of [receiver, ...servers]) {
    server?.closeAllConnections();
    server?.close();
  }
  await world.close();
});

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

const start = async (reporting: { metricsPort: string; webhookUrl: string }) => {
  const server = await report(world.reconciler, { reporting, stack: "test", stateDir: world.folder }, log);
  servers.push(server);
  return server;
};
const told = (event: string, about: string) =>
  received.find((notification) => notification.event === event && notification.about === about);

test("an incident and a hold are told to the webhook and on the metrics page, from their start to their end", async () => {
  const port = await freePort();
  const { port: hook } = receiver.address() as AddressInfo;
  await start({ metricsPort: String(port), webhookUrl: `http://127.0.0.1:${hook}/barton` });
  const page = () => fetch(`http://127.0.0.1:${port}/metrics`).then((response) => response.text());
  expect(await page()).toContain("barton_healthy 1");

  world.programDiffers = "the last up ran another program";
  await world.loseMachine("haproxy2");
  const begun = await world.until("the incident", () => told("incident-start", "haproxy2"));
  expect(begun).toMatchObject({ stack: "test", sentence: expect.stringContaining("haproxy2") });
  expect(await page()).toMatch(/^barton_incident_open\{machine="haproxy2",.*\} 1$/m);
  expect(await page()).toMatch(/^barton_incidents_total\{machine="haproxy2",.*\} 1$/m);
  const hold = await world.until("the hold", () => told("incident-hold", "replacement"));
  expect(hold.sentence).toContain("the last up ran another program");
  expect(await page()).toContain('barton_hold{subject="replacement",situation="held"} 1');

  world.programDiffers = undefined;
  const ended = await world.until("the end", () => told("incident-end", "haproxy2"), 60_000);
  expect(ended).toMatchObject({ incidentId: begun.incidentId, tookMs: expect.any(Number) });
  expect(told("hold-end", "replacement")).toBeDefined();
  expect(await page()).toMatch(/^barton_step_duration_seconds_count\{step="launch.*outcome="done"\} 1$/m);
});

test("a mistake in either setting is a warning that repeats no address, and nothing more", async () => {
  warnings.length = 0;
  expect(await start({ metricsPort: "many", webhookUrl: "hooks.example.com/TOKEN" })).toBeUndefined();
  expect(warnings.join()).toMatch(/no notifications: BARTON_WEBHOOK_URL is no address/);
  expect(warnings.join()).toMatch(/no metrics: BARTON_METRICS_PORT is "many"/);
  expect(warnings.join()).not.toContain("TOKEN");
});
