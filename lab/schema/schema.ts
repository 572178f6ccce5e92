/** The description of a resource type. One table per type; index.ts lists them. */
import type { Failure } from "../plugin/plugin.ts";
import type { Value } from "../plugin/values.ts";
import { type Property, tags } from "./kinds.ts";
import { region } from "./names.ts";

export interface ResourceSchema {
  /** Pulumi's type token, e.g. `aws:ec2/vpc:Vpc`. */
  type: string;
  /** Where this table is, for the message about a property that it lacks. */
  file: string;
  inputs: Record<string, Property>;
  /**
   * Outputs beyond the inputs, and by which changed inputs they may become others: a preview of an update shows
   * those as unknown and all the rest as they are.
   */
  outputs: Record<string, readonly string[]>;
  /** Rules between properties; values may be unknown. */
  rules?: (inputs: Record<string, Value>) => Failure[];
  /** Is what the control plane shows a resource that AWS still remembers, but that is no more? */
  isGone?: (state: Record<string, Value>) => boolean;
}

/** An output that no update changes. */
export const stable: readonly string[] = [];

/** For resources that can be tagged. The provider's default tags are added as `tagsAll`. */
export const tagged = { tags: { is: tags, change: "update" } } as const satisfies Record<string, Property>;

/** Since version 7 of the provider every regional resource has it. */
export const regional = {
  region: { is: region, change: "replace", computed: true },
} as const satisfies Record<string, Property>;

/** Exactly one of the named properties must be given; a property not known yet counts as given. */
export function exactlyOne(inputs: Record<string, Value>, ...names: string[]): Failure[] {
  const given = names.filter((name) => inputs[name] !== undefined);
  if (given.length === 1) return [];
  const reason =
    given.length === 0
      ? `one of ${names.join(", ")} is required`
      : `only one of ${given.join(", ")} may be given`;
  return [{ property: given[0] ?? names[0] ?? "", reason }];
}
