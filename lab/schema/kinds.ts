/**
 * Kinds of property values. A kind says which values are accepted (also in words) and when two values are equal for AWS. The tables of
 * this folder use them.
 */
import type { Failure } from "../plugin/plugin.ts";
import { asAsset, hasUnknown, isObject, unknown, type Value } from "../plugin/values.ts";

/** What a kind may need to know to judge a value. */
export interface CheckContext {
  /** The provider's region, e.g. `eu-central-1`. */
  region: string;
  /** The value for an error message; a secret is never shown. */
  show(value: Value): string;
}

export interface Kind {
  /** In words, e.g. `an IPv4 CIDR block such as "10.42.0.0/16"`. */
  expected: string;
  /** Why a known value is refused; use `problemsOf`, which leaves unknown values alone. */
  problems(value: Value, path: string, context: CheckContext): Failure[];
  /** The form in which AWS keeps it, e.g. a policy document given as an object becomes JSON text. */
  normalise?(value: Value): Value;
  /** Are two known values the same to AWS? Without it: equal to the last detail. */
  same?(a: Value, b: Value): boolean;
  /** Properties of an object, each compared by itself. */
  fields?: Record<string, Property>;
  /** Keys are compared one by one, e.g. tags. */
  isMap?: boolean;
}

/** What changing a property does to the resource. */
export type ChangeEffect = "update" | "replace";

export interface Property {
  is: Kind;
  required?: boolean;
  change: ChangeEffect | ((inputs: Record<string, Value>) => ChangeEffect);
  /** Filled in when the program says nothing. */
  default?: Value;
  /** AWS chooses when the program says nothing: to take it out of the program changes nothing. */
  computed?: true;
  /** Made from the resource's name and seven random digits when the program says nothing; at most so long. */
  autoNameLengthMax?: number;
}

/** The problems of a value of which parts may not be known yet. */
export function problemsOf(kind: Kind, value: Value, path: string, context: CheckContext): Failure[] {
  return value === unknown ? [] : kind.problems(value, path, context);
}

/** Are both values the same to AWS? A value with unknown parts is not the same as anything. */
export function sameValue(kind: Kind, a: Value, b: Value): boolean {
  if (hasUnknown(a) || hasUnknown(b)) return false;
  return kind.same ? kind.same(a, b) : canonical(a) === canonical(b);
}

/** JSON text in which the order of keys does not matter. */
export function canonical(value: Value): string {
  return JSON.stringify(value, (_key, item) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

/** A scalar: `judge` answers true, or false (the message then says what is expected), or a reason of its own. */
export function scalar(
  expected: string,
  judge: (value: Value, context: CheckContext) => boolean | string,
): Kind {
  return {
    expected,
    problems(value, path, context) {
      const verdict = judge(value, context);
      if (verdict === true) return [];
      const reason = verdict === false ? `expected ${expected}, got ${context.show(value)}` : verdict;
      return [{ property: path, reason }];
    },
  };
}

/** Text that matches the pattern. */
export function text(expected: string, pattern = /^.*$/s): Kind {
  return scalar(expected, (value) => typeof value === "string" && pattern.test(value));
}

export const flag: Kind = scalar("true or false", (value) => typeof value === "boolean");

export function wholeNumber(min: number, max: number): Kind {
  return scalar(
    `a whole number from ${min} to ${max}`,
    (value) => typeof value === "number" && Number.isInteger(value) && value >= min && value <= max,
  );
}

export function oneOf(...choices: string[]): Kind {
  const expected = choices.map((choice) => `"${choice}"`).join(" or ");
  return scalar(expected, (value) => choices.includes(value as string));
}

/** A list in which the order means nothing and nothing occurs twice, e.g. security groups. */
export function setOf(item: Kind, sizeMin = 0): Kind {
  const sorted = (value: Value) =>
    (value as Value[]).map((each) => canonical(item.normalise?.(each) ?? each)).sort();
  return {
    expected: `a list, each of it ${item.expected}`,
    problems(value, path, context) {
      if (!Array.isArray(value)) return refuse(this, value, path, context);
      if (value.length < sizeMin) {
        return [{ property: path, reason: `expected at least ${sizeMin} of: ${item.expected}` }];
      }
      const failures = value.flatMap((each, index) => problemsOf(item, each, `${path}[${index}]`, context));
      if (failures.length > 0 || hasUnknown(value)) return failures;
      const twice = sorted(value).find((each, index, all) => each === all[index + 1]);
      return twice === undefined ? [] : [{ property: path, reason: `lists ${context.show(twice)} twice` }];
    },
    same: (a, b) =>
      Array.isArray(a) && Array.isArray(b) && JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)),
  };
}

/** An object with named properties; a name that the table does not list is refused. */
export function object(fields: Record<string, Property>): Kind {
  return {
    expected: `an object with ${Object.keys(fields).join(", ")}`,
    fields,
    problems(value, path, context) {
      if (!isObject(value)) return refuse(this, value, path, context);
      return fieldProblems(fields, value, path, context);
    },
  };
}

/** Problems of an object's properties: unknown names, missing ones, wrong values. */
export function fieldProblems(
  fields: Record<string, Property>,
  value: { readonly [key: string]: Value },
  path: string,
  context: CheckContext,
): Failure[] {
  const failures: Failure[] = [];
  for (const [name, item] of Object.entries(value)) {
    const field = fields[name];
    if (item === null || item === undefined) continue;
    if (field) failures.push(...problemsOf(field.is, item, joined(path, name), context));
    else failures.push({ property: joined(path, name), reason: notEmulated(name, Object.keys(fields)) });
  }
  for (const [name, field] of Object.entries(fields)) {
    if (field.required && (value[name] === undefined || value[name] === null)) {
      failures.push({ property: joined(path, name), reason: `is required: ${field.is.expected}` });
    }
  }
  return failures;
}

/** The start of the sentence for a property that no table lists. */
export function notEmulated(name: string, known: string[]): string {
  return `the lab does not emulate the property "${name}"; it emulates: ${known.join(", ")}`;
}

function joined(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function refuse(kind: Kind, value: Value, path: string, context: CheckContext): Failure[] {
  return [{ property: path, reason: `expected ${kind.expected}, got ${context.show(value)}` }];
}

/** AWS's limits on tags: 50 of them, keys of 1-128 characters not starting with `aws:`, values up to 256. */
export const tags: Kind = {
  expected: "a map from tag names to texts",
  isMap: true,
  problems(value, path, context) {
    if (!isObject(value)) return refuse(this, value, path, context);
    const failures = Object.entries(value).flatMap(([key, item]) => tagProblem(key, item, path, context));
    if (Object.keys(value).length > 50) {
      failures.push({ property: path, reason: `has ${Object.keys(value).length} tags; AWS allows 50` });
    }
    return failures;
  },
};

function tagProblem(key: string, item: Value, path: string, context: CheckContext): Failure[] {
  const property = `${path}.${key}`;
  if (key.length < 1 || key.length > 128)
    return [{ property, reason: "a tag's name has 1 to 128 characters" }];
  if (key.startsWith("aws:")) return [{ property, reason: 'tag names starting with "aws:" belong to AWS' }];
  if (item === unknown) return [];
  if (typeof item !== "string") return [{ property, reason: `expected text, got ${context.show(item)}` }];
  return item.length > 256 ? [{ property, reason: "a tag's value has at most 256 characters" }] : [];
}

/** The content of a file or a text; two are the same when their content is. */
export const asset: Kind = {
  ...scalar("an asset: pulumi.asset.FileAsset or StringAsset", (value) => {
    const found = asAsset(value);
    return found !== undefined && found.uri === undefined;
  }),
  same: (a, b) => asAsset(a)?.hash !== undefined && asAsset(a)?.hash === asAsset(b)?.hash,
};

/** A JSON document (IAM policy) as text or as an object; white space and the order of keys do not matter. */
export const policyDocument: Kind = {
  expected: 'a policy document, e.g. {"Version":"2012-10-17","Statement":[…]}',
  normalise: (value) => (isObject(value) && !hasUnknown(value) ? JSON.stringify(value) : value),
  problems(value, path) {
    if (isObject(value) && hasUnknown(value)) return [];
    const statement = typeof value === "string" ? parsed(value)?.Statement : undefined;
    if (isObject(statement) || Array.isArray(statement)) return [];
    return [{ property: path, reason: `is malformed: expected ${this.expected}` }];
  },
  same: (a, b) => canonical(parsed(a) ?? a) === canonical(parsed(b) ?? b),
};

function parsed(value: Value): { readonly [key: string]: Value } | undefined {
  try {
    const document: unknown = JSON.parse(value as string);
    return isObject(document) ? document : undefined;
  } catch {
    return undefined;
  }
}
