/** The cloud as the EC2 query API and the metadata service see it. */
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Ec2World, InstanceView, RoleCredentials, S3World } from "../ec2-api/world.ts";
import type { Cloud } from "./cloud.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { privateDnsName } from "./names.ts";
import { exists, groupsOf, regionOfZone, tagsOf, textOf, vpcOf } from "./plan.ts";
import { contentFile } from "./resources/storage.ts";
import type { Instance, Resource, Store } from "./store.ts";

/** How long credentials are good for, in milliseconds. */
const credentialsMs = 6 * 3_600_000;

export class World implements Ec2World, S3World {
  readonly #cloud: Cloud;
  readonly #lifecycle: Lifecycle;

  constructor(cloud: Cloud, lifecycle: Lifecycle) {
    this.#cloud = cloud;
    this.#lifecycle = lifecycle;
  }

  listInstances(): InstanceView[] {
    const { store } = this.#cloud;
    return [...store.instances.values()].flatMap((instance) => {
      const resource = store.get("ec2/instance", instance.id);
      return resource ? [instanceView(store, resource, instance)] : [];
    });
  }

  terminate(instanceId: string): void {
    this.#request(this.#lifecycle.terminate(instanceId));
  }

  stop(instanceId: string, force: boolean): void {
    this.#request(this.#lifecycle.stop(instanceId, force));
  }

  start(instanceId: string): void {
    this.#request(this.#lifecycle.start(instanceId));
  }

  /** The state has changed by now; the rest goes on by itself. */
  #request(work: Promise<void>): void {
    work.catch((error: Error) => this.#cloud.log(error.message));
  }

  instanceAt(sourceAddress: string): InstanceView | undefined {
    return this.listInstances().find((each) => each.privateIpAddress === sourceAddress);
  }

  credentialsOf(instanceId: string): RoleCredentials | undefined {
    const roleName = this.#roleOf(instanceId);
    if (!roleName) return undefined;
    return {
      roleName,
      accessKeyId: `ASIA${instanceId.slice(-16).toUpperCase()}`,
      secretAccessKey: secretOf(instanceId, "secret access key"),
      sessionToken: secretOf(instanceId, "session token"),
      expiration: new Date(Date.now() + credentialsMs).toISOString(),
    };
  }

  #roleOf(instanceId: string): string | undefined {
    const { store } = this.#cloud;
    const resource = store.get("ec2/instance", instanceId);
    const profile = resource && store.get("iam/instanceProfile", textOf(resource, "iamInstanceProfile"));
    return profile && textOf(profile, "role");
  }

  policiesOf(instanceId: string): string[] {
    const role = this.#roleOf(instanceId);
    return this.#cloud.store
      .list("iam/rolePolicy")
      .filter((policy) => textOf(policy, "role") === role)
      .map((policy) => textOf(policy, "policy"));
  }

  contentOf(bucket: string, key: string): Uint8Array | undefined {
    const { lab, store } = this.#cloud;
    const object = store.get("s3/bucketObjectv2", `${bucket}/${key}`);
    return object && readFileSync(contentFile(lab, object.id));
  }
}

/** The same after a restart of the control plane; no secret to root on this host, where the machine itself is none. */
function secretOf(instanceId: string, what: string): string {
  return createHmac("sha256", "the lab").update(`${instanceId} ${what}`).digest("base64");
}

function instanceView(store: Store, resource: Resource, instance: Instance): InstanceView {
  const subnet = store.get("ec2/subnet", instance.subnetId);
  const zone = subnet ? textOf(subnet, "availabilityZone") : "";
  const profile = store.get("iam/instanceProfile", textOf(resource, "iamInstanceProfile"));
  const here = exists(instance);
  return {
    instanceId: instance.id,
    imageId: textOf(resource, "ami"),
    instanceType: textOf(resource, "instanceType"),
    state: instance.state,
    launchTime: instance.launchTime,
    availabilityZone: zone,
    subnetId: instance.subnetId,
    vpcId: vpcOf(store, instance),
    ...(here
      ? {
          privateIpAddress: instance.privateIp,
          privateDnsName: privateDnsName(instance.privateIp, regionOfZone(zone)),
        }
      : {}),
    ...(textOf(resource, "keyName") ? { keyName: textOf(resource, "keyName") } : {}),
    ...(profile ? { iamInstanceProfileArn: textOf(profile, "arn") } : {}),
    securityGroups: groupsOf(store, instance).map((groupId) => {
      const group = store.get("ec2/securityGroup", groupId);
      return { groupId, groupName: group ? textOf(group, "name") : groupId };
    }),
    tags: tagsOf(resource),
  };
}
