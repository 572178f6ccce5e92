/** Client of the lab's control plane, which stands for the API of AWS: resources by type and id, as JSON over HTTP. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Value } from "../plugin/values.ts";

/** A resource as the control plane keeps it; `state` has Pulumi's output properties. */
export interface RemoteResource {
  id: string;
  state: Record<string, Value>;
}

/** An error in AWS's form, e.g. code `InvalidSubnetID.NotFound`. */
export class ControlPlaneError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status: number) {
    super(`${code}: ${message}`);
    this.name = "ControlPlaneError";
    this.code = code;
    this.status = status;
  }
}

export interface ControlPlane {
  create(type: string, inputs: Record<string, Value>, timeoutMs?: number): Promise<RemoteResource>;
  /** Undefined when there is no such resource. */
  read(type: string, id: string): Promise<RemoteResource | undefined>;
  update(
    type: string,
    id: string,
    inputs: Record<string, Value>,
    timeoutMs?: number,
  ): Promise<RemoteResource>;
  /** A resource that is gone already counts as deleted. */
  delete(type: string, id: string, timeoutMs?: number): Promise<void>;
  /** What a function that looks at the lab answers, e.g. `aws:ec2/getInstances:getInstances`. */
  call(token: string, args: Record<string, Value>): Promise<Record<string, Value>>;
  /** Ends waiting for a better moment; what the control plane is doing right now is still waited for. */
  cancel(): void;
}

/** As the AWS provider for an instance; launching one takes seconds here. */
const operationTimeoutMs = 10 * 60_000;
/** How long an overloaded control plane is asked again, as the AWS SDK does. */
const retryMs = 30_000;
const retriedCodes = ["RequestLimitExceeded", "Throttling", "ServiceUnavailable", "InternalError"];

const howToStart =
  "Start the lab with scripts/lab up [--name NAME], and run pulumi through scripts/pulumi, which sets " +
  "BARTON_LAB_ENDPOINT to the lab's control plane";

type Send = (method: string, path: string, body: unknown, timeoutMs?: number) => Promise<unknown>;

/** A client for `unix:/path/of/control.sock` or `http://address[:port]`. */
export function controlPlaneClient(endpoint: string): ControlPlane {
  const cancelled = new AbortController();
  const send: Send = (method, path, body, timeoutMs = operationTimeoutMs) =>
    sendWithRetries({ endpoint, method, path, body, timeoutMs }, cancelled.signal);
  return {
    create: async (type, inputs, timeoutMs) =>
      (await send("POST", resourcePath(type), { inputs }, timeoutMs)) as RemoteResource,
    read: (type, id) =>
      send("GET", resourcePath(type, id), undefined).catch(unlessGone) as Promise<RemoteResource | undefined>,
    update: async (type, id, inputs, timeoutMs) =>
      (await send("PATCH", resourcePath(type, id), { inputs }, timeoutMs)) as RemoteResource,
    delete: async (type, id, timeoutMs) => {
      await send("DELETE", resourcePath(type, id), undefined, timeoutMs).catch(unlessGone);
    },
    call: async (token, inputs) =>
      (await send("POST", `/functions/${token.split(":")[1]}`, { inputs })) as Record<string, Value>,
    cancel: () => cancelled.abort(),
  };
}

/** `aws:ec2/instance:Instance` → `/resources/ec2/instance`, with an id `/resources/ec2/instance/i-…`. */
function resourcePath(type: string, id?: string): string {
  const path = `/resources/${type.split(":")[1] ?? type}`;
  return id === undefined ? path : `${path}/${encodeURIComponent(id)}`;
}

function unlessGone(error: unknown): undefined {
  if (error instanceof ControlPlaneError && error.status === 404) return undefined;
  throw error;
}

interface Call {
  endpoint: string;
  method: string;
  path: string;
  body: unknown;
  timeoutMs: number;
}

async function sendWithRetries(call: Call, cancelled: AbortSignal): Promise<unknown> {
  const start = performance.now();
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2000)) {
    if (cancelled.aborted) throw new Error("cancelled before anything was asked of the lab");
    try {
      return await sendOnce(call);
    } catch (error) {
      const isRetried =
        error instanceof ControlPlaneError &&
        (error.status === 429 || error.status === 503 || retriedCodes.includes(error.code));
      if (!isRetried || performance.now() - start + waitMs > retryMs) throw error;
    }
    // Jitter, or many resources that were refused together would come again together.
    await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal: cancelled }).catch(() => undefined);
  }
}

async function sendOnce(call: Call): Promise<unknown> {
  const { endpoint, method, path, body, timeoutMs } = call;
  const content = body === undefined ? undefined : JSON.stringify(body);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = content === undefined ? {} : { "content-type": "application/json" };
    const options = { ...target(endpoint), method, path, headers, signal: AbortSignal.timeout(timeoutMs) };
    httpRequest(options, resolve)
      .on("error", (error) => reject(unreachable(call, error)))
      .end(content);
  });
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw unreachable(call, error as Error);
  }
  return answerOf(call, response.statusCode ?? 0, Buffer.concat(chunks).toString());
}

function answerOf({ method, path, endpoint }: Call, status: number, text: string): unknown {
  if (status === 204) return undefined;
  let answer: { code?: string; message?: string };
  try {
    answer = JSON.parse(text) as { code?: string; message?: string };
  } catch {
    const what = `what answers at ${endpoint} is not the lab's control plane (HTTP ${status}, no JSON)`;
    throw new Error(`${method} ${path}: ${what}. ${howToStart}. It said: ${text.slice(0, 200)}`);
  }
  if (status >= 200 && status < 300) return answer;
  throw new ControlPlaneError(answer.code ?? `HTTP ${status}`, answer.message ?? text.slice(0, 200), status);
}

function target(endpoint: string): { socketPath: string } | { host: string; port: string } {
  if (endpoint.startsWith("unix:")) return { socketPath: endpoint.slice("unix:".length) };
  const { hostname, port } = new URL(endpoint);
  return { host: hostname, port: port || "80" };
}

/** Nothing was heard of the control plane, or no more: says what that means and what to do. */
function unreachable({ endpoint, method, path, timeoutMs }: Call, error: Error): Error {
  const code = (error as NodeJS.ErrnoException).code ?? error.name;
  if (["ENOENT", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES"].includes(code)) {
    return new Error(`the lab's control plane cannot be reached at ${endpoint} (${code}). ${howToStart}`);
  }
  const limit = code === "TimeoutError" || code === "ABORT_ERR" ? ` within ${timeoutMs / 1000} s` : "";
  return new Error(
    `the lab's control plane at ${endpoint} did not finish ${method} ${path}${limit} (${code}: ${error.message}). ` +
      "Whether it took effect is not known: look with scripts/lab status, and bring Pulumi up to date with " +
      "scripts/pulumi refresh",
  );
}
