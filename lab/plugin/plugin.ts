/** The interface of a resource plugin, without gRPC. lab/provider and lab/command implement it. */
import type { Properties, Value } from "./values.ts";

/** Which resource a call is about. */
export interface ResourceRef {
  /** e.g. `urn:pulumi:local::barton::barton:infra:Machine$aws:ec2/instance:Instance::redis1`. */
  urn: string;
  /** Type token, e.g. `aws:ec2/instance:Instance`. */
  type: string;
  /** The name that the program gave it. */
  name: string;
}

/** Why an input is refused; `property` is a path as in the program, e.g. `metadataOptions.httpTokens`. */
export interface Failure {
  property: string;
  reason: string;
}

export interface Checked {
  inputs: Properties;
  failures: Failure[];
}

/** How one property differs; `replace` when the resource cannot change it in place. */
export interface PropertyChange {
  /** Path, e.g. `tags.Name` or `tags["barton:machine"]`. */
  path: string;
  kind: "add" | "delete" | "update";
  replace: boolean;
  /** The path names an output, not an input, e.g. `tagsAll`. */
  isOutput?: boolean;
}

export interface DiffRequest {
  oldInputs: Properties;
  oldState: Properties;
  news: Properties;
  /** Top-level properties and paths that the program told the engine to ignore. */
  ignoreChanges: readonly string[];
}

export interface ChangeOptions {
  /** Only foretell the outcome: `unknown` where it cannot be told, and change nothing. */
  preview: boolean;
  /** How long the operation may take; from the resource's `customTimeouts`, undefined without. */
  timeoutMs: number | undefined;
}

/**
 * Shows a line beside the resource, for plugins that have something to say while they work; never anything secret.
 * A transient line is shown while the resource is worked on, and not kept. Resolves when the engine has it.
 */
export type EngineLog = (
  severity: "debug" | "info" | "warning" | "error",
  urn: string,
  message: string,
  options?: { isTransient?: boolean },
) => Promise<void>;

export interface Plugin {
  readonly version: string;
  /** Validates the provider's own configuration. */
  checkConfig(config: Properties): Checked;
  /** Called once, before all others. */
  configure(config: Properties, log: EngineLog): void;
  /** Validates the inputs of a resource and fills in defaults; `seed` makes generated names repeatable. */
  check(resource: ResourceRef, olds: Properties | undefined, news: Properties, seed: Uint8Array): Checked;
  diff(resource: ResourceRef, request: DiffRequest): PropertyChange[];
  create(
    resource: ResourceRef,
    news: Properties,
    options: ChangeOptions,
  ): Promise<{ id: string; state: Properties }>;
  /** The resource as it is now, or undefined when it is gone. */
  read(
    resource: ResourceRef,
    id: string,
    olds: { inputs: Properties; state: Properties },
  ): Promise<{ id: string; inputs: Properties; state: Properties } | undefined>;
  update(
    resource: ResourceRef,
    id: string,
    olds: { inputs: Properties; state: Properties },
    news: Properties,
    options: ChangeOptions,
  ): Promise<Properties>;
  delete(
    resource: ResourceRef,
    id: string,
    olds: { inputs: Properties; state: Properties },
    options: { timeoutMs: number | undefined },
  ): Promise<void>;
  invoke(token: string, args: Properties): Promise<Record<string, Value>>;
  /** The user pressed Ctrl-C: end what waits, let what is nearly done be done. */
  cancel(): void;
}

/** Type token and name out of a URN. */
export function resourceOf(urn: string): ResourceRef {
  const [, , qualifiedType = "", ...name] = urn.split("::");
  return { urn, type: qualifiedType.split("$").at(-1) ?? "", name: name.join("::") };
}
