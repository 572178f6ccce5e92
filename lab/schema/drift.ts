/** For a refresh: computes the inputs that would have made the resource as it is now. */
import { isObject, type Value } from "../plugin/values.ts";
import { isInternal } from "./check.ts";
import { type Kind, sameValue } from "./kinds.ts";
import type { ResourceSchema } from "./schema.ts";

type Bag = { readonly [key: string]: Value };

/**
 * The old inputs with everything replaced that the real resource (`state`) has otherwise. Properties that the
 * program never set are left out, because AWS chose them; tags are added, because nobody but a person or a
 * program sets them. Without old inputs (an import) all inputs come from the state.
 */
export function inputsFromState(schema: ResourceSchema, olds: Bag, state: Bag): Record<string, Value> {
  const isImport = Object.keys(olds).length === 0;
  const inputs: Record<string, Value> = {};
  for (const [name, value] of Object.entries(olds)) if (isInternal(name)) inputs[name] = value;
  for (const [name, { is }] of Object.entries(schema.inputs)) {
    const now = state[name] ?? undefined;
    const value = isImport ? now : current(is, olds[name] ?? undefined, now);
    if (value !== undefined) inputs[name] = value;
  }
  return inputs;
}

function current(kind: Kind, old: Value | undefined, now: Value | undefined): Value | undefined {
  if (kind.isMap) return isObject(now) && (old !== undefined || Object.keys(now).length > 0) ? now : old;
  // What the control plane does not report cannot have drifted.
  if (old === undefined || now === undefined) return old;
  if (kind.fields && isObject(old) && isObject(now)) return currentFields(kind, old, now);
  return sameValue(kind, old, now) ? old : now;
}

function currentFields(kind: Kind, old: Bag, now: Bag): Value {
  return Object.fromEntries(
    Object.entries(old).map(([name, value]) => {
      const field = kind.fields?.[name];
      return [name, (field && current(field.is, value, now[name])) ?? value];
    }),
  );
}
