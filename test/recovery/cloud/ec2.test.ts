/** EC2 calls while whoever should answer accepts the connection and stays silent. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ec2Cloud } from "../../../recovery/cloud/ec2.ts";

let silent: Server;
let address: string;

beforeEach(async () => {
  silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"])
    vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_ENDPOINT_URL_EC2", address);
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
});
afterEach(() => {
  vi.unstubAllEnvs();
  silent.close();
});

const cloud = () => ec2Cloud("barton", { AWS_REGION: "eu-central-1" });

test("a silent API is an error after some seconds", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "key");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");
  await expect(cloud().describe()).rejects.toThrow();
  await expect(cloud().powerOff("i-1")).rejects.toThrow(/^EC2 did not take TerminateInstances of i-1: /);
}, 25_000);

test("so is a silent source of credentials, which the SDK's own limit does not cover", async () => {
  vi.stubEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI", `${address}/credentials`);
  const startedMs = performance.now();
  await expect(cloud().powerOff("i-1")).rejects.toThrow(/^EC2 did not take TerminateInstances of i-1: /);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
}, 25_000);
