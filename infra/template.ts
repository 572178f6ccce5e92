/**
 * Fills in configuration files. It is strict on purpose: a placeholder without a value, a value without a placeholder, or a
 * value with a line break is an error.
 *
 * `{{name}}` is replaced by a value. The lines between `{{#name}}` and `{{/name}}` (each alone on its line)
 * are repeated for every item of the list `name`; an item's values hide outer ones of the same name.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Values = Record<string, string | number>;
export type TemplateValues = Record<string, string | number | readonly Values[]>;

const blockPattern = /^[ \t]*\{\{#(\w+)\}\}[ \t]*\n([\s\S]*?)^[ \t]*\{\{\/\1\}\}[ \t]*\n/gm;
const placeholderPattern = /\{\{(.*?)\}\}/g;

/** Thrown by {@link renderTemplate}; the message names the template and the placeholder. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

/**
 * `text` with its placeholders filled in. `name` (a file's name) is for messages.
 * Throws a {@link TemplateError} on an unknown, missing or unused name, or a value with a line break.
 */
export function renderTemplate(name: string, text: string, values: TemplateValues): string {
  const used = new Set<string>();
  const fill = (part: string, scope: TemplateValues) =>
    part.replace(placeholderPattern, (whole, key: string) => {
      const value = scope[key];
      if (typeof value !== "string" && typeof value !== "number") {
        throw new TemplateError(
          `${name} has ${whole}, but there is no such value; known are: ${Object.keys(scope).join(", ")}.`,
        );
      }
      if (/[\r\n\0]|\{\{/.test(String(value))) {
        throw new TemplateError(
          `the value of {{${key}}} in ${name} has a line break or "{{": it would become more than a value.`,
        );
      }
      used.add(key);
      return String(value);
    });
  const expanded = text.replace(blockPattern, (_, key: string, body: string) => {
    const items = values[key];
    if (!Array.isArray(items))
      throw new TemplateError(`${name} repeats {{#${key}}}, but there is no such list.`);
    used.add(key);
    return items.map((item: Values) => fill(body, { ...values, ...item })).join("");
  });
  const result = fill(expanded, values);
  const unused = Object.keys(values).filter((key) => !used.has(key));
  if (unused.length > 0) throw new TemplateError(`${name} does not use: ${unused.join(", ")}.`);
  return result;
}

/** The text of a file beside the role that uses it: `roleFile(import.meta.dirname, "redis.conf")`. */
export function roleFile(folder: string, name: string): string {
  return readFileSync(join(folder, name), "utf8");
}

/** {@link renderTemplate} over a file beside the role that uses it. */
export function renderFile(folder: string, name: string, values: TemplateValues): string {
  return renderTemplate(name, roleFile(folder, name), values);
}
