import { describe, expect, test } from "vitest";
import { imdsHandler } from "../../../lab/ec2-api/imds.ts";
import type { ApiRequest } from "../../../lab/ec2-api/world.ts";
import { fakeWorld } from "./fake-world.ts";

const world = fakeWorld();

function ask(path: string, more: Partial<ApiRequest> = {}): ApiRequest {
  return { method: "GET", path, headers: {}, body: "", sourceAddress: "127.0.0.1", ...more };
}

function tokenRequest(ttl = "60", more: Partial<ApiRequest> = {}): ApiRequest {
  const headers = { "x-aws-ec2-metadata-token-ttl-seconds": ttl };
  return ask("/latest/api/token", { method: "PUT", headers, ...more });
}

describe("the metadata service", () => {
  let time = 0;
  const handle = imdsHandler(world, () => time);
  const token = handle(tokenRequest()).body;
  const get = (path: string) => handle(ask(path, { headers: { "x-aws-ec2-metadata-token": token } }));

  test.each([
    ["/latest/meta-data/instance-id", "i-33333333333333333"],
    ["/latest/meta-data/local-ipv4", "10.42.1.3"],
    ["/latest/meta-data/placement/region", "eu-central-1"],
    ["/latest/meta-data/placement/availability-zone", "eu-central-1a"],
    ["/latest/meta-data/placement", "availability-zone\nregion"],
    ["/latest/meta-data/iam/security-credentials/", "barton-monit"],
  ])("%s", (path, expected) => {
    expect(get(path)).toMatchObject({ status: 200, body: expected });
  });

  test("gives the credentials of the role", () => {
    const { body } = get("/latest/meta-data/iam/security-credentials/barton-monit");
    expect(JSON.parse(body)).toMatchObject({ Code: "Success", AccessKeyId: "ASIALAB", Token: "lab-session" });
  });

  test("answers 404 for what it does not know, and does not reach into the prototype", () => {
    expect(get("/latest/meta-data/kernel-id").status).toBe(404);
    expect(get("/latest/meta-data/constructor").status).toBe(404);
  });

  test("wants a token, which ends, and belongs to the machine that asked for it", () => {
    expect(handle(ask("/latest/meta-data/instance-id")).status).toBe(401);
    const elsewhere = ask("/latest/meta-data/", { sourceAddress: "10.42.9.9" });
    expect(handle(elsewhere).status).toBe(404);
    time = 60_001;
    expect(get("/latest/meta-data/instance-id").status).toBe(401);
    time = 0;
  });

  test("gives no token for a wrong lifetime or through a proxy", () => {
    expect(handle(tokenRequest("0")).status).toBe(400);
    expect(handle(tokenRequest("21601")).status).toBe(400);
    expect(handle(ask("/latest/api/token")).status).toBe(405);
    const headers = { "x-aws-ec2-metadata-token-ttl-seconds": "60", "x-forwarded-for": "10.0.0.1" };
    expect(handle(tokenRequest("60", { headers })).status).toBe(403);
  });

  test("shows no credentials to an instance without a profile", () => {
    const bare = imdsHandler({ ...world, credentialsOf: () => undefined });
    const session = bare(tokenRequest()).body;
    const path = "/latest/meta-data/iam/security-credentials/";
    expect(bare(ask(path, { headers: { "x-aws-ec2-metadata-token": session } })).status).toBe(404);
  });
});
