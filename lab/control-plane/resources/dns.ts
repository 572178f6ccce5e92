/** Private zones and their address records; dnsmasq answers from them. */
import { ApiError } from "../errors.ts";
import { newZoneId } from "../names.ts";
import { dnsName, textOf, textsOf, vpcsOfZone } from "../plan.ts";
import type { Inputs, Resource, Store } from "../store.ts";
import { type Kind, required } from "./kind.ts";

function checkVpcs(store: Store, name: string, vpcIds: string[], self?: string): void {
  for (const vpcId of vpcIds) {
    if (!store.get("ec2/vpc", vpcId)) {
      throw new ApiError("InvalidVPCId", `The VPC: ${vpcId} you provided does not exist`);
    }
    const other = store
      .list("route53/zone")
      .find(
        (each) =>
          each.id !== self && dnsName(textOf(each, "name")) === name && vpcsOfZone(each).includes(vpcId),
      );
    if (other) {
      throw new ApiError(
        "ConflictingDomainExists",
        `The VPC ${vpcId} is already associated with ${other.id} for ${name}`,
      );
    }
  }
}

const recordsIn = (store: Store, zoneId: string) =>
  store.list("route53/record").filter((each) => textOf(each, "zoneId") === zoneId);

export const zone: Kind = {
  create({ store }, inputs) {
    const name = dnsName(required(inputs, "name"));
    checkVpcs(store, name, vpcsOfZone({ inputs } as Resource));
    const id = newZoneId();
    const nameServers = [0, 1, 2, 3].map(
      (number) => `ns-${number * 512}.awsdns-${`0${number}`.slice(-2)}.barton-lab.`,
    );
    return {
      id,
      attributes: {
        zoneId: id,
        arn: `arn:aws:route53:::hostedzone/${id}`,
        nameServers,
        primaryNameServer: nameServers[0] ?? "",
      },
    };
  },
  update({ store }, resource, inputs) {
    checkVpcs(store, dnsName(textOf(resource, "name")), vpcsOfZone({ inputs } as Resource), resource.id);
  },
  whyKept({ store }, { id, inputs }) {
    const left = recordsIn(store, id)[0];
    if (!left || inputs.forceDestroy === true) return undefined;
    return new ApiError(
      "HostedZoneNotEmpty",
      `The hosted zone ${id} contains records, for example ${textOf(left, "fqdn")}`,
    );
  },
  async remove({ store }, { id }) {
    for (const each of recordsIn(store, id)) store.remove(each.type, each.id);
  },
};

/** The full name: a name that does not end in the zone's is taken to be relative to it. */
function fullName(name: string, zoneName: string): string {
  return name === zoneName || name.endsWith(`.${zoneName}`) ? name : `${name}.${zoneName}`;
}

export const record: Kind = {
  create({ store }, inputs) {
    const owner = store.get("route53/zone", required(inputs, "zoneId"));
    if (!owner)
      throw new ApiError("NoSuchHostedZone", `No hosted zone found with ID: ${String(inputs.zoneId)}`, 404);
    const name = dnsName(required(inputs, "name"));
    const type = required(inputs, "type");
    checkRecord(type, name, inputs);
    const fqdn = fullName(name, dnsName(textOf(owner, "name")));
    const id = `${owner.id}_${fqdn}_${type}`;
    if (store.get("route53/record", id) && inputs.allowOverwrite !== true) {
      throw new ApiError(
        "InvalidChangeBatch",
        `Tried to create resource record set [name='${fqdn}.', type='${type}'] but it already exists`,
      );
    }
    return { id, attributes: { fqdn } };
  },
  update(_context, resource, inputs) {
    checkRecord(textOf(resource, "type"), textOf(resource, "name"), inputs);
  },
};

function checkRecord(type: string, name: string, inputs: Inputs): void {
  if (type !== "A")
    throw new ApiError("Unsupported", `the lab serves records of type A, and not ${type} (${name})`);
  if (name.startsWith("*")) throw new ApiError("Unsupported", `the lab serves no wildcard records (${name})`);
  if (textsOf({ inputs, attributes: {} } as unknown as Resource, "records").length === 0) {
    throw new ApiError(
      "InvalidChangeBatch",
      `the record ${name} has no addresses: records must name at least one`,
    );
  }
}
