/** Answers of EC2's query API as XML, in the shape of API version 2016-11-15. */
import { accountId } from "../schema/names.ts";
import type { InstanceState, InstanceView } from "./world.ts";

export interface StateChange {
  instanceId: string;
  previous: InstanceState;
  current: InstanceState;
}

/** AWS's number for each state. */
const stateCodes: Record<InstanceState, number> = {
  pending: 0,
  running: 16,
  "shutting-down": 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

const namespace = "http://ec2.amazonaws.com/doc/2016-11-15/";

/** One reservation for each instance, as when each was launched by itself. */
export function instancesXml(instances: InstanceView[], requestId: string): string {
  const reservations = instances.map(
    (instance) =>
      `<item>${leaf("reservationId", instance.instanceId.replace(/^i-/, "r-"))}${leaf("ownerId", accountId)}` +
      `<groupSet/><instancesSet>${instanceItem(instance)}</instancesSet></item>`,
  );
  return envelope(
    "DescribeInstances",
    requestId,
    `<reservationSet>${reservations.join("")}</reservationSet>`,
  );
}

function instanceItem(instance: InstanceView): string {
  const tags = Object.entries(instance.tags).map(([key, value]) =>
    item(leaf("key", key) + leaf("value", value)),
  );
  const groups = instance.securityGroups.map((group) =>
    item(leaf("groupId", group.groupId) + leaf("groupName", group.groupName)),
  );
  const { iamInstanceProfileArn } = instance;
  return item(
    [
      leaf("instanceId", instance.instanceId),
      leaf("imageId", instance.imageId),
      stateElement("instanceState", instance.state),
      leaf("privateDnsName", instance.privateDnsName),
      leaf("keyName", instance.keyName),
      leaf("instanceType", instance.instanceType),
      leaf("launchTime", instance.launchTime),
      `<placement>${leaf("availabilityZone", instance.availabilityZone)}${leaf("tenancy", "default")}</placement>`,
      leaf("subnetId", instance.subnetId),
      leaf("vpcId", instance.vpcId),
      leaf("privateIpAddress", instance.privateIpAddress),
      leaf("ipAddress", instance.publicIpAddress),
      iamInstanceProfileArn &&
        `<iamInstanceProfile>${leaf("arn", iamInstanceProfileArn)}</iamInstanceProfile>`,
      `<groupSet>${groups.join("")}</groupSet>`,
      `<tagSet>${tags.join("")}</tagSet>`,
    ]
      .filter(Boolean)
      .join(""),
  );
}

export function stateChangesXml(action: string, changes: StateChange[], requestId: string): string {
  const items = changes.map(({ instanceId, previous, current }) =>
    item(
      leaf("instanceId", instanceId) +
        stateElement("currentState", current) +
        stateElement("previousState", previous),
    ),
  );
  return envelope(action, requestId, `<instancesSet>${items.join("")}</instancesSet>`);
}

export function errorXml(code: string, message: string, requestId: string): string {
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>${leaf("Code", code)}` +
    `${leaf("Message", message)}</Error></Errors>${leaf("RequestID", requestId)}</Response>`
  );
}

function envelope(action: string, requestId: string, content: string): string {
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="${namespace}">` +
    `${leaf("requestId", requestId)}${content}</${action}Response>`
  );
}

function stateElement(name: string, state: InstanceState): string {
  return `<${name}>${leaf("code", String(stateCodes[state]))}${leaf("name", state)}</${name}>`;
}

function item(content: string): string {
  return `<item>${content}</item>`;
}

/** An element with text; nothing at all when there is no value, as AWS does. */
function leaf(name: string, value: string | undefined): string {
  return value === undefined || value === "" ? "" : `<${name}>${escaped(value)}</${name}>`;
}

function escaped(value: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&apos;",
  };
  return value.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
