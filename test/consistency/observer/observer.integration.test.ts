/** The observer's reading against a real haproxy with the proxies' own configuration, and its processes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { proxyConfig } from "../../../infra/roles/haproxy/role.ts";
import { freePorts, keepScript, runtimeApi, until, Workbench } from "../../infra/servers.ts";
import { enabledServers, tables } from "./haproxy-tables.ts";
import { askHaproxy } from "./sockets.ts";

const bench = new Workbench();
const address = "127.78.0.1";
const socket = `${bench.folder}/admin.sock`;

beforeAll(async () => {
  const [runtime = 0, health = 0, one = 0, two = 0] = await freePorts(4);
  const config = proxyConfig({
    shards: [
      { index: 1, proxyPort: one },
      { index: 2, proxyPort: two },
    ],
    detection: { intervalMs: 200, fastIntervalMs: 50, connectTimeoutMs: 200, failures: 3, stallMs: 4000 },
    adminSocket: socket,
    runtimeBind: `${address}:${runtime}`,
    healthBind: `${address}:${health}`,
    proxyBind: address,
    keepScript,
    keptIn: "/nonexistent",
  });
  bench.startHaproxy("haproxy", config);
  await until(
    "haproxy",
    () => askHaproxy(socket, "show info", 1000),
    (text) => text !== undefined,
  );
});
afterAll(() => bench.close());

const enabled = async () => enabledServers((await askHaproxy(socket, tables, 1000)) ?? "");

test("a proxy that starts fresh lets traffic go nowhere; then to the server that is set ready", async () => {
  expect(await enabled()).toEqual({ 1: [], 2: [] });
  await runtimeApi(socket, "set server shard2/redis1 state ready");
  expect(await enabled()).toEqual({ 1: [], 2: ["redis1"] });
  await runtimeApi(socket, "set server shard2/redis2 state ready");
  expect(await enabled()).toEqual({ 1: [], 2: ["redis1", "redis2"] });
});

test("nobody there, or nobody who answers in time, is no answer", async () => {
  expect(await askHaproxy(`${bench.folder}/none.sock`, "show stat", 1000)).toBeUndefined();
  const began = performance.now();
  // haproxy keeps this connection and waits for a command that never comes to its end.
  expect(await askHaproxy(socket, "prompt", 100)).toBeUndefined();
  expect(performance.now() - began).toBeLessThan(1000);
});
