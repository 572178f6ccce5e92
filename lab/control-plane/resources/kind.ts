/** The interface of a resource type: one table of functions per type. index.ts lists them. */
import type { Cloud } from "../cloud.ts";
import { ApiError } from "../errors.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { tagsOf } from "../plan.ts";
import type { Inputs, Json, Resource, Store } from "../store.ts";

/** What a kind works with. */
export type Context = { cloud: Cloud; store: Store; lifecycle: Lifecycle };

/** The identity of a new resource, and what AWS decides about it. */
export type Created = { id: string; attributes: Record<string, Json> };

export type Kind = {
  /** Checks the inputs against what exists and gives the new resource's identity. Changes nothing itself. */
  create(context: Context, inputs: Inputs): Created;
  /** Has its effect, once the resource is on record; when it throws, the record is taken back. */
  effect?(context: Context, resource: Resource): Promise<void>;
  /** Outputs that are not simply inputs and attributes. */
  describe?(context: Context, resource: Resource): Record<string, Json | undefined>;
  /** Checks new inputs of `resource`; has its effect after they are on record through {@link Kind.updated}. */
  update?(context: Context, resource: Resource, inputs: Inputs): void;
  updated?(context: Context, resource: Resource, before: Inputs): Promise<void>;
  /** Throws when something still depends on the resource. */
  whyKept?(context: Context, resource: Resource): ApiError | undefined;
  /** Takes the effect away, and with it records that go with this one. */
  remove?(context: Context, resource: Resource): Promise<void>;
  /** False: the record stays when it is removed, as a terminated instance does. */
  forgets?: boolean;
};

/** A property that must be text by now: the provider's check has seen to it, other callers may not have. */
export function required(inputs: Inputs, name: string): string {
  const value = inputs[name];
  if (typeof value === "string" && value !== "") return value;
  throw new ApiError("MissingParameter", `The request must contain the parameter ${name}`);
}

/** The resource that a property refers to, or AWS's error for one that does not exist. */
export function referred(store: Store, type: string, id: string, code: string, what: string): Resource {
  const resource = store.get(type, id);
  if (resource) return resource;
  throw new ApiError(code, `The ${what} '${id}' does not exist`);
}

/** Outputs of any resource: inputs, what was decided, and all tags. */
export function describe(kind: Kind, context: Context, resource: Resource): Record<string, Json | undefined> {
  const tags = "tags" in resource.inputs || "tagsAll" in resource.inputs ? { tagsAll: tagsOf(resource) } : {};
  return { ...resource.attributes, ...resource.inputs, ...tags, ...kind.describe?.(context, resource) };
}

/** Makes a resource of this type; it is there, with its effect, when this ends, or not at all. */
export async function createResource(
  context: Context,
  kind: Kind,
  type: string,
  inputs: Inputs,
): Promise<Resource> {
  const { cloud, store } = context;
  const resource: Resource = { type, inputs, ...kind.create(context, inputs) };
  // What AWS reports for an input that was left out is among the attributes, under the same name.
  store.put(resource);
  store.save();
  try {
    await kind.effect?.(context, resource);
    store.save();
    await cloud.converge();
  } catch (error) {
    if (kind.forgets !== false) store.remove(type, resource.id);
    store.save();
    throw error;
  }
  cloud.log(`${type} ${resource.id} created`);
  return resource;
}
