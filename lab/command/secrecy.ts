/** Removes secrets of a command's inputs from its output. */
import { isObject, type Properties, type Value } from "../plugin/values.ts";

/** Shorter texts would hide half of everything. */
const textLengthMin = 8;

/** Of `connection`, which the SDK makes secret as a whole, only these are. */
const secretsOfConnection = ["privateKey"];

/** The secret texts, line by line: output is shown by lines. */
export function secretTexts({ values, secrets }: Properties): string[] {
  const sources = [...secrets].flatMap((name) => {
    const value = values[name];
    if (name !== "connection" || !isObject(value)) return textsIn(value);
    return secretsOfConnection.flatMap((key) => textsIn(value[key]));
  });
  const lines = sources.flatMap((source) => source.split("\n")).map((line) => line.trim());
  return [...new Set(lines)].filter((line) => line.length >= textLengthMin);
}

/** The text with every secret hidden. */
export function masked(text: string, secrets: string[]): string {
  return secrets.reduce((result, secret) => result.replaceAll(secret, "[secret]"), text);
}

/** Outputs of a command that was made of a secret, or that shows one, are secret. */
export function secretOutputs(inputs: Properties, outputs: { stdout: string; stderr: string }): Set<string> {
  const secrets = new Set(inputs.secrets);
  const isMadeOfSecrets = [...secrets].some((name) => name !== "connection" && name !== "triggers");
  const texts = secretTexts(inputs);
  for (const name of ["stdout", "stderr"] as const) {
    if (isMadeOfSecrets || texts.some((text) => outputs[name].includes(text))) secrets.add(name);
  }
  return secrets;
}

function textsIn(value: Value | undefined): string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return isObject(value) ? Object.values(value).flatMap(textsIn) : [];
}
