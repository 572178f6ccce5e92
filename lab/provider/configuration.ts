/** The provider's own configuration: `aws:region` and `aws:defaultTags`. Everything else is refused by name. */
import type { Checked, Failure } from "../plugin/plugin.ts";
import { hasUnknown, isObject, type Properties, type Value } from "../plugin/values.ts";
import { isRegion } from "../schema/names.ts";

export interface Configuration {
  region: string;
  /** Tags that every resource gets unless it has its own of the same name. */
  defaultTags: Record<string, string>;
}

/** What @pulumi/aws itself says in every explicit provider: accepted with these values only, as they mean nothing here. */
const saidByTheSdk: Record<string, string> = {
  skipCredentialsValidation: "false",
  skipRegionValidation: "true",
};
/** Of the engine, not of AWS. */
const saidByTheEngine = ["version", "pluginDownloadURL", "__internal"];

/** What is wrong with the configuration, each by its key. Values not known yet are left alone. */
export function checkConfiguration(config: Properties, env: NodeJS.ProcessEnv): Checked {
  const failures = Object.entries(config.values).flatMap(([key, value]) => keyProblem(key, value));
  if (regionOf(config.values, env) === undefined) {
    failures.push({
      property: "region",
      reason:
        "no region is set: `pulumi config set aws:region eu-central-1`, or AWS_REGION in the environment",
    });
  }
  return { inputs: config, failures };
}

function keyProblem(key: string, value: Value): Failure[] {
  if (value === null || hasUnknown(value) || saidByTheEngine.includes(key) || saidByTheSdk[key] === value)
    return [];
  if (key === "region") {
    return isRegion(value) ? [] : [{ property: key, reason: `${JSON.stringify(value)} is not a region` }];
  }
  if (key === "defaultTags") return tagProblem(parsed(value));
  const reason =
    `the lab does not emulate the provider setting "aws:${key}"; it emulates: aws:region, aws:defaultTags. ` +
    "To add it: lab/provider/configuration.ts";
  return [{ property: key, reason }];
}

function tagProblem(value: Value | undefined): Failure[] {
  const tags = isObject(value) ? value.tags : undefined;
  const isRight =
    isObject(value) &&
    Object.keys(value).every((key) => key === "tags") &&
    (tags === undefined || (isObject(tags) && Object.values(tags).every((tag) => typeof tag === "string")));
  if (isRight) return [];
  return [
    { property: "defaultTags", reason: 'expected {"tags":{"name":"text"}}, and nothing beside "tags"' },
  ];
}

/** The configuration of a provider that `checkConfiguration` has accepted. */
export function readConfiguration({ values }: Properties, env: NodeJS.ProcessEnv): Configuration {
  const region = regionOf(values, env);
  if (region === undefined) throw new Error("the provider has no region: set aws:region");
  const defaultTags = parsed(values.defaultTags);
  const tags = isObject(defaultTags) && isObject(defaultTags.tags) ? defaultTags.tags : {};
  return { region, defaultTags: tags as Record<string, string> };
}

function regionOf(values: Record<string, Value>, env: NodeJS.ProcessEnv): string | undefined {
  const region = values.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  return region === undefined || region === "" ? undefined : String(region);
}

/** Nested settings arrive as JSON text. */
function parsed(value: Value | undefined): Value | undefined {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as Value;
  } catch {
    return value;
  }
}
