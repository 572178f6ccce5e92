/**
 * The instance metadata service, version 2 only (the program sets `httpTokens: required`). A machine gets a session token by PUT,
 * and with it information about itself, including the credentials of its instance profile.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { accountId } from "../schema/names.ts";
import type { ApiRequest, ApiResponse, ImdsWorld, InstanceView } from "./world.ts";

const tokenSecondsMax = 21_600;

/** Serves `/latest/…`. `now` in milliseconds, for tests. */
export function imdsHandler(
  world: ImdsWorld,
  now: () => number = Date.now,
): (request: ApiRequest) => ApiResponse {
  // Tokens carry their own end and are signed, so that none has to be kept; they end with the daemon at the latest.
  const tokens = tokenMint(randomBytes(32), now);
  return (request) => {
    const path = new URL(request.path, "http://imds").pathname;
    const instance = world.instanceAt(request.sourceAddress.replace(/^::ffff:/, ""));
    if (!instance) return plain(404, "not an instance of this lab");
    if (path === "/latest/api/token") return tokenResponse(request, tokens.make(instance.instanceId));
    if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "Method Not Allowed");
    const token = headerOf(request, "x-aws-ec2-metadata-token");
    if (!token || !tokens.isValid(token, instance.instanceId)) return plain(401, "Unauthorized");
    const value = lookup(tree(world, instance), path);
    return value === undefined ? plain(404, "Not Found") : plain(200, value);
  };
}

export function isImdsRequest({ path }: ApiRequest): boolean {
  return path === "/latest" || path.startsWith("/latest/");
}

function tokenResponse(request: ApiRequest, make: (seconds: number) => string): ApiResponse {
  if (request.method !== "PUT") return plain(405, "Method Not Allowed");
  // AWS refuses forwarded requests, so that an open proxy on a machine cannot be used to steal credentials.
  if (headerOf(request, "x-forwarded-for") !== undefined) return plain(403, "Forbidden");
  const ttl = headerOf(request, "x-aws-ec2-metadata-token-ttl-seconds") ?? "";
  const seconds = /^\d+$/.test(ttl) ? Number(ttl) : 0;
  if (seconds < 1 || seconds > tokenSecondsMax) return plain(400, "Bad Request");
  const response = plain(200, make(seconds));
  return { ...response, headers: { ...response.headers, "x-aws-ec2-metadata-token-ttl-seconds": ttl } };
}

function tokenMint(key: Buffer, now: () => number) {
  const sign = (instanceId: string, end: string) =>
    createHmac("sha256", key).update(`${instanceId} ${end}`).digest("base64url");
  return {
    make: (instanceId: string) => (seconds: number) => {
      const end = String(now() + seconds * 1000);
      return `${end}.${sign(instanceId, end)}`;
    },
    isValid(token: string, instanceId: string): boolean {
      const [end = "", signature = ""] = token.split(".");
      const expected = Buffer.from(sign(instanceId, end));
      const given = Buffer.from(signature);
      return given.length === expected.length && timingSafeEqual(given, expected) && Number(end) > now();
    },
  };
}

type Tree = { [name: string]: Tree | string | undefined };

function tree(world: ImdsWorld, instance: InstanceView): Tree {
  const region = instance.availabilityZone.replace(/[a-z]$/, "");
  return {
    latest: {
      "meta-data": {
        "ami-id": instance.imageId,
        hostname: instance.privateDnsName,
        iam: iam(world, instance),
        "instance-id": instance.instanceId,
        "instance-type": instance.instanceType,
        "local-hostname": instance.privateDnsName,
        "local-ipv4": instance.privateIpAddress,
        placement: { "availability-zone": instance.availabilityZone, region },
        "public-ipv4": instance.publicIpAddress,
        "security-groups": instance.securityGroups.map(({ groupName }) => groupName).join("\n"),
      },
      dynamic: { "instance-identity": { document: identityDocument(instance, region) } },
    },
  };
}

function iam(world: ImdsWorld, instance: InstanceView): Tree | undefined {
  const credentials = world.credentialsOf(instance.instanceId);
  if (!credentials) return undefined;
  const { roleName, accessKeyId, secretAccessKey, sessionToken, expiration } = credentials;
  const lastUpdated = new Date(Math.min(Date.now(), Date.parse(expiration))).toISOString();
  return {
    info: json({
      Code: "Success",
      LastUpdated: lastUpdated,
      InstanceProfileArn: instance.iamInstanceProfileArn,
    }),
    "security-credentials": {
      [roleName]: json({
        Code: "Success",
        LastUpdated: lastUpdated,
        Type: "AWS-HMAC",
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        Token: sessionToken,
        Expiration: expiration,
      }),
    },
  };
}

function identityDocument(instance: InstanceView, region: string): string {
  return json({
    instanceId: instance.instanceId,
    imageId: instance.imageId,
    instanceType: instance.instanceType,
    privateIp: instance.privateIpAddress,
    availabilityZone: instance.availabilityZone,
    region,
    accountId,
    architecture: "x86_64",
    pendingTime: instance.launchTime,
    version: "2017-09-30",
  });
}

/** The text at a path; for a folder its entries, sub-folders with a slash, as AWS lists them. */
function lookup(root: Tree, path: string): string | undefined {
  let here: Tree | string | undefined = root;
  for (const name of path.split("/").filter((part) => part !== "")) {
    if (typeof here !== "object" || !Object.hasOwn(here, name)) return undefined;
    here = here[name];
  }
  if (typeof here !== "object") return here;
  return Object.entries(here)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => (typeof value === "object" ? `${name}/` : name))
    .join("\n");
}

function headerOf(request: ApiRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function json(value: Record<string, unknown>): string {
  return JSON.stringify(value, null, 2);
}

function plain(status: number, body: string): ApiResponse {
  return { status, headers: { "content-type": "text/plain" }, body };
}
