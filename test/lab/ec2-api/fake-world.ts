/** A fake of the control plane for these tests: three instances in memory, and an HTTP server on a free port. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { imdsHandler, isImdsRequest } from "../../../lab/ec2-api/imds.ts";
import { ec2Handler } from "../../../lab/ec2-api/query.ts";
import { isS3Request, s3Handler } from "../../../lab/ec2-api/s3.ts";
import type {
  ApiRequest,
  Ec2World,
  InstanceState,
  InstanceView,
  S3World,
} from "../../../lab/ec2-api/world.ts";

export function instanceView(digit: number, machine: string, state: InstanceState = "running"): InstanceView {
  return {
    instanceId: `i-${String(digit).repeat(17)}`,
    imageId: "ami-0123456789abcdef0",
    instanceType: "t3.micro",
    state,
    launchTime: `2026-01-0${digit}T12:00:00.000Z`,
    availabilityZone: "eu-central-1a",
    subnetId: "subnet-0123456789abcdef0",
    vpcId: "vpc-0123456789abcdef0",
    privateIpAddress: state === "terminated" ? undefined : `10.42.1.${digit}`,
    privateDnsName: `ip-10-42-1-${digit}.eu-central-1.compute.internal`,
    securityGroups: [{ groupId: "sg-0123456789abcdef0", groupName: "redis" }],
    tags: { Name: `${machine}.barton`, "barton:machine": machine, "barton:stack": "local", odd: `<&"'>` },
    iamInstanceProfileArn:
      machine === "monit" ? "arn:aws:iam::000000000000:instance-profile/barton-monit" : undefined,
  };
}

export interface FakeWorld extends Ec2World, S3World {
  /** What was asked of the world, e.g. `stop i-… forced`. */
  calls: string[];
  instances: InstanceView[];
  /** By `bucket/key`. */
  objects: Record<string, Uint8Array>;
  /** What the role may, as policy documents. */
  policies: object[];
}

export function fakeWorld(): FakeWorld {
  const instances = [
    instanceView(1, "redis1"),
    instanceView(2, "redis1", "terminated"),
    instanceView(3, "monit"),
    instanceView(4, "builder", "stopped"),
  ];
  const calls: string[] = [];
  const change = (call: string, id: string, state: InstanceState) => {
    calls.push(call);
    const found = instances.find(({ instanceId }) => instanceId === id);
    if (found) found.state = state;
  };
  const objects: Record<string, Uint8Array> = {};
  const policies: object[] = [];
  return {
    instances,
    calls,
    objects,
    policies,
    contentOf: (bucket, key) => objects[`${bucket}/${key}`],
    policiesOf: () => policies.map((policy) => JSON.stringify(policy)),
    listInstances: () => structuredClone(instances),
    terminate: (id) => change(`terminate ${id}`, id, "shutting-down"),
    stop: (id, force) => change(`stop ${id}${force ? " forced" : ""}`, id, "stopping"),
    start: (id) => change(`start ${id}`, id, "pending"),
    // Every request of the test comes from the loopback: it stands for the monit machine.
    instanceAt: (address) => (address === "127.0.0.1" ? instances[2] : undefined),
    credentialsOf: () => ({
      roleName: "barton-monit",
      accessKeyId: "ASIALAB",
      secretAccessKey: "lab-secret",
      sessionToken: "lab-session",
      expiration: new Date(Date.now() + 3_600_000).toISOString(),
    }),
  };
}

/** Serves all handlers; `seen` collects the authorization header of EC2 requests. */
export async function serveWorld(world: FakeWorld): Promise<{ url: string; seen: string[]; server: Server }> {
  const [ec2, imds, s3, seen] = [ec2Handler(world), imdsHandler(world), s3Handler(world), [] as string[]];
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request: ApiRequest = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      headers: incoming.headers,
      body: Buffer.concat(chunks).toString(),
      sourceAddress: incoming.socket.remoteAddress ?? "",
    };
    if (!isImdsRequest(request)) seen.push(incoming.headers.authorization ?? "");
    const handler = isImdsRequest(request) ? imds : isS3Request(request) ? s3 : ec2;
    const response = handler(request);
    outgoing.writeHead(response.status, response.headers).end(response.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, server };
}
