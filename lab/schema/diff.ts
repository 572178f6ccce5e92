/** Computes the changes of an existing resource, and whether AWS can make them in place. */
import type { PropertyChange } from "../plugin/plugin.ts";
import { isObject, unknown, type Value } from "../plugin/values.ts";
import { type ChangeEffect, type Property, sameValue } from "./kinds.ts";
import type { ResourceSchema } from "./schema.ts";

type Bag = { readonly [key: string]: Value };

/**
 * Compares old and new inputs, property by property. A value not known yet counts as a change: the engine cannot
 * promise that it will be the same, and for a property that cannot change in place it must plan a replacement.
 */
export function diffInputs(schema: ResourceSchema, olds: Bag, news: Bag): PropertyChange[] {
  return diffFields(schema.inputs, olds, news, news, "");
}

/** Without the changes that the program ignores, by top-level name or by path. */
export function withoutIgnored(changes: PropertyChange[], ignored: readonly string[]): PropertyChange[] {
  const covers = (pattern: string, path: string) =>
    path === pattern || path.startsWith(`${pattern}.`) || path.startsWith(`${pattern}[`);
  return changes.filter(({ path }) => !ignored.some((pattern) => covers(pattern, path)));
}

function diffFields(
  fields: Record<string, Property>,
  olds: Bag,
  news: Bag,
  inputs: Record<string, Value>,
  path: string,
): PropertyChange[] {
  return Object.entries(fields).flatMap(([name, property]) => {
    const effect = typeof property.change === "function" ? property.change(inputs) : property.change;
    const at = path === "" ? name : `${path}.${name}`;
    if (property.computed && (news[name] ?? undefined) === undefined) return [];
    return diffProperty(property, olds[name] ?? undefined, news[name] ?? undefined, inputs, at, effect);
  });
}

function diffProperty(
  { is }: Property,
  old: Value | undefined,
  now: Value | undefined,
  inputs: Record<string, Value>,
  path: string,
  effect: ChangeEffect,
): PropertyChange[] {
  if (now !== unknown && (is.fields || is.isMap) && (isObject(old) || isObject(now))) {
    const [before, after] = [isObject(old) ? old : {}, isObject(now) ? now : {}];
    return is.fields
      ? diffFields(is.fields, before, after, inputs, path)
      : diffMap(before, after, path, effect);
  }
  if (old === undefined && now === undefined) return [];
  if (old !== undefined && now !== undefined && sameValue(is, old, now)) return [];
  return [change(path, old, now, effect)];
}

function diffMap(before: Bag, after: Bag, path: string, effect: ChangeEffect): PropertyChange[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys
    .filter((key) => after[key] === unknown || before[key] !== after[key])
    .map((key) => change(keyPath(path, key), before[key], after[key], effect));
}

function change(
  path: string,
  old: Value | undefined,
  now: Value | undefined,
  effect: ChangeEffect,
): PropertyChange {
  const kind = old === undefined ? "add" : now === undefined ? "delete" : "update";
  return { path, kind, replace: effect === "replace" };
}

/** `tags.Name`, but `tags["barton:machine"]`: the engine's syntax for keys that are not plain words. */
function keyPath(path: string, key: string): string {
  return /^[A-Za-z_]\w*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}
