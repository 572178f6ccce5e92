/**
 * The part of S3 that a machine uses when it boots: GET of an object, with the credentials of its role.
 *
 * The signature (Signature Version 4) and the role's policy are checked as on AWS. So a request that S3 would refuse fails here,
 * too, and not first on AWS, where the machine would not come up.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { ApiRequest, BinaryResponse, RoleCredentials, S3World } from "./world.ts";

const algorithm = "AWS4-HMAC-SHA256";
/** How far a request's time may be from the lab's, in milliseconds. */
const skewMaxMs = 15 * 60_000;

class S3Error extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 403) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Is this a request for `s3Handler`? Signed ones name their service; path-style addresses are emulated alone. */
export function isS3Request({ headers }: ApiRequest): boolean {
  return /\/s3\/aws4_request\b/.test(headerOf(headers, "authorization"));
}

/** Serves `GET /BUCKET/KEY` and HEAD. `now` in milliseconds, for tests. */
export function s3Handler(
  world: S3World,
  now: () => number = Date.now,
): (request: ApiRequest) => BinaryResponse {
  return (request) => {
    try {
      const body = read(world, request, now());
      const headers = { "content-type": "application/octet-stream", "content-length": String(body.length) };
      return { status: 200, headers, body: request.method === "HEAD" ? "" : body };
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${error.code}</Code><Message>${error.message}</Message></Error>`;
      return { status: error.status, headers: { "content-type": "application/xml" }, body };
    }
  };
}

function read(world: S3World, request: ApiRequest, nowMs: number): Uint8Array {
  const { pathname, search } = new URL(request.path, "http://s3");
  const [, bucket = "", ...rest] = pathname.split("/");
  const key = rest.map(decodeURIComponent).join("/");
  if (!["GET", "HEAD"].includes(request.method) || search !== "" || key === "") {
    const what = `${request.method} ${request.path}: the lab's S3 emulates GET and HEAD of an object; to add more: lab/ec2-api/s3.ts`;
    throw new S3Error("NotImplemented", what, 501);
  }
  const caller = world.instanceAt(request.sourceAddress);
  const credentials = caller && world.credentialsOf(caller.instanceId);
  if (!caller || !credentials) throw new S3Error("AccessDenied", "The caller has no role");
  checkSignature(request, credentials, nowMs);
  const isAllowed = world
    .policiesOf(caller.instanceId)
    .some((policy) => allows(policy, "s3:GetObject", `arn:aws:s3:::${bucket}/${key}`));
  if (!isAllowed) {
    const who = `${credentials.roleName} is not authorized to perform: s3:GetObject on ${bucket}/${key}`;
    throw new S3Error("AccessDenied", who);
  }
  const content = world.contentOf(bucket, key);
  if (content) return content;
  throw new S3Error("NoSuchKey", "The specified key does not exist.", 404);
}

/** Throws unless the request was signed with these credentials, for S3, now. */
function checkSignature(request: ApiRequest, credentials: RoleCredentials, nowMs: number): void {
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8}\/[\w-]+\/s3\/aws4_request), ?SignedHeaders=([\w;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      headerOf(request.headers, "authorization"),
    );
  if (!given) throw new S3Error("AuthorizationHeaderMalformed", "The authorization header is malformed", 400);
  const [, accessKeyId, scope = "", signedHeaders = "", signature = ""] = given;
  if (accessKeyId !== credentials.accessKeyId) {
    throw new S3Error(
      "InvalidAccessKeyId",
      "The AWS access key ID you provided does not exist in our records.",
    );
  }
  if (headerOf(request.headers, "x-amz-security-token") !== credentials.sessionToken) {
    throw new S3Error("InvalidToken", "The provided token is malformed or otherwise invalid.", 400);
  }
  const mustBeSigned = Object.keys(request.headers).filter(
    (name) => name === "host" || name.startsWith("x-amz-"),
  );
  const unsigned = mustBeSigned.filter((name) => !signedHeaders.split(";").includes(name));
  if (unsigned.length > 0) {
    throw new S3Error(
      "AccessDenied",
      `There were headers present in the request which were not signed: ${unsigned.join(", ")}`,
    );
  }
  if (headerOf(request.headers, "x-amz-content-sha256") === "") {
    throw new S3Error(
      "InvalidRequest",
      "Missing required header for this request: x-amz-content-sha256",
      400,
    );
  }
  const time = headerOf(request.headers, "x-amz-date");
  const timeMs = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(timeMs - nowMs) < skewMaxMs)) {
    throw new S3Error(
      "RequestTimeTooSkewed",
      "The difference between the request time and the current time is too large.",
    );
  }
  const expected = sign(request, { scope, signedHeaders, time, secret: credentials.secretAccessKey });
  if (timingSafeEqual(Buffer.from(expected), Buffer.from(signature))) return;
  throw new S3Error(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  );
}

function sign(
  { method, path, headers }: ApiRequest,
  {
    scope,
    signedHeaders,
    time,
    secret,
  }: { scope: string; signedHeaders: string; time: string; secret: string },
): string {
  const { pathname } = new URL(path, "http://s3");
  const lines = signedHeaders.split(";").map((name) => `${name}:${headerOf(headers, name).trim()}\n`);
  const payload = headerOf(headers, "x-amz-content-sha256");
  const canonical = [method, pathname, "", lines.join(""), signedHeaders, payload].join("\n");
  const hash = createHash("sha256").update(canonical).digest("hex");
  const key = scope
    .split("/")
    .reduce<Uint8Array>(
      (parent, part) => createHmac("sha256", parent).update(part).digest(),
      Buffer.from(`AWS4${secret}`),
    );
  return createHmac("sha256", key).update([algorithm, time, scope, hash].join("\n")).digest("hex");
}

type Statement = {
  Effect?: string;
  Action?: string | string[];
  Resource?: string | string[];
  Condition?: object;
};

/** Does a policy allow the action, unconditionally? Denials do not occur here. */
function allows(policy: string, action: string, resource: string): boolean {
  const { Statement: given = [] } = JSON.parse(policy) as { Statement?: Statement | Statement[] };
  return [given]
    .flat()
    .some(
      ({ Effect, Action = [], Resource = [], Condition }) =>
        Effect === "Allow" &&
        !Condition &&
        [Action].flat().includes(action) &&
        [Resource].flat().some((pattern) => matches(pattern, resource)),
    );
}

function matches(pattern: string, resource: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+^${}()|[\]\\?]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(resource);
}

function headerOf(headers: ApiRequest["headers"], name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(",") : value) ?? "";
}
