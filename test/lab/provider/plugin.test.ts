/** The provider's parts that need neither engine nor control plane. */
import { describe, expect, test } from "vitest";
import { resourceOf } from "../../../lab/plugin/plugin.ts";
import {
  decodeProperties,
  encodeProperties,
  noProperties,
  secretsAmong,
  unknown,
  type Value,
} from "../../../lab/plugin/values.ts";
import { awsPlugin } from "../../../lab/provider/aws-plugin.ts";
import { checkConfiguration } from "../../../lab/provider/configuration.ts";
import type { ControlPlane } from "../../../lab/provider/control-plane-client.ts";

const sig = "4dabf18193072939515e22adb298388d";
const secret = (value: unknown) => ({ [sig]: "1b47061264138c4ac30d75fd1eb44270", value });
const unknownText = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

describe("values on the wire", () => {
  test("secrets are unwrapped and remembered, at any depth; unknown values have a form of their own", () => {
    const { values, secrets } = decodeProperties({
      userData: secret("a"),
      tags: { Name: "x", Hidden: secret("b") },
      ids: [unknownText, "sg-1"],
      gone: null,
      port: 7,
    });
    expect(values).toEqual({
      userData: "a",
      tags: { Name: "x", Hidden: "b" },
      ids: [unknown, "sg-1"],
      gone: null,
      port: 7,
    });
    expect([...secrets]).toEqual(["userData", "tags"]);
  });

  test("and back: the whole property is secret", () => {
    const values: Record<string, Value> = { userData: "a", ids: [unknown], tags: { Name: "x" } };
    expect(encodeProperties({ values, secrets: new Set(["tags"]) })).toEqual({
      userData: "a",
      ids: [unknownText],
      tags: secret({ Name: "x" }),
    });
  });

  test("outputs values (of engines that send them) are taken apart too", () => {
    const output = { [sig]: "d0e6a833031e9bbcd3f4e8bde6ca49a4", value: "a", secret: true };
    expect(decodeProperties({ a: output }).secrets).toEqual(new Set(["a"]));
    expect(decodeProperties({ a: { [sig]: "d0e6a833031e9bbcd3f4e8bde6ca49a4" } }).values.a).toBe(unknown);
  });

  test("an output that repeats a secret input is secret", () => {
    const inputs = { values: { tags: { Key: "hunter2" }, name: "x" }, secrets: new Set(["tags"]) };
    const outputs = { tagsAll: { Key: "hunter2", project: "barton" }, arn: "arn:aws:x/hunter2", id: "x" };
    expect(secretsAmong(outputs, inputs)).toEqual(new Set(["tags", "tagsAll", "arn"]));
  });
});

describe("the provider's configuration", () => {
  const failures = (values: Record<string, string>, env: NodeJS.ProcessEnv = {}) =>
    checkConfiguration({ values, secrets: new Set() }, env).failures.map(
      ({ property, reason }) => `${property}: ${reason}`,
    );

  test("takes region and default tags, also with what the SDK always says", () => {
    expect(failures({ region: "eu-central-1", defaultTags: '{"tags":{"a":"b"}}' })).toEqual([]);
    const ofSdk = { skipCredentialsValidation: "false", skipRegionValidation: "true", version: "7.48.0" };
    expect(failures({ region: "eu-central-1", ...ofSdk })).toEqual([]);
    expect(failures({}, { AWS_REGION: "eu-central-1" })).toEqual([]);
  });

  test("refuses everything else by name", () => {
    expect(failures({ region: "eu-central-1", endpoints: "[]" })).toEqual([
      expect.stringContaining(`the lab does not emulate the provider setting "aws:endpoints"`),
    ]);
    expect(failures({ region: "Frankfurt" })).toEqual([`region: "Frankfurt" is not a region`]);
    expect(failures({})).toEqual([expect.stringContaining("pulumi config set aws:region eu-central-1")]);
    expect(failures({ region: "eu-central-1", defaultTags: '{"project":"barton"}' })).toHaveLength(1);
    expect(failures({ region: "eu-central-1", skipCredentialsValidation: "true" })).toHaveLength(1);
  });
});

describe("a preview", () => {
  const untouched = new Proxy({} as ControlPlane, {
    get() {
      throw new Error("a preview must not ask the control plane");
    },
  });
  const plugin = awsPlugin({}, untouched);
  plugin.configure({ values: { region: "eu-central-1" }, secrets: new Set() }, async () => undefined);
  const instance = resourceOf(
    "urn:pulumi:local::barton::barton:infra:Machine$aws:ec2/instance:Instance::redis1",
  );
  const preview = { preview: true, timeoutMs: undefined };
  const news = {
    values: { ami: "ami-1", instanceType: "t3.micro", tags: { a: "b" } },
    secrets: new Set<string>(),
  };

  test("of a new resource knows the inputs and the tags, nothing else", async () => {
    const { state } = await plugin.create(instance, news, preview);
    expect(state.values).toMatchObject({
      ami: "ami-1",
      tagsAll: { a: "b" },
      region: "eu-central-1",
      privateIp: unknown,
      arn: unknown,
    });
  });

  test("of an update keeps what the update does not change", async () => {
    const state = {
      values: { ...news.values, privateIp: "10.42.1.17", publicIp: "1.2.3.4" },
      secrets: new Set<string>(),
    };
    const larger = { ...news, values: { ...news.values, instanceType: "t3.large" } };
    const { values } = await plugin.update(instance, "i-1", { inputs: news, state }, larger, preview);
    expect(values).toMatchObject({ instanceType: "t3.large", privateIp: "10.42.1.17", publicIp: unknown });
  });

  test("of a changed default tag tells tagsAll alone", () => {
    const tagging = awsPlugin({}, untouched);
    const config = { region: "eu-central-1", defaultTags: '{"tags":{"project":"barton"}}' };
    tagging.configure({ values: config, secrets: new Set() }, async () => undefined);
    const oldState = { values: { ...news.values, tagsAll: { a: "b" } }, secrets: new Set<string>() };
    expect(tagging.diff(instance, { oldInputs: news, oldState, news, ignoreChanges: [] })).toEqual([
      { path: "tagsAll", kind: "update", replace: false, isOutput: true },
    ]);
  });

  test("functions answer alone, and refuse what they cannot", async () => {
    expect(await plugin.invoke("aws:index/getRegion:getRegion", noProperties)).toMatchObject({
      region: "eu-central-1",
    });
    const zones = await plugin.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {
      values: { state: "available" },
      secrets: new Set(),
    });
    expect(zones.names).toEqual(["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    await expect(plugin.invoke("aws:ec2/getAmi:getAmi", noProperties)).rejects.toThrow(
      `does not emulate the function "aws:ec2/getAmi:getAmi"`,
    );
    const args = { values: { region: "us-east-1" }, secrets: new Set<string>() };
    await expect(plugin.invoke("aws:index/getRegion:getRegion", args)).rejects.toThrow(
      `the argument "region"`,
    );
  });
});
