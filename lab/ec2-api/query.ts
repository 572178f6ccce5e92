/**
 * The part of EC2's query API that recovery uses: DescribeInstances, TerminateInstances, StopInstances and
 * StartInstances, as XML, so that the AWS SDK can be pointed at the lab and needs no change.
 *
 * Signatures are not checked: the control plane lets only machines with an instance profile call this API. An action, a parameter
 * or a filter that is not emulated is refused by name, never ignored: without its filter a call would find too many instances,
 * and the caller might terminate them.
 */
import { randomUUID } from "node:crypto";
import { type ApiRequest, type ApiResponse, Ec2Error, type Ec2World, type InstanceView } from "./world.ts";
import { errorXml, instancesXml, type StateChange, stateChangesXml } from "./xml.ts";

/** Serves `POST /` with a form, or `GET /?Action=…`. The request must be from a caller that may use EC2. */
export function ec2Handler(world: Ec2World): (request: ApiRequest) => ApiResponse {
  return (request) => {
    const requestId = randomUUID();
    try {
      const parameters = parametersOf(request);
      return xmlResponse(200, answer(world, parameters, requestId));
    } catch (error) {
      const { code, message, status } = asEc2Error(error);
      return xmlResponse(status, errorXml(code, message, requestId));
    }
  };
}

/** Is this a request for `ec2Handler`? For the daemon that mounts several APIs on one address. */
export function isEc2Request({ method, path }: ApiRequest): boolean {
  const { pathname, searchParams } = new URL(path, "http://ec2");
  return pathname === "/" && (method === "POST" || searchParams.has("Action"));
}

function parametersOf({ path, body }: ApiRequest): Map<string, string> {
  return new Map([...new URL(path, "http://ec2").searchParams, ...new URLSearchParams(body)]);
}

function answer(world: Ec2World, parameters: Map<string, string>, requestId: string): string {
  const action = parameters.get("Action") ?? "";
  switch (action) {
    case "DescribeInstances":
      refuseUnknown(parameters, /^(InstanceId\.\d+|Filter\.\d+\.(Name|Value\.\d+)|MaxResults|NextToken)$/);
      return instancesXml(describe(world, parameters), requestId);
    case "TerminateInstances":
      refuseUnknown(parameters, /^(InstanceId\.\d+|Force|SkipOsShutdown)$/);
      return stateChangesXml(action, change(world, parameters, terminate), requestId);
    case "StopInstances":
      refuseUnknown(parameters, /^(InstanceId\.\d+|Force|SkipOsShutdown)$/);
      return stateChangesXml(action, change(world, parameters, stop), requestId);
    case "StartInstances":
      refuseUnknown(parameters, /^InstanceId\.\d+$/);
      return stateChangesXml(action, change(world, parameters, start), requestId);
    default:
      throw new Ec2Error(
        "InvalidAction",
        `The action ${action} is not valid for this web service. The lab emulates DescribeInstances, ` +
          "TerminateInstances, StopInstances and StartInstances; to add one: lab/ec2-api/query.ts",
      );
  }
}

function refuseUnknown(parameters: Map<string, string>, known: RegExp): void {
  for (const [name, value] of parameters) {
    if (name === "Action" || name === "Version" || known.test(name)) continue;
    if (name === "DryRun" && value === "false") continue;
    throw new Ec2Error("UnknownParameter", `The lab does not emulate the parameter ${name} of this action`);
  }
}

/** Values of a numbered list such as `InstanceId.1`, `InstanceId.2`, in their order. */
function listOf(parameters: Map<string, string>, name: string): string[] {
  return [...parameters]
    .flatMap(([key, value]) => {
      const index = key.startsWith(`${name}.`) ? key.slice(name.length + 1) : "";
      return /^\d+$/.test(index) ? [{ index: Number(index), value }] : [];
    })
    .sort((a, b) => a.index - b.index)
    .map(({ value }) => value);
}

function describe(world: Ec2World, parameters: Map<string, string>): InstanceView[] {
  const ids = listOf(parameters, "InstanceId");
  const all = world.listInstances();
  const wanted = ids.length > 0 ? ids.map((id) => instanceOf(all, id)) : all;
  const filters = filtersOf(parameters);
  // Checked also when there is nothing to filter.
  for (const { name } of filters) filterable(name);
  return wanted.filter((instance) => passes(instance, filters));
}

/** A filter as in DescribeInstances: an instance passes when one of its values is among these. */
export interface Filter {
  name: string;
  values: string[];
}

/** Does the instance pass all of these filters? One that the lab does not know is an error. */
export function passes(instance: InstanceView, filters: readonly Filter[]): boolean {
  return filters.every(({ name, values }) => {
    const patterns = values.map(wildcardPattern);
    return filterable(name)(instance).some((value) => patterns.some((pattern) => pattern.test(value)));
  });
}

function filtersOf(parameters: Map<string, string>): Filter[] {
  const numbers = new Set([...parameters.keys()].flatMap((key) => /^Filter\.(\d+)\./.exec(key)?.[1] ?? []));
  return [...numbers].map((number) => ({
    name: parameters.get(`Filter.${number}.Name`) ?? "",
    values: listOf(parameters, `Filter.${number}.Value`),
  }));
}

function filterable(name: string): (instance: InstanceView) => string[] {
  if (name.startsWith("tag:")) return ({ tags }) => present(tags[name.slice("tag:".length)]);
  if (name === "tag-key") return ({ tags }) => Object.keys(tags);
  const values = filters[name];
  if (values) return values;
  const known = ["tag:NAME", "tag-key", ...Object.keys(filters)].join(", ");
  throw new Ec2Error(
    "InvalidParameterValue",
    `The filter '${name}' is invalid. The lab emulates: ${known}; to add one: lab/ec2-api/query.ts`,
  );
}

const filters: Record<string, (instance: InstanceView) => string[]> = {
  "instance-id": ({ instanceId }) => [instanceId],
  "instance-state-name": ({ state }) => [state],
  "instance-type": ({ instanceType }) => [instanceType],
  "image-id": ({ imageId }) => [imageId],
  "subnet-id": ({ subnetId }) => [subnetId],
  "vpc-id": ({ vpcId }) => [vpcId],
  "availability-zone": ({ availabilityZone }) => [availabilityZone],
  "private-ip-address": ({ privateIpAddress }) => present(privateIpAddress),
  "key-name": ({ keyName }) => present(keyName),
};

function present(value: string | undefined): string[] {
  return value === undefined ? [] : [value];
}

/** AWS's wildcards in filter values: `*` for any text, `?` for one character, a backslash takes them literally. */
function wildcardPattern(value: string): RegExp {
  const pattern = value.replace(/\\[*?\\]|[*?]|[.+^${}()|[\]\\]/g, (match) => {
    if (match === "*") return ".*";
    if (match === "?") return ".";
    return match.length === 2 ? match : `\\${match}`;
  });
  return new RegExp(`^${pattern}$`, "s");
}

type Verb = (world: Ec2World, instance: InstanceView, isForced: boolean) => void;

const terminate: Verb = (world, { instanceId, state }) => {
  // AWS accepts it for an instance that is already gone, and so must whoever repeats a step.
  if (state !== "terminated") world.terminate(instanceId);
};

const stop: Verb = (world, { instanceId, state }, isForced) => {
  if (state === "stopped" || (state === "stopping" && !isForced)) return;
  if (state !== "running" && state !== "stopping") throw incorrectState(instanceId, state, "stop");
  world.stop(instanceId, isForced);
};

const start: Verb = (world, { instanceId, state }) => {
  if (state === "running" || state === "pending") return;
  if (state !== "stopped") throw incorrectState(instanceId, state, "start");
  world.start(instanceId);
};

/** Applies the verb to each named instance, all of which must exist before anything is done to one. */
function change(world: Ec2World, parameters: Map<string, string>, verb: Verb): StateChange[] {
  const ids = listOf(parameters, "InstanceId");
  if (ids.length === 0) {
    throw new Ec2Error("MissingParameter", "The request must contain the parameter InstanceId");
  }
  const before = world.listInstances();
  const instances = ids.map((id) => instanceOf(before, id));
  const isForced = parameters.get("Force") === "true" || parameters.get("SkipOsShutdown") === "true";
  for (const instance of instances) verb(world, instance, isForced);
  const after = world.listInstances();
  return instances.map(({ instanceId, state }) => ({
    instanceId,
    previous: state,
    current: after.find((instance) => instance.instanceId === instanceId)?.state ?? "terminated",
  }));
}

function instanceOf(instances: InstanceView[], id: string): InstanceView {
  const found = instances.find(({ instanceId }) => instanceId === id);
  if (found) return found;
  if (/^i-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id)) {
    throw new Ec2Error("InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`);
  }
  throw new Ec2Error("InvalidInstanceID.Malformed", `Invalid id: "${id}"`);
}

function incorrectState(id: string, state: string, verb: string): Ec2Error {
  return new Ec2Error(
    "IncorrectInstanceState",
    `The instance '${id}' is not in a state from which it can be ${verb === "stop" ? "stopped" : "started"}: it is ${state}`,
  );
}

function asEc2Error(error: unknown): Ec2Error {
  if (error instanceof Ec2Error) return error;
  return new Ec2Error("InternalError", error instanceof Error ? error.message : String(error), 500);
}

function xmlResponse(status: number, body: string): ApiResponse {
  return { status, headers: { "content-type": "text/xml;charset=UTF-8" }, body };
}
