/** The provider's default tags, which AWS resources get in addition to their own. */
import { isObject, unknown, type Value } from "../plugin/values.ts";
import type { ResourceSchema } from "./schema.ts";

type Tags = Record<string, string>;

/** `tagsAll`: what the resource carries. A resource's own tag wins over the default of the same name. */
export function tagsAll(
  schema: ResourceSchema,
  defaults: Tags,
  inputs: { readonly [key: string]: Value },
): Value | undefined {
  if (!schema.inputs.tags) return undefined;
  if (inputs.tags === unknown) return unknown;
  return { ...defaults, ...(isObject(inputs.tags) ? inputs.tags : {}) };
}

/** The resource's own tags among all it carries: those that are no default, or that the program gave itself. */
export function ownTags(
  all: Value | undefined,
  defaults: Tags,
  given: Value | undefined,
): Record<string, Value> | undefined {
  if (!isObject(all)) return undefined;
  const own = isObject(given) ? given : {};
  return Object.fromEntries(
    Object.entries(all).filter(([key, value]) => key in own || defaults[key] !== value),
  );
}
