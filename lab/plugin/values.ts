/**
 * Property values as Pulumi's engine sends them, and as the plugins use them.
 *
 * On the wire a secret is an object with a signature key, and an unknown value (a preview does not know it yet) is a reserved
 * string. Here properties are plain values. `unknown` stands for a value that is not known yet. A set names the properties that
 * hold a secret anywhere inside: secrecy is per top-level property, as in the engine's own display.
 */

/** Key that marks the wire's special objects. */
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
const assetSignature = "c44067f5952c0a294b673a41bacd8c17";
const archiveSignature = "0def7320c3a5731c473e5ecbe6d01bc7";
const outputSignature = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** The reserved strings for a value not known yet: one for each type that the engine may expect. */
const unknownStrings = new Set([
  "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
]);

/** A value that a preview does not know yet. */
export const unknown: unique symbol = Symbol("unknown until the update");

export type Value =
  | null
  | boolean
  | number
  | string
  | typeof unknown
  | readonly Value[]
  | { readonly [key: string]: Value };

/** A bag of properties: `secrets` names those whose value must never be shown or stored in the clear. */
export interface Properties {
  values: Record<string, Value>;
  secrets: ReadonlySet<string>;
}

export const noProperties: Properties = { values: {}, secrets: new Set() };

export function isObject(value: unknown): value is { readonly [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A file's or a text's content, as the engine describes it (content may be elided: then only the hash is there). */
export interface Asset {
  path?: string;
  text?: string;
  uri?: string;
  hash?: string;
}

/** A folder or a tar file (`path`), or a set of assets and archives by name. */
export interface Archive {
  path?: string;
  assets?: { readonly [name: string]: Value };
  uri?: string;
  hash?: string;
}

export function asAsset(value: Value | undefined): Asset | undefined {
  return isObject(value) && value[signatureKey] === assetSignature ? (value as Asset) : undefined;
}

export function asArchive(value: Value | undefined): Archive | undefined {
  return isObject(value) && value[signatureKey] === archiveSignature ? (value as Archive) : undefined;
}

/** Does the value contain, at any depth, something that is not known yet? */
export function hasUnknown(value: Value | undefined): boolean {
  if (value === unknown) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isObject(value) && Object.values(value).some(hasUnknown);
}

/** From the wire. Secrets are unwrapped and remembered by the name of their top-level property. */
export function decodeProperties(wire: Record<string, unknown> | undefined): Properties {
  const values: Record<string, Value> = {};
  const secrets = new Set<string>();
  for (const [name, value] of Object.entries(wire ?? {})) {
    values[name] = decode(value, () => secrets.add(name));
  }
  return { values, secrets };
}

function decode(wire: unknown, foundSecret: () => void): Value {
  if (typeof wire === "string") return unknownStrings.has(wire) ? unknown : wire;
  if (Array.isArray(wire)) return wire.map((item) => decode(item, foundSecret));
  if (!isObject(wire)) return (wire ?? null) as Value;
  if (wire[signatureKey] === secretSignature) {
    foundSecret();
    return decode(wire.value, foundSecret);
  }
  if (wire[signatureKey] === outputSignature) {
    if (wire.secret === true) foundSecret();
    return "value" in wire ? decode(wire.value, foundSecret) : unknown;
  }
  return mapValues(wire, (item) => decode(item, foundSecret));
}

/** To the wire. Absent values are left out; the properties named in `secrets` are wrapped. */
export function encodeProperties({ values, secrets }: Properties): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    const encoded = encode(value);
    wire[name] = secrets.has(name) ? { [signatureKey]: secretSignature, value: encoded } : encoded;
  }
  return wire;
}

function encode(value: Value): unknown {
  if (value === unknown) return "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
  if (Array.isArray(value)) return value.map(encode);
  return isObject(value) ? mapValues(value, encode) : value;
}

function mapValues<T>(record: { readonly [key: string]: Value }, change: (value: Value) => T) {
  const result: Record<string, T> = {};
  for (const [key, value] of Object.entries(record)) if (value !== undefined) result[key] = change(value);
  return result;
}

/**
 * Names of the properties in `outputs` that must be secret: those of the same name as a secret input, and those
 * that repeat a secret text from the inputs (`tagsAll` repeats `tags`, an ARN may repeat a name…).
 */
export function secretsAmong(outputs: Record<string, Value>, inputs: Properties): Set<string> {
  const secrets = new Set(inputs.secrets);
  const texts = [...inputs.secrets].flatMap((name) => textsIn(inputs.values[name]));
  for (const [name, value] of Object.entries(outputs)) {
    const own = textsIn(value);
    if (texts.some((secret) => own.some((text) => text.includes(secret)))) secrets.add(name);
  }
  return secrets;
}

/** All texts of at least four characters in a value: shorter ones would mark half of everything as secret. */
function textsIn(value: Value | undefined): string[] {
  if (typeof value === "string") return value.length >= 4 ? [value] : [];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return isObject(value) ? Object.values(value).flatMap(textsIn) : [];
}
