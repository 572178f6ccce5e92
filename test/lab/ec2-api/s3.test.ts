/** The lab's S3 refuses what S3 would refuse. Requests are signed by the code that the AWS SDK signs with. */
import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { beforeEach, expect, test } from "vitest";
import { isS3Request, s3Handler } from "../../../lab/ec2-api/s3.ts";
import type { ApiRequest } from "../../../lab/ec2-api/world.ts";
import { type FakeWorld, fakeWorld } from "./fake-world.ts";

class Sha256 {
  readonly #hash;
  constructor(secret?: unknown) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", secret as Uint8Array);
  }
  update(data: unknown): void {
    this.#hash.update(data as Uint8Array);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

const now = Date.parse("2026-11-25T03:00:00Z");
let world: FakeWorld;

beforeEach(() => {
  world = fakeWorld();
  world.objects["programs/program/a.tar"] = Buffer.from([0, 255, 1]);
  world.policies.push({
    Statement: { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::programs/program/*" },
  });
});

async function signed(more: { key?: string; secret?: string; method?: string; atMs?: number } = {}) {
  const signer = new SignatureV4({
    service: "s3",
    region: "eu-central-1",
    sha256: Sha256,
    uriEscapePath: false,
    credentials: {
      accessKeyId: "ASIALAB",
      secretAccessKey: more.secret ?? "lab-secret",
      sessionToken: "lab-session",
    },
  });
  const { method, path, headers } = await signer.sign(
    {
      method: more.method ?? "GET",
      protocol: "http:",
      hostname: "169.254.169.254",
      path: `/programs/${more.key ?? "program/a.tar"}`,
      headers: {
        host: "169.254.169.254",
        "x-amz-content-sha256": createHash("sha256").update("").digest("hex"),
      },
    },
    { signingDate: new Date(more.atMs ?? now) },
  );
  return { method, path, headers, body: "", sourceAddress: "127.0.0.1" } as ApiRequest;
}

const answer = (request: ApiRequest) => s3Handler(world, () => now)(request);
const codeOf = (request: ApiRequest) => {
  const { status, body } = answer(request);
  return `${status} ${/<Code>(\w+)<\/Code>/.exec(String(body))?.[1]}`;
};

test("an object that the role may read is given, byte for byte", async () => {
  const request = await signed();
  expect(isS3Request(request)).toBe(true);
  expect(answer(request)).toMatchObject({ status: 200, body: Buffer.from([0, 255, 1]) });
});

test("a request of another service is not for S3", async () => {
  expect(isS3Request({ ...(await signed()), headers: {} })).toBe(false);
});

test("a wrong signature, time or path is refused", async () => {
  expect(codeOf(await signed({ secret: "wrong" }))).toBe("403 SignatureDoesNotMatch");
  expect(codeOf(await signed({ atMs: now - 16 * 60_000 }))).toBe("403 RequestTimeTooSkewed");
  expect(codeOf({ ...(await signed()), path: "/programs/program/b.tar" })).toBe("403 SignatureDoesNotMatch");
});

test("headers that are missing or not signed are refused", async () => {
  const request = await signed();
  const { "x-amz-content-sha256": _, ...others } = request.headers;
  expect(codeOf({ ...request, headers: others })).toBe("400 InvalidRequest");
  expect(codeOf({ ...request, headers: { ...request.headers, "x-amz-acl": "public" } })).toBe(
    "403 AccessDenied",
  );
});

test("the credentials must be the caller's own, and the caller must have some", async () => {
  const request = await signed();
  const own = world.credentialsOf("");
  world.credentialsOf = () => own && { ...own, accessKeyId: "ASIAOTHER" };
  expect(codeOf(request)).toBe("403 InvalidAccessKeyId");
  world.credentialsOf = () => own && { ...own, sessionToken: "another" };
  expect(codeOf(request)).toBe("400 InvalidToken");
  world.credentialsOf = () => undefined;
  expect(codeOf(request)).toBe("403 AccessDenied");
  expect(codeOf({ ...request, sourceAddress: "10.42.1.1" })).toBe("403 AccessDenied");
});

test("what the role's policy does not allow is refused", async () => {
  world.objects["programs/other.tar"] = Buffer.from("x");
  expect(codeOf(await signed({ key: "other.tar" }))).toBe("403 AccessDenied");
  world.policies.length = 0;
  expect(codeOf(await signed())).toBe("403 AccessDenied");
});

test("what is not there, and what is not emulated, is said", async () => {
  expect(codeOf(await signed({ key: "program/none.tar" }))).toBe("404 NoSuchKey");
  expect(codeOf(await signed({ method: "PUT" }))).toBe("501 NotImplemented");
});
