/** The server side of the running monitor's socket: views for `barton`, and orders. HTTP over a unix socket, for root only. */
import { once } from "node:events";
import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { type Clock, within } from "../clock.ts";
import { rollReason } from "../decide/memory/memory.ts";
import { whyPaused } from "../loop/pause.ts";
import type { Reconciler } from "../loop/reconciler.ts";
import { type FailoverOptions, type FailoverResult, failover, whyNoFailover } from "../orders/failover.ts";
import { failoverIfFailed } from "../orders/failover-if-failed.ts";
import { switchover } from "../orders/switchover.ts";
import type { MachineName } from "../topology.ts";

/** Begins to listen. The caller holds recovery's lock, so it may replace a socket that a dead process left. */
export async function serve(path: string, options: Omit<FailoverOptions, "say">): Promise<Server> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: Error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(JSON.stringify({ ok: false, message: error.message }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o600);
  return server;
}

/** How long a stopping monitor waits until its last answers are read, in milliseconds. */
const lastWordMs = 200;

/** Gives every order under way its answer, then closes. A connection that takes longer is cut; its client reports an interruption. */
export async function stopServing(server: Server, clock: Clock): Promise<void> {
  const closed = once(server, "close");
  server.close();
  await within(clock, lastWordMs, closed, undefined);
  server.closeAllConnections();
  await closed;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: Omit<FailoverOptions, "say">,
): Promise<void> {
  const [, verb = "", argument = "", text = ""] = (request.url ?? "").split("/").map(decodeURIComponent);
  const { reconciler, signal } = options;
  // A stopping monitor has only the view of its last cycle. Steps that began after it are missing there.
  if (request.method === "GET" && signal.aborted) return json(response, undefined);
  if (request.method === "GET" && verb === "status") return json(response, reconciler.status());
  if (request.method === "GET" && verb === "plan") return json(response, reconciler.plan());
  if (request.method === "POST" && verb === "failover")
    return stream(response, (say) => order(argument, text, { ...options, say }));
  if (request.method === "POST" && verb === "failover-if-failed")
    return stream(response, (say) => orderIfFailed(argument, { ...options, say }));
  if (request.method === "POST" && verb === "switchover") {
    return stream(response, (say) => switchover(argument, { ...options, say }));
  }
  if (request.method === "POST" && verb === "pause") {
    return json(response, { ok: true, message: pauseFor(reconciler, Number(argument), text) });
  }
  if (request.method === "POST" && verb === "resume") {
    return json(response, { ok: true, message: resume(reconciler) });
  }
  if (request.method === "POST" && verb === "forgive") return json(response, forgive(reconciler, argument));
  response.writeHead(404).end();
}

function forgive(reconciler: Reconciler, name: string): FailoverResult {
  const refusal = whyNoFailover(name);
  if (refusal) return { ok: false, message: refusal };
  const machine = name as MachineName;
  const wasSpent = reconciler.whyBudgetSpent(machine) !== undefined;
  const held = wasSpent && reconciler.isBeingReplaced(machine);
  reconciler.forgive(machine);
  const then = held ? "it is replaced now" : "nothing was held for it";
  return { ok: true, message: `${machine}'s replacements of the last hour are forgotten; ${then}` };
}

function pauseFor({ pause }: Reconciler, forMs: number, why: string): string {
  return String(whyPaused(pause.begin(forMs, why)));
}

function resume({ pause }: Reconciler): string {
  return pause.end() ? "recovery acts again" : "recovery was not paused";
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(value === undefined ? 503 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify(value ?? {}));
}

/** Streams one JSON object per line: `{line}` for each event, then the result. */
async function stream(
  response: ServerResponse,
  work: (say: (line: string) => void) => Promise<FailoverResult>,
): Promise<void> {
  response.writeHead(200, { "content-type": "application/x-ndjson", connection: "close" });
  response.flushHeaders();
  const result = await work((line) => void response.write(`${JSON.stringify({ line })}\n`));
  response.end(`${JSON.stringify(result)}\n`);
}

async function order(name: string, why: string, options: FailoverOptions): Promise<FailoverResult> {
  const refusal = whyNoFailover(name);
  if (refusal) return { ok: false, message: refusal };
  return failover(name as MachineName, why === rollReason ? rollReason : "by hand", options);
}

async function orderIfFailed(name: string, options: FailoverOptions): Promise<FailoverResult> {
  const refusal = whyNoFailover(name);
  return refusal ? { ok: false, message: refusal } : failoverIfFailed(name as MachineName, options);
}
