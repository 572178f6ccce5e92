/** All types of the resource API, and its verbs. */
import type { Cloud } from "../cloud.ts";
import { ApiError } from "../errors.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { Inputs, Json, Resource } from "../store.ts";
import { group, launchTemplate } from "./autoscaling.ts";
import { record, zone } from "./dns.ts";
import { instanceProfile, keyPair, role, rolePolicy } from "./identity.ts";
import { amiFromInstance, instance, instanceState } from "./instances.ts";
import { type Context, createResource, describe, type Kind } from "./kind.ts";
import { internetGateway, route, routeTable, routeTableAssociation, subnet, vpc } from "./network.ts";
import { egressRule, ingressRule, securityGroup } from "./security-groups.ts";
import { bucket, bucketObject, bucketSetting } from "./storage.ts";
import { volume, volumeAttachment } from "./volumes.ts";

export const kinds: Record<string, Kind> = {
  "ec2/vpc": vpc,
  "ec2/subnet": subnet,
  "ec2/internetGateway": internetGateway,
  "ec2/routeTable": routeTable,
  "ec2/route": route,
  "ec2/routeTableAssociation": routeTableAssociation,
  "ec2/securityGroup": securityGroup,
  "vpc/securityGroupIngressRule": ingressRule,
  "vpc/securityGroupEgressRule": egressRule,
  "ec2/keyPair": keyPair,
  "iam/role": role,
  "iam/rolePolicy": rolePolicy,
  "iam/instanceProfile": instanceProfile,
  "route53/zone": zone,
  "route53/record": record,
  "ec2/instance": instance,
  "ec2/amiFromInstance": amiFromInstance,
  "ec2transitgateway/instanceState": instanceState,
  "ebs/volume": volume,
  "ec2/volumeAttachment": volumeAttachment,
  "ec2/launchTemplate": launchTemplate,
  "autoscaling/group": group,
  "s3/bucket": bucket,
  "s3/bucketPublicAccessBlock": bucketSetting,
  "s3/bucketServerSideEncryptionConfiguration": bucketSetting,
  "s3/bucketVersioning": bucketSetting,
  "s3/bucketObjectv2": bucketObject,
};

export type Shown = { id: string; state: Record<string, Json | undefined> };

/** The resource API without HTTP. Errors are {@link ApiError}s. */
export class Resources {
  readonly #context: Context;

  constructor(cloud: Cloud, lifecycle: Lifecycle) {
    this.#context = { cloud, store: cloud.store, lifecycle };
  }

  #kind(type: string): Kind {
    const kind = kinds[type];
    if (kind) return kind;
    throw new ApiError(
      "InvalidAction",
      `the lab has no resources of type ${type}; it has ${Object.keys(kinds).join(", ")}`,
      404,
    );
  }

  #resource(type: string, id: string): Resource {
    this.#kind(type);
    const resource = this.#context.store.get(type, id);
    if (resource) return resource;
    throw new ApiError("NotFound", `there is no ${type} ${id}`, 404);
  }

  #show(resource: Resource): Shown {
    return { id: resource.id, state: describe(this.#kind(resource.type), this.#context, resource) };
  }

  read(type: string, id: string): Shown {
    return this.#show(this.#resource(type, id));
  }

  /** The resource is there, with its effect, when this ends. */
  async create(type: string, inputs: Inputs): Promise<Shown> {
    return this.#show(await createResource(this.#context, this.#kind(type), type, inputs));
  }

  async update(type: string, id: string, inputs: Inputs): Promise<Shown> {
    const kind = this.#kind(type);
    const resource = this.#resource(type, id);
    kind.update?.(this.#context, resource, inputs);
    const before = resource.inputs;
    resource.inputs = inputs;
    this.#context.store.save();
    await this.#context.cloud.converge();
    await kind.updated?.(this.#context, resource, before);
    this.#context.cloud.log(`${type} ${id} updated`);
    return this.#show(resource);
  }

  /** Ends when the resource is gone; one that does not exist is gone. */
  async delete(type: string, id: string): Promise<void> {
    const kind = this.#kind(type);
    const { cloud, store } = this.#context;
    const resource = store.get(type, id);
    if (!resource) return;
    const obstacle = kind.whyKept?.(this.#context, resource);
    if (obstacle) throw obstacle;
    await kind.remove?.(this.#context, resource);
    if (kind.forgets !== false) store.remove(type, id);
    store.save();
    await cloud.converge();
    cloud.log(`${type} ${id} deleted`);
  }
}
