/** What redis leaves of its append-only file after a full disk, with real redis servers: it starts again, or stays as it is. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Client, freePorts, redisServer, until } from "./servers.ts";

const script = join(import.meta.dirname, "../../infra/roles/redis/mend-append-only-file");
const address = "127.0.0.1";
let folder: string;
let port: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "barton-append-only-"));
  [port = 0] = await freePorts(1);
  const { client, stop } = await start();
  for (let i = 1; i <= 9; i += 1) expect(await client.ask(`SET key${i} value${i}`)).toBe("+OK");
  await stop();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("NUL bytes between two commands and at the end are taken out, and nothing else", async () => {
  const whole = readFileSync(file());
  const at = whole.indexOf("*3\r\n$3\r\nSET\r\n$4\r\nkey5");
  writeFileSync(
    file(),
    Buffer.concat([whole.subarray(0, at), Buffer.alloc(61), whole.subarray(at), Buffer.alloc(7)]),
  );
  await expect(start()).rejects.toThrow(/ended with 1/);
  expect(mend("exited", "1")).toMatch(/^took 61 NUL bytes at offset .*\ntook 7 NUL bytes/);
  expect(readFileSync(file())).toEqual(whole);
  const { client, stop } = await start();
  expect(await client.ask("DBSIZE")).toBe(":9");
  await stop();
});

test("any other damage stays, for a person to look at", () => {
  const whole = readFileSync(file());
  const at = whole.indexOf("*3\r\n$3\r\nSET\r\n$4\r\nkey5");
  const damaged = Buffer.concat([whole.subarray(0, at), Buffer.from("garbage"), whole.subarray(at)]);
  writeFileSync(file(), damaged);
  expect(mend("exited", "1")).toBe("");
  expect(readFileSync(file())).toEqual(damaged);
});

test("the file of a server that was stopped or killed is not looked at", () => {
  writeFileSync(file(), Buffer.alloc(9));
  for (const [code, status] of [
    ["exited", "0"],
    ["killed", "KILL"],
  ] as const)
    expect(mend(code, status)).toBe("");
  expect(readFileSync(file())).toEqual(Buffer.alloc(9));
});

test("the script is not disturbed by a server that has no file yet", () => {
  rmSync(join(folder, "appendonlydir"), { recursive: true });
  expect(mend("exited", "1")).toBe("");
});

function file(): string {
  const inside = join(folder, "appendonlydir");
  const [name = ""] = readdirSync(inside).filter((one) => one.endsWith(".incr.aof"));
  return join(inside, name);
}

/** As systemd calls it. */
function mend(exitCode: string, exitStatus: string): string {
  const env = { ...process.env, EXIT_CODE: exitCode, EXIT_STATUS: exitStatus };
  return execFileSync("bash", [script, String(port), folder], { env, encoding: "utf8" });
}

async function start() {
  const args = [
    "--port",
    String(port),
    "--bind",
    address,
    "--dir",
    folder,
    "--appendonly",
    "yes",
    "--save",
    "",
  ];
  const redis = spawn(redisServer, args, { stdio: "ignore" });
  const ended = once(redis, "exit");
  const failed = ended.then(([code]): never => {
    throw new Error(`redis ended with ${code}`);
  });
  const client = await Promise.race([connected(), failed]);
  const stop = async () => {
    redis.kill("SIGTERM");
    await ended;
  };
  failed.catch(() => {});
  return { client, stop };
}

function connected(): Promise<Client> {
  return until(
    "redis",
    async () => {
      const client = new Client(address, port);
      await client.ask("PING");
      return client;
    },
    () => true,
  );
}
