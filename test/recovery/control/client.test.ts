/** A monitor that ends while it is asked: every question gets an end, and an order one that says that it is not known. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { getView, order, tellMonitor } from "../../../recovery/control/client.ts";

const folder = mkdtempSync(join(tmpdir(), "barton-client-"));
const socket = join(folder, "monitor.sock");
let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(socket, { force: true });
});

async function monitor(answer: (response: ServerResponse) => void): Promise<void> {
  server = createServer((_, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
}
const lines: string[] = [];
const failover = () => order(socket, "failover", "redis2", (line) => lines.push(line));
const endsMeanwhile = { ok: false, interrupted: true, message: expect.stringContaining("the monitor ended") };

test("before it has said a word", async () => {
  await monitor(({ socket: connection }) => connection?.destroy());
  expect(await failover()).toEqual(endsMeanwhile);
  await expect(getView(socket, "status", 1_000)).rejects.toThrow("socket hang up");
});

test("in the middle of its answer", async () => {
  await monitor((response) => {
    response.writeHead(200);
    response.write(`${JSON.stringify({ line: "taint redis2: done" })}\n`, () => {
      setImmediate(() => response.destroy());
    });
  });
  expect(await failover()).toEqual(endsMeanwhile);
  expect(lines).toEqual(["taint redis2: done"]);
  await expect(getView(socket, "status", 1_000)).rejects.toThrow("aborted");
  await expect(tellMonitor(socket, "/resume", 1_000)).rejects.toThrow("aborted");
});

test("or says so itself", async () => {
  const result = { ok: false, interrupted: true, message: "recovery was stopped meanwhile" };
  await monitor((response) => response.end(`${JSON.stringify(result)}\n`));
  expect(await failover()).toEqual(result);
});
