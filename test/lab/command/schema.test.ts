import { describe, expect, test } from "vitest";
import { commandPlugin } from "../../../lab/command/command-plugin.ts";
import { resourceOf } from "../../../lab/plugin/plugin.ts";
import { type Properties, unknown, type Value } from "../../../lab/plugin/values.ts";

const plugin = commandPlugin();
const remote = resourceOf("urn:pulumi:local::barton::command:remote:Command::wait");
const copy = resourceOf("urn:pulumi:local::barton::command:remote:CopyToRemote::copy");
const local = resourceOf("urn:pulumi:local::barton::command:local:Command::step");
const connection = { host: "10.42.1.17", user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
const asset = (hash: string, path = "/a") => ({
  "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17",
  path,
  hash,
});

function properties(values: Record<string, Value>, ...secrets: string[]): Properties {
  return { values, secrets: new Set(secrets) };
}

function failures(resource: typeof remote, values: Record<string, Value>, ...secrets: string[]): string[] {
  const { failures } = plugin.check(resource, undefined, properties(values, ...secrets), new Uint8Array());
  return failures.map(({ property, reason }) => `${property}: ${reason}`);
}

function changes(resource: typeof remote, olds: Record<string, Value>, news: Record<string, Value>) {
  const none = properties({});
  return plugin.diff(resource, {
    oldInputs: properties(olds),
    oldState: none,
    news: properties(news),
    ignoreChanges: [],
  });
}

describe("check", () => {
  test("takes what the program uses, also while it is not known yet", () => {
    expect(failures(remote, { connection, create: "true", triggers: ["i-1", 2, null] })).toEqual([]);
    expect(failures(remote, { connection: { ...connection, host: unknown }, create: unknown })).toEqual([]);
    expect(failures(remote, { connection: unknown, triggers: [unknown] })).toEqual([]);
    expect(failures(copy, { connection, source: asset("1"), remotePath: "/opt/x" })).toEqual([]);
    expect(failures(local, { create: "true", environment: { A: "b", C: unknown } })).toEqual([]);
  });

  test("refuses by name what the stand-in lacks", () => {
    const passwordTold = failures(remote, { connection: { ...connection, password: "x" }, create: "true" });
    expect(passwordTold).toEqual([
      expect.stringContaining(`connection.password: the lab does not emulate the property "password"`),
    ]);
    const proxy = { ...connection, proxy: { host: "a" } };
    expect(failures(remote, { connection: proxy })).toEqual([expect.stringContaining("connection.proxy")]);
    expect(failures(local, { create: "true", assetPaths: ["*"] })).toEqual([
      expect.stringContaining("lab/command/schema.ts"),
    ]);
    expect(() =>
      plugin.check(
        resourceOf("urn:pulumi:l::b::command:remote:CopyFile::x"),
        undefined,
        properties({}),
        new Uint8Array(),
      ),
    ).toThrow(`does not know the resource type "command:remote:CopyFile"`);
  });

  test("refuses what ssh would take for an option, and keys that are none, without showing them", () => {
    expect(
      failures(remote, { connection: { ...connection, host: "-oProxyCommand=x" } }, "connection"),
    ).toHaveLength(1);
    const noKey = failures(remote, { connection: { ...connection, privateKey: "hunter2" } }, "connection");
    expect(noKey).toEqual([expect.stringContaining("connection.privateKey: expected a private key")]);
    expect(noKey.join()).not.toContain("hunter2");
  });

  test("wants a connection, a source and a target", () => {
    expect(failures(copy, {}).map((failure) => failure.split(":")[0])).toEqual([
      "connection",
      "source",
      "remotePath",
    ]);
    expect(failures(copy, { connection, source: "text", remotePath: "/a" })).toEqual([
      expect.stringContaining("FileAsset"),
    ]);
  });
});

describe("diff", () => {
  test("a changed trigger makes the resource anew, everything else updates it", () => {
    const olds = { connection, create: "a", triggers: ["i-1"] };
    expect(changes(remote, olds, { ...olds, triggers: ["i-2"] })).toEqual([
      { path: "triggers", kind: "update", replace: true },
    ]);
    expect(changes(remote, olds, { ...olds, triggers: [unknown] })).toMatchObject([{ replace: true }]);
    expect(changes(remote, olds, { ...olds, create: "b" })).toEqual([
      { path: "create", kind: "update", replace: false },
    ]);
    const moved = { ...olds, connection: { ...connection, host: "10.42.1.18" } };
    expect(changes(remote, olds, moved)).toEqual([
      { path: "connection.host", kind: "update", replace: false },
    ]);
    expect(changes(remote, olds, olds)).toEqual([]);
  });

  test("a source is compared by its content", () => {
    const olds = { connection, source: asset("1", "/a"), remotePath: "/x" };
    expect(changes(copy, olds, { ...olds, source: asset("1", "/b") })).toEqual([]);
    expect(changes(copy, olds, { ...olds, source: asset("2", "/a") })).toMatchObject([
      { path: "source", replace: false },
    ]);
  });
});
