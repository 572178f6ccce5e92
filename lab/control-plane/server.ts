/**
 * The two servers of the control plane. The unix socket is for root on the host and offers everything. 169.254.169.254:80 is for
 * machines, identified by their address: metadata and tools for all, EC2 and the resource API for machines with an instance
 * profile. A caller there with the lab's own address is also root on the host: nobody else is in that namespace.
 */
import { randomUUID } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { networkInterfaces } from "node:os";
import { pipeline } from "node:stream/promises";
import { imdsHandler, isImdsRequest } from "../ec2-api/imds.ts";
import { ec2Handler, type Filter, isEc2Request, passes } from "../ec2-api/query.ts";
import { isS3Request, s3Handler } from "../ec2-api/s3.ts";
import type { ApiRequest, ApiResponse, BinaryResponse } from "../ec2-api/world.ts";
import { errorXml } from "../ec2-api/xml.ts";
import { baseAmi } from "../image/base.ts";
import { readLabConfig } from "../lab.ts";
import { passApi } from "./api-fault.ts";
import type { Cloud } from "./cloud.ts";
import { ApiError } from "./errors.ts";
import { faultRequest } from "./fault-request.ts";
import type { Faults } from "./faults.ts";
import type { Resources } from "./resources/index.ts";
import type { Inputs } from "./store.ts";
import { machineViews } from "./view.ts";
import type { World } from "./world.ts";

/** More than any request needs: an object of 16 MiB in base64. */
const bodyBytesMax = 24 * 1024 * 1024;

export type Doors = { cloud: Cloud; resources: Resources; faults: Faults; world: World };

type Answer = { status: number; json?: unknown };

/** Both servers, not listening yet: the host's, and the machines'. */
export function createDoors(doors: Doors): { host: Server; machines: Server } {
  const ec2 = ec2Handler(doors.world);
  const imds = imdsHandler(doors.world);
  const s3 = s3Handler(doors.world);
  const host = createServer((request, response) =>
    answering(doors, response, async () => {
      const body = await bodyOf(request);
      await answerApi(doors, ec2, apiRequest(request, body), response);
    }),
  );
  const machines = createServer((request, response) =>
    answering(doors, response, async () => {
      const body = await bodyOf(request);
      const asked = apiRequest(request, body);
      if (isImdsRequest(asked)) return sendApi(response, imds(asked));
      if (isS3Request(asked)) return sendApi(response, s3(asked));
      if (asked.path === "/tools.tar.gz") return sendTools(doors.cloud, request, response);
      permit(doors, asked.sourceAddress);
      if (asked.path.startsWith("/lab"))
        throw new ApiError("UnauthorizedOperation", "only the host may ask this", 403);
      await answerApi(doors, ec2, asked, response);
    }),
  );
  return { host, machines };
}

/** Answers what both doors have: EC2 and resources, with the faults of these APIs, and the lab's own control. */
async function answerApi(
  doors: Doors,
  ec2: (request: ApiRequest) => ApiResponse,
  asked: ApiRequest,
  response: ServerResponse,
): Promise<void> {
  const forEc2 = isEc2Request(asked);
  if (forEc2 || /^\/(resources|functions)\//.test(asked.path)) {
    try {
      const { store } = doors.cloud;
      const left = () => response.destroyed;
      if (!(await passApi(() => store.faults, asked, left))) return;
    } catch (error) {
      if (forEc2 && error instanceof ApiError) return sendApi(response, ec2Refusal(error));
      throw error;
    }
  }
  if (forEc2) sendApi(response, ec2(asked));
  else send(response, await route(doors, asked));
}

function ec2Refusal({ code, message, status }: ApiError): ApiResponse {
  const headers = { "content-type": "text/xml;charset=UTF-8" };
  return { status, headers, body: errorXml(code, message, randomUUID()) };
}

/** Throws unless the caller is the host or an instance with a profile. */
function permit({ world }: Doors, address: string): void {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  if (own.some((each) => each.address === address)) return;
  const caller = world.instanceAt(address);
  if (caller && world.credentialsOf(caller.instanceId)) return;
  const who = caller
    ? `instance ${caller.instanceId} has no instance profile with a role`
    : `${address} is no instance`;
  throw new ApiError(
    "UnauthorizedOperation",
    `You are not authorized to perform this operation: ${who}`,
    403,
  );
}

async function route(doors: Doors, { method, path, body }: ApiRequest): Promise<Answer> {
  const [, first, ...parts] = new URL(path, "http://lab").pathname.split("/").map(decodeURIComponent);
  if (first === "resources") return routeResource(doors, method, parts, body);
  if (first === "functions" && method === "POST")
    return { status: 200, json: callFunction(doors, parts, body) };
  if (first === "lab") return routeLab(doors, method, parts, body);
  throw new ApiError(
    "InvalidAction",
    `${method} ${path}: there is nothing here; the API is at /resources, /functions and /lab`,
    404,
  );
}

async function routeResource(
  { resources }: Doors,
  method: string,
  parts: string[],
  body: string,
): Promise<Answer> {
  const [module = "", name = "", id, ...rest] = parts;
  const type = `${module}/${name}`;
  if (rest.length > 0) throw new ApiError("InvalidAction", "expected /resources/<module>/<name>[/<id>]", 404);
  if (id === undefined) {
    if (method === "POST") return { status: 200, json: await resources.create(type, inputsOf(body)) };
  } else if (method === "GET") return { status: 200, json: resources.read(type, id) };
  else if (method === "PATCH") return { status: 200, json: await resources.update(type, id, inputsOf(body)) };
  else if (method === "DELETE") {
    await resources.delete(type, id);
    return { status: 204 };
  }
  throw new ApiError("InvalidAction", `${method} is not possible on /resources/${parts.join("/")}`, 405);
}

/** The functions of Pulumi's provider that look at what there is. */
function callFunction({ world }: Doors, parts: string[], body: string): unknown {
  if (parts.join("/") !== "ec2/getInstances") {
    throw new ApiError(
      "InvalidAction",
      `there is no function ${parts.join("/")}; there is ec2/getInstances`,
      404,
    );
  }
  const { filters = [], instanceStateNames = ["running"] } = inputsOf(body) as {
    filters?: Filter[];
    instanceStateNames?: string[];
  };
  const wanted = [...filters, { name: "instance-state-name", values: instanceStateNames }];
  const found = world.listInstances().filter((each) => passes(each, wanted));
  const present = (pick: (each: (typeof found)[number]) => string | undefined) =>
    found.flatMap((each) => pick(each) ?? []);
  return {
    ids: present(({ instanceId }) => instanceId),
    privateIps: present(({ privateIpAddress }) => privateIpAddress),
    publicIps: present(({ publicIpAddress }) => publicIpAddress),
    ipv6Addresses: [],
  };
}

function inputsOf(body: string): Inputs {
  const { inputs } = jsonOf(body) as { inputs?: unknown };
  if (typeof inputs === "object" && inputs !== null && !Array.isArray(inputs)) return inputs as Inputs;
  throw new ApiError("InvalidParameter", 'the body must be JSON of the form {"inputs": {…}}');
}

async function routeLab(
  { cloud, faults }: Doors,
  method: string,
  parts: string[],
  body: string,
): Promise<Answer> {
  const path = parts.join("/");
  if (path === "" && method === "GET") return { status: 200, json: labView(cloud, faults) };
  if (path === "faults" && method === "POST") {
    return { status: 200, json: { done: await faults.inject(faultRequest(jsonOf(body))) } };
  }
  if (path === "heal" && method === "POST") {
    const { target, peer } = jsonOf(body) as { target?: string; peer?: string };
    return { status: 200, json: { healed: await faults.heal(target, peer) } };
  }
  throw new ApiError("InvalidAction", `${method} /lab/${path}: there is nothing here`, 404);
}

/** What `GET /lab` answers. */
export type LabView = {
  name: string;
  pid: number;
  baseAmi: string;
  machines: ReturnType<typeof machineViews>;
  faults: string[];
};

function labView({ lab, store }: Cloud, faults: Faults): LabView {
  return {
    name: lab.name,
    pid: process.pid,
    baseAmi,
    machines: machineViews({ resources: store.list("ec2/instance"), instances: store.instances.values() }),
    faults: faults.inEffect().map((fault) => faults.text(fault)),
  };
}

function jsonOf(body: string): object {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null) return parsed;
  } catch {
    // said below
  }
  throw new ApiError("InvalidParameter", "the body must be a JSON object");
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax)
      throw new ApiError("RequestTooLarge", `a request may have ${bodyBytesMax} bytes`, 413);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function apiRequest(request: IncomingMessage, body: string): ApiRequest {
  return {
    method: request.method ?? "GET",
    path: request.url ?? "/",
    headers: request.headers,
    body,
    sourceAddress: (request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
  };
}

/** Whatever goes wrong becomes an answer: AWS's codes, or 500 with the message in the log too. */
async function answering(
  { cloud }: Doors,
  response: ServerResponse,
  task: () => Promise<void>,
): Promise<void> {
  try {
    await task();
  } catch (error) {
    const known = error instanceof ApiError;
    if (!known) cloud.log(`error: ${(error as Error).stack ?? error}`);
    if (response.headersSent) response.destroy();
    else {
      const { code, status } = known ? error : { code: "InternalError", status: 500 };
      send(response, { status, json: { code, message: (error as Error).message } });
    }
  }
}

function send(response: ServerResponse, { status, json }: Answer): void {
  if (json === undefined) response.writeHead(status).end();
  else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
}

function sendApi(response: ServerResponse, answer: BinaryResponse): void {
  response.writeHead(answer.status, answer.headers).end(answer.body);
}

/** The archive of tools that the lab's settings name. */
async function sendTools({ lab }: Cloud, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = readLabConfig(lab).toolsArchive;
  const size = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false })?.size;
  if (file === undefined || size === undefined) {
    const why = file === undefined ? "its lab.json names no toolsArchive" : `${file} is not there`;
    throw new ApiError(
      "NotFound",
      `lab ${lab.name} has no tools to give: ${why}; scripts/setup packs them`,
      404,
    );
  }
  response.writeHead(200, { "content-type": "application/gzip", "content-length": size });
  if (request.method === "HEAD") response.end();
  else await pipeline(createReadStream(file), response);
}
