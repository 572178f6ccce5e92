/** Validates the inputs of a resource as AWS and its provider do, and adds defaults. */
import { createHash } from "node:crypto";
import type { Checked, Failure } from "../plugin/plugin.ts";
import { hasUnknown, type Properties, type Value } from "../plugin/values.ts";
import { type CheckContext, problemsOf } from "./kinds.ts";
import type { ResourceSchema } from "./schema.ts";

/** Input that lists the properties which were filled in here, so that they can be kept or remade next time. */
const defaultsKey = "__defaults";

export interface CheckRequest {
  /** Name of the resource in the program: generated names begin with it. */
  name: string;
  region: string;
  /** Inputs of the existing resource, undefined for a new one. */
  olds: Properties | undefined;
  news: Properties;
  /** Makes generated names repeatable between preview and update. */
  seed: Uint8Array;
}

/** The inputs with defaults and generated names, in the form AWS keeps, and what is wrong with them. */
export function checkInputs(schema: ResourceSchema, request: CheckRequest): Checked {
  const given = withoutNulls(request.news.values);
  const values: Record<string, Value> = {};
  for (const [name, value] of Object.entries(given)) {
    values[name] = schema.inputs[name]?.is.normalise?.(value) ?? value;
  }
  const failures = [...unknownNames(schema, given), ...wrongValues(schema, values, request)];
  const defaults = fillIn(schema, values, request);
  failures.push(...(schema.rules?.(values) ?? []));
  return {
    inputs: {
      values: defaults.length > 0 ? { ...values, [defaultsKey]: defaults } : values,
      secrets: request.news.secrets,
    },
    failures,
  };
}

/** Names that belong to the engine and to this file, not to AWS. */
export function isInternal(name: string): boolean {
  return name.startsWith("__");
}

function withoutNulls(values: Record<string, Value>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(values).filter(
      ([name, value]) => value !== null && value !== undefined && !isInternal(name),
    ),
  );
}

function unknownNames(schema: ResourceSchema, values: Record<string, Value>): Failure[] {
  const known = Object.keys(schema.inputs);
  return Object.keys(values)
    .filter((name) => !known.includes(name))
    .map((name) => ({
      property: name,
      reason:
        `the lab does not emulate the property "${name}" of ${schema.type}; it emulates: ${known.join(", ")}. ` +
        `To add it: ${schema.file}, and its effect in lab/control-plane`,
    }));
}

function wrongValues(
  schema: ResourceSchema,
  values: Record<string, Value>,
  request: CheckRequest,
): Failure[] {
  const failures: Failure[] = [];
  for (const [name, { is }] of Object.entries(schema.inputs)) {
    const value = values[name];
    if (value === undefined) continue;
    const context = contextFor(request.region, request.news.secrets.has(name));
    failures.push(...problemsOf(is, value, name, context));
  }
  const missing = Object.entries(schema.inputs).filter(
    ([name, property]) => property.required && values[name] === undefined,
  );
  for (const [name, { is }] of missing) {
    failures.push({ property: name, reason: `is required by ${schema.type}: ${is.expected}` });
  }
  return failures;
}

function contextFor(region: string, isSecret: boolean): CheckContext {
  return { region, show: (value) => (isSecret ? "[secret]" : shortened(value)) };
}

function shortened(value: Value): string {
  if (hasUnknown(value)) return "a value that is not known yet";
  const shown = JSON.stringify(value);
  return shown.length <= 100 ? shown : `${shown.slice(0, 100)}… (${shown.length} characters)`;
}

/** Adds defaults and generated names to `values`; returns the names of what was added. */
function fillIn(schema: ResourceSchema, values: Record<string, Value>, request: CheckRequest): string[] {
  const oldDefaults = request.olds?.values[defaultsKey];
  const added: string[] = [];
  for (const [name, property] of Object.entries(schema.inputs)) {
    if (values[name] !== undefined) continue;
    if (property.default !== undefined) {
      values[name] = property.default;
      added.push(name);
    }
    if (property.autoNameLengthMax !== undefined) {
      // A resource keeps the name that was generated for it; a replacement gets a new one (it has no olds).
      const wasGenerated = Array.isArray(oldDefaults) && oldDefaults.includes(name);
      const old = wasGenerated ? request.olds?.values[name] : undefined;
      values[name] = old ?? generatedName(request, name, property.autoNameLengthMax);
      added.push(name);
    }
  }
  return added;
}

/** `<name>-<seven hexadecimal digits>`, as Pulumi's providers make them. */
function generatedName({ name, seed }: CheckRequest, property: string, lengthMax: number): string {
  const digits = createHash("sha256").update(seed).update(property).digest("hex").slice(0, 7);
  return `${name.slice(0, lengthMax - 8)}-${digits}`;
}
