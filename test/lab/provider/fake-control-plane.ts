/**
 * A fake of the lab's control plane: it keeps resources by type and id, refuses references to what does not exist,
 * and makes up addresses. Nothing runs behind it. The real one has its own test (real-lab.integration.test.ts).
 */
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import type { Value } from "../../../lab/plugin/values.ts";

interface Kept {
  id: string;
  state: Record<string, Value>;
}

export interface FakeControlPlane {
  /** For BARTON_LAB_ENDPOINT. */
  endpoint: string;
  /** Requests so far, e.g. `POST ec2/vpc`. */
  calls: string[];
  /** Resources by type, e.g. `ec2/vpc`. */
  kept(type: string): Kept[];
  /** The next request is answered with this error instead. */
  failNext(status: number, code: string, message: string): void;
  /** The next request is only worked on after `release`; `arrived` resolves when it is there. */
  holdNext(): { arrived: Promise<void>; release(): void };
  close(): Promise<void>;
}

const idPrefixes: Record<string, string> = {
  "ec2/vpc": "vpc-",
  "ec2/subnet": "subnet-",
  "ec2/securityGroup": "sg-",
  "ec2/instance": "i-",
  "route53/zone": "Z",
};

/** Which type an input refers to, and AWS's code when it does not exist. */
const references: Record<string, [type: string, code: string]> = {
  vpcId: ["ec2/vpc", "InvalidVpcID.NotFound"],
  subnetId: ["ec2/subnet", "InvalidSubnetID.NotFound"],
  securityGroupId: ["ec2/securityGroup", "InvalidGroup.NotFound"],
  zoneId: ["route53/zone", "NoSuchHostedZone"],
};

class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Starts it on a unix socket in the folder. */
export async function startFakeControlPlane(folder: string): Promise<FakeControlPlane> {
  const resources = new Map<string, Map<string, Kept>>();
  const calls: string[] = [];
  const failures: ApiError[] = [];
  const gates: { open: Promise<void>; arrived(): void }[] = [];
  const ofType = (type: string) => {
    const found = resources.get(type) ?? new Map<string, Kept>();
    resources.set(type, found);
    return found;
  };
  let count = 0;
  const computed = (type: string, id: string): Record<string, Value> => ({
    arn: `arn:aws:fake:::${id}`,
    ...(type === "ec2/instance" ? { privateIp: `10.42.1.${count}`, instanceState: "running" } : {}),
    ...(type === "route53/zone" ? { zoneId: id } : {}),
  });
  const checkReferences = (inputs: Record<string, Value>) => {
    for (const [name, [type, code]] of Object.entries(references)) {
      const id = inputs[name] as string | undefined;
      if (id !== undefined && !ofType(type).has(id))
        throw new ApiError(400, code, `The ID '${id}' does not exist`);
    }
  };
  const handle = (method: string, type: string, id: string | undefined, inputs: Record<string, Value>) => {
    calls.push([method, type, id].filter(Boolean).join(" "));
    const failure = failures.shift();
    if (failure) throw failure;
    if (method === "POST") {
      checkReferences(inputs);
      count += 1;
      const made = `${idPrefixes[type] ?? "x-"}${String(count).padStart(17, "0")}`;
      ofType(type).set(made, { id: made, state: { ...inputs, ...computed(type, made) } });
      return ofType(type).get(made);
    }
    const kept = ofType(type).get(id ?? "");
    if (!kept) throw new ApiError(404, "NotFound", `no ${type} ${id}`);
    if (method === "PATCH") checkReferences(inputs);
    if (method === "PATCH") kept.state = { ...kept.state, ...inputs };
    if (method === "DELETE") ofType(type).delete(kept.id);
    return method === "DELETE" ? undefined : kept;
  };
  const server = listen(async (...request) => {
    const gate = gates.shift();
    gate?.arrived();
    await gate?.open;
    return handle(...request);
  });
  const path = join(folder, "control.sock");
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    endpoint: `unix:${path}`,
    calls,
    kept: (type) => [...ofType(type).values()],
    failNext: (status, code, message) => failures.push(new ApiError(status, code, message)),
    holdNext() {
      const [opening, arriving] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      gates.push({ open: opening.promise, arrived: arriving.resolve });
      return { arrived: arriving.promise, release: opening.resolve };
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

type Handle = (
  method: string,
  type: string,
  id: string | undefined,
  inputs: Record<string, Value>,
) => Promise<Kept | undefined>;

function listen(handle: Handle): Server {
  return createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const [, , module, name, id] = (request.url ?? "").split("/");
    try {
      const body = Buffer.concat(chunks).toString();
      const { inputs = {} } = body === "" ? {} : (JSON.parse(body) as { inputs?: Record<string, Value> });
      const answer = await handle(
        request.method ?? "",
        `${module}/${name}`,
        id && decodeURIComponent(id),
        inputs,
      );
      response.writeHead(answer ? 200 : 204).end(answer && JSON.stringify(answer));
    } catch (error) {
      const { status = 500, code = "InternalError", message } = error as ApiError;
      response.writeHead(status).end(JSON.stringify({ code, message }));
    }
  });
}
