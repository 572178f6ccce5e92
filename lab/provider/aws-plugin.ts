/**
 * The provider for `aws` in the lab. It checks as AWS does, plans as Pulumi's provider does, and lets the control plane do the work. It
 * has no state: the control plane knows what exists, and Pulumi's state what was requested.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Plugin, PropertyChange, ResourceRef } from "../plugin/plugin.ts";
import { asAsset, hasUnknown, type Properties } from "../plugin/values.ts";
import { checkInputs } from "../schema/check.ts";
import { ownTags, tagsAll } from "../schema/default-tags.ts";
import { diffInputs, withoutIgnored } from "../schema/diff.ts";
import { inputsFromState } from "../schema/drift.ts";
import { schemaOf } from "../schema/index.ts";
import { canonical } from "../schema/kinds.ts";
import type { ResourceSchema } from "../schema/schema.ts";
import { type Configuration, checkConfiguration, readConfiguration } from "./configuration.ts";
import { type ControlPlane, controlPlaneClient } from "./control-plane-client.ts";
import { callFunction } from "./functions.ts";
import { foretoldForCreate, foretoldForUpdate, outputsOf, requestInputs } from "./outputs.ts";

/** Where machines of the lab find the control plane. */
const metadataEndpoint = "http://169.254.169.254";

/** The plugin; `BARTON_LAB_ENDPOINT` in `env` names the control plane (`unix:/…` or `http://…`). */
export function awsPlugin(
  env: NodeJS.ProcessEnv,
  lab: ControlPlane = controlPlaneClient(env.BARTON_LAB_ENDPOINT || metadataEndpoint),
): Plugin {
  let configured: Configuration | undefined;
  const configuration = () => {
    if (!configured) throw new Error("the engine has not configured the provider yet");
    return configured;
  };
  return {
    version: versionOfSdk(),
    checkConfig: (config) => checkConfiguration(config, env),
    configure(config) {
      configured = readConfiguration(config, env);
    },
    check: ({ type, name }, olds, news, seed) =>
      checkInputs(schemaOf(type), { name, region: configuration().region, olds, news, seed }),
    diff({ type }, { oldInputs, oldState, news, ignoreChanges }) {
      const schema = schemaOf(type);
      return withoutIgnored(changesOf(schema, configuration(), oldInputs, oldState, news), ignoreChanges);
    },
    async create({ type }, news, { preview, timeoutMs }) {
      const schema = schemaOf(type);
      if (preview) return { id: "", state: foretoldForCreate(schema, configuration(), news) };
      const inputs = await withContents(requestInputs(schema, configuration(), news));
      const made = await lab.create(type, inputs, timeoutMs);
      return { id: made.id, state: outputsOf(schema, configuration(), news, made.state) };
    },
    read: (resource, id, olds) => readResource(lab, configuration(), resource, id, olds),
    async update({ type }, id, olds, news, { preview, timeoutMs }) {
      const schema = schemaOf(type);
      if (preview) {
        const changes = changesOf(schema, configuration(), olds.inputs, olds.state, news);
        return foretoldForUpdate(schema, configuration(), olds.state, news, changes);
      }
      const inputs = { ...kept(schema, olds.state), ...requestInputs(schema, configuration(), news) };
      const changed = await lab.update(type, id, await withContents(inputs), timeoutMs);
      return outputsOf(schema, configuration(), news, {
        ...unchangedOutputs(schema, olds.state),
        ...changed.state,
      });
    },
    async delete({ type }, id, _olds, { timeoutMs }) {
      await lab.delete(schemaOf(type).type, id, timeoutMs);
    },
    invoke: (token, args) => callFunction(token, args, configuration().region, lab),
    cancel: () => lab.cancel(),
  };
}

/** Assets with what is in them: the control plane, elsewhere, cannot read this machine's files. */
async function withContents(inputs: Properties["values"]): Promise<Properties["values"]> {
  const entries = Object.entries(inputs).map(async ([name, value]) => {
    const asset = asAsset(value);
    if (!asset) return [name, value] as const;
    const content = asset.path === undefined ? Buffer.from(asset.text ?? "") : await readFile(asset.path);
    return [name, { base64: content.toString("base64") }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The engine asks whether the plugin fits the SDK; it emulates the one that is installed. */
function versionOfSdk(): string {
  const { version } = createRequire(import.meta.url)("@pulumi/aws/package.json") as { version: string };
  return version;
}

/** The inputs that differ, and `tagsAll` when the provider's default tags alone have changed or drifted. */
function changesOf(
  schema: ResourceSchema,
  { defaultTags }: Configuration,
  oldInputs: Properties,
  oldState: Properties,
  news: Properties,
): PropertyChange[] {
  const changes = diffInputs(schema, oldInputs.values, news.values);
  if (changes.some(({ path }) => path === "tags" || path.startsWith("tags"))) return changes;
  const all = tagsAll(schema, defaultTags, news.values);
  if (all === undefined || hasUnknown(all)) return changes;
  if (canonical(all) === canonical(oldState.values.tagsAll ?? {})) return changes;
  return [...changes, { path: "tagsAll", kind: "update", replace: false, isOutput: true }];
}

async function readResource(
  lab: ControlPlane,
  configuration: Configuration,
  { type }: ResourceRef,
  id: string,
  olds: { inputs: Properties; state: Properties },
) {
  const schema = schemaOf(type);
  const found = await lab.read(type, id);
  if (!found || schema.isGone?.(found.state)) return undefined;
  const { defaultTags } = configuration;
  const given = olds.inputs.values.tags;
  const state = { ...found.state };
  if (schema.inputs.tags)
    state.tags = ownTags(state.tagsAll ?? state.tags, defaultTags, given) ?? given ?? {};
  const inputs = { values: inputsFromState(schema, olds.inputs.values, state), secrets: olds.inputs.secrets };
  const outputs = outputsOf(schema, configuration, inputs, found.state);
  const secrets = new Set([...olds.state.secrets].filter((name) => name in outputs.values));
  return {
    id: found.id,
    inputs,
    state: { values: outputs.values, secrets: new Set([...secrets, ...outputs.secrets]) },
  };
}

/** What AWS chose, or was once told: an update that says nothing of it leaves it as it is. */
function kept(schema: ResourceSchema, { values }: Properties): Properties["values"] {
  const isKept = (name: string) => schema.inputs[name]?.computed && values[name] !== undefined;
  return Object.fromEntries(Object.entries(values).filter(([name]) => isKept(name)));
}

/** Outputs that the control plane need not repeat after an update. */
function unchangedOutputs(schema: ResourceSchema, { values }: Properties): Properties["values"] {
  return Object.fromEntries(Object.entries(values).filter(([name]) => name in schema.outputs));
}
