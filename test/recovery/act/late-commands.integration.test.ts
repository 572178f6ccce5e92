/**
 * Real haproxy: a process that hung (SIGSTOP) carries out what it was sent when it goes on, although recovery has stopped waiting and
 * has decided otherwise since. No such command may use a server again that was fenced.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { proxyConfig } from "../../../infra/roles/haproxy/role.ts";
import { haproxy } from "../../../recovery/act/haproxy.ts";
import { ProxyLink } from "../../../recovery/observe/proxy-link.ts";
import { detection, freePorts, keepScript, until, Workbench } from "../../infra/servers.ts";

const bench = new Workbench();
const address = "127.0.14.20";
const [redis1, redis2] = [{ shard: 1, machine: "redis1" } as const, { shard: 1, machine: "redis2" } as const];
const place = { address: "127.0.14.21", port: 9001 };
const links: ProxyLink[] = [];
let runtime: number;
let child: ChildProcess;

beforeAll(async () => {
  const [proxy = 0, port = 0, health = 0] = await freePorts(3);
  runtime = port;
  mkdirSync(join(bench.folder, "kept"));
  const config = proxyConfig({
    shards: [{ index: 1, proxyPort: proxy }],
    detection,
    adminSocket: join(bench.folder, "late.sock"),
    runtimeBind: `${address}:${runtime}`,
    healthBind: `${address}:${health}`,
    proxyBind: address,
    keepScript,
    keptIn: join(bench.folder, "kept"),
  }).replace(/^ {2}(chroot|user|group) .*\n/gm, "");
  child = bench.start("haproxy", ["-db", "-f", bench.write("late.cfg", config)]);
  await until("the runtime API", () => connected(1_000), Boolean);
});
afterEach(() => {
  for (const link of links.splice(0)) link.close();
});
afterAll(() => bench.close());

/** A connection of a monitor that has looked at the proxy; its commands may take so long. */
async function connected(timeoutMs: number) {
  const link = new ProxyLink({
    address,
    ports: [runtime],
    shards: [1],
    connectTimeoutMs: 2_000,
    nowMs: () => performance.now(),
  });
  links.push(link);
  await link.ask();
  return haproxy(link, timeoutMs);
}

const hang = () => child.kill("SIGSTOP");
const goOn = () => child.kill("SIGCONT");

/** What the proxy says of redis1's line. */
async function lineNow() {
  const watching = await connected(1_000);
  const isOut = await watching.isOut(redis1);
  return isOut ? "out" : "in use";
}

test("a command whose sender has stopped waiting is carried out when the proxy goes on", async () => {
  const early = await connected(200);
  await early.takeOut([redis1]);
  hang();
  await expect(early.sendTraffic(redis1, place)).rejects.toThrow("no answer within 200 ms");
  goOn();
  await until("the late command", lineNow, (line) => line === "in use");
});

test("when the server was fenced since, the late command is refused", async () => {
  const early = await connected(1_000);
  const late = await connected(1_000);
  await early.sendTraffic(redis1, place);
  await late.bar(redis1);
  await expect(early.sendTraffic(redis1, place)).rejects.toThrow(
    /did not take "use server \d+ shard1\/redis1 127\.0\.14\.21 9001": the generation is \d+, not \d+$/,
  );
  await expect(early.change([{ ...redis1, line: "traffic", ready: true }])).rejects.toThrow(
    "the generation is",
  );
  expect(await lineNow()).toBe("out");
  // Whoever fenced, and whoever looks again, may let the traffic go.
  await late.sendTraffic(redis2, { ...place, address: "127.0.14.22" });
  await (await connected(1_000)).sendTraffic(redis1, place);
  expect(await lineNow()).toBe("in use");
});

test("a fence and an earlier command that arrive in the same hang: the server is out, in whatever order they are read", async () => {
  for (let round = 0; round < 20; round += 1) {
    const early = await connected(100);
    const late = await connected(10_000);
    await late.sendTraffic(redis2, place);
    hang();
    const fenced = late.bar(redis1);
    const released = early.sendTraffic(redis1, place);
    await expect(released).rejects.toThrow("no answer within 100 ms");
    goOn();
    await fenced;
    if (await late.isOut(redis1)) {
      // Confirmed: and so it stays, whatever is still to be read.
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await lineNow()).toBe("out");
    }
    for (const link of links.splice(0)) link.close();
  }
});
