/**
 * The part of @pulumi/command 1.2.1 that the stand-in implements, as tables. The rest (passwords, proxies, asset globs…) is
 * refused by name, so a program never means something else here than with the official plugin.
 */
import type { Failure } from "../plugin/plugin.ts";
import { asArchive, asAsset, isObject, unknown, type Value } from "../plugin/values.ts";
import {
  type CheckContext,
  flag,
  type Kind,
  object,
  oneOf,
  type Property,
  problemsOf,
  scalar,
  text,
  wholeNumber,
} from "../schema/kinds.ts";
import type { ResourceSchema } from "../schema/schema.ts";

const file = "lab/command/schema.ts";

const anyText = text("text");

/** A list that is compared as a whole. */
function listOf(item: Kind): Kind {
  return {
    expected: `a list, each of it ${item.expected}`,
    problems(value, path, context) {
      if (!Array.isArray(value)) return wrong(this, value, path, context);
      return value.flatMap((each, index) => problemsOf(item, each, `${path}[${index}]`, context));
    },
  };
}

const environment: Kind = {
  expected: "a map from names to texts",
  isMap: true,
  problems(value, path, context) {
    const isText = (each: Value) => typeof each === "string" || each === unknown;
    const isRight = isObject(value) && Object.values(value).every(isText);
    return isRight ? [] : wrong(this, value, path, context);
  },
};

const privateKey = scalar(
  "a private key in PEM or OpenSSH form, without a passphrase",
  (value) => typeof value === "string" && value.trimStart().startsWith("-----BEGIN "),
);

/** The SDK fills in user, port, dialErrorLimit and perDialTimeout. */
const connection = object({
  host: { is: text("a host name or address", /^[^\s-]\S*$/), required: true, change: "update" },
  user: { is: text("a user name", /^[A-Za-z_][\w.-]*$/), change: "update" },
  port: { is: wholeNumber(1, 65_535), change: "update" },
  privateKey: { is: privateKey, change: "update" },
  agentSocketPath: { is: anyText, change: "update" },
  /** An `ssh-keyscan` line without the host, e.g. `ssh-ed25519 AAAA…`. */
  hostKey: {
    is: text('a host key such as "ssh-ed25519 AAAA…"', /^(ssh|ecdsa|sk)-\S+ \S+/),
    change: "update",
  },
  dialErrorLimit: { is: wholeNumber(-1, 1_000_000), change: "update" },
  perDialTimeout: { is: wholeNumber(0, 86_400), change: "update" },
});

const anyList: Kind = {
  expected: "a list of values",
  problems(value, path, context) {
    return Array.isArray(value) ? [] : wrong(this, value, path, context);
  },
};

/** A trigger may be anything; a change of one replaces the resource. */
const triggers: Property = { is: anyList, change: "replace" };

const command = {
  create: { is: anyText, change: "update" },
  update: { is: anyText, change: "update" },
  delete: { is: anyText, change: "update" },
  stdin: { is: anyText, change: "update" },
  environment: { is: environment, change: "update" },
  logging: { is: oneOf("stdout", "stderr", "stdoutAndStderr", "none"), change: "update" },
  addPreviousOutputInEnv: { is: flag, change: "update" },
  triggers,
} as const satisfies Record<string, Property>;

const commandOutputs = { stdout: [], stderr: [] };

export const localCommand: ResourceSchema = {
  type: "command:local:Command",
  file,
  inputs: {
    ...command,
    dir: { is: anyText, change: "update" },
    interpreter: { is: listOf(anyText), change: "update" },
  },
  outputs: commandOutputs,
};

export const remoteCommand: ResourceSchema = {
  type: "command:remote:Command",
  file,
  inputs: { ...command, connection: { is: connection, required: true, change: "update" } },
  outputs: commandOutputs,
};

/** A file, a text or a folder. Two are the same when their contents are: the engine makes a hash of them. */
const source: Kind = {
  expected: "a FileAsset, a StringAsset or a FileArchive",
  problems(value, path, context) {
    const asset = asAsset(value);
    const isRight = asset
      ? asset.path !== undefined || asset.text !== undefined
      : asArchive(value)?.path !== undefined;
    return isRight ? [] : wrong(this, asset?.uri ?? value, path, context);
  },
  same: (a, b) => hashOf(a) !== undefined && hashOf(a) === hashOf(b),
};

/** The engine's hash over the content of an asset or archive. */
export function hashOf(value: Value | undefined): string | undefined {
  return asAsset(value)?.hash ?? asArchive(value)?.hash;
}

export const copyToRemote: ResourceSchema = {
  type: "command:remote:CopyToRemote",
  file,
  inputs: {
    connection: { is: connection, required: true, change: "update" },
    source: { is: source, required: true, change: "update" },
    remotePath: { is: text("a path", /./), required: true, change: "update" },
    triggers,
  },
  outputs: {},
};

const schemas = [localCommand, remoteCommand, copyToRemote];

/** The table of a type; an unknown one is an error that says what there is. */
export function schemaOf(type: string): ResourceSchema {
  const schema = schemas.find((each) => each.type === type);
  if (schema) return schema;
  throw new Error(
    `the lab's stand-in for the command plugin does not know the resource type "${type}"; it knows: ` +
      `${schemas.map((each) => each.type).join(", ")}. To add it: ${file}, or install the official plugin`,
  );
}

function wrong(kind: Kind, value: Value, path: string, context: CheckContext): Failure[] {
  return [{ property: path, reason: `expected ${kind.expected}, got ${context.show(value)}` }];
}
