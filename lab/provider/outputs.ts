/** The outputs of a resource: its inputs, overridden by what the control plane reports. */
import type { PropertyChange } from "../plugin/plugin.ts";
import { type Properties, secretsAmong, unknown, type Value } from "../plugin/values.ts";
import { isInternal } from "../schema/check.ts";
import { ownTags, tagsAll } from "../schema/default-tags.ts";
import type { ResourceSchema } from "../schema/schema.ts";
import type { Configuration } from "./configuration.ts";

/** The inputs as the control plane gets them: with all tags and the region, without what is the engine's. */
export function requestInputs(
  schema: ResourceSchema,
  configuration: Configuration,
  inputs: Properties,
): Record<string, Value> {
  const values = Object.fromEntries(Object.entries(inputs.values).filter(([name]) => !isInternal(name)));
  if (schema.inputs.region) values.region ??= configuration.region;
  const all = tagsAll(schema, configuration.defaultTags, inputs.values);
  if (all !== undefined) values.tagsAll = all;
  return values;
}

/** The outputs of a resource that exists; `reported` may be any part of them. */
export function outputsOf(
  schema: ResourceSchema,
  configuration: Configuration,
  inputs: Properties,
  reported: Record<string, Value>,
): Properties {
  const known = Object.entries(reported).filter(([, value]) => value !== null && value !== undefined);
  const values = { ...requestInputs(schema, configuration, inputs), ...Object.fromEntries(known) };
  if (schema.inputs.tags) {
    const own = ownTags(values.tagsAll, configuration.defaultTags, inputs.values.tags);
    delete values.tags;
    if (own !== undefined && (Object.keys(own).length > 0 || inputs.values.tags !== undefined))
      values.tags = own;
  }
  return { values, secrets: secretsAmong(values, inputs) };
}

/** What a preview can tell of a resource that is still to be made: its inputs; all else is not known yet. */
export function foretoldForCreate(
  schema: ResourceSchema,
  configuration: Configuration,
  inputs: Properties,
): Properties {
  const later = Object.keys(schema.outputs).map((name) => [name, unknown] as const);
  const values = { ...Object.fromEntries(later), ...requestInputs(schema, configuration, inputs) };
  return { values, secrets: secretsAmong(values, inputs) };
}

/** What a preview can tell of an update: the old outputs, except those that the changed inputs may change. */
export function foretoldForUpdate(
  schema: ResourceSchema,
  configuration: Configuration,
  oldState: Properties,
  inputs: Properties,
  changes: PropertyChange[],
): Properties {
  const changed = new Set(changes.map(({ path }) => /^[^.[]+/.exec(path)?.[0] ?? path));
  const unsettled = Object.entries(schema.outputs)
    .filter(([, causes]) => causes.some((cause) => changed.has(cause)))
    .map(([name]) => [name, unknown] as const);
  const values = {
    ...oldState.values,
    ...Object.fromEntries(unsettled),
    ...requestInputs(schema, configuration, inputs),
  };
  return { values, secrets: new Set([...oldState.secrets, ...secretsAmong(values, inputs)]) };
}
