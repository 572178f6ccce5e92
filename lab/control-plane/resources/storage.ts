/** S3 buckets and their objects. The content of an object is a file in the lab's folder; the record has only its hash. */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Lab } from "../../lab.ts";
import { ApiError } from "../errors.ts";
import { textOf } from "../plan.ts";
import type { Inputs, Resource, Store } from "../store.ts";
import { type Context, type Kind, required } from "./kind.ts";

const bucketArn = (name: string) => `arn:aws:s3:::${name}`;

function existingBucket(store: Store, name: string): void {
  if (store.get("s3/bucket", name)) return;
  throw new ApiError("NoSuchBucket", `The specified bucket does not exist: ${name}`, 404);
}

const objectsOf = (store: Store, bucket: string) =>
  store.list("s3/bucketObjectv2").filter((object) => textOf(object, "bucket") === bucket);

export const bucket: Kind = {
  create({ store }, inputs) {
    const name = required(inputs, "bucket");
    if (store.get("s3/bucket", name)) {
      throw new ApiError("BucketAlreadyOwnedByYou", `The bucket ${name} exists already.`, 409);
    }
    const region = typeof inputs.region === "string" ? inputs.region : "eu-central-1";
    return {
      id: name,
      attributes: {
        arn: bucketArn(name),
        bucketDomainName: `${name}.s3.amazonaws.com`,
        bucketRegionalDomainName: `${name}.s3.${region}.amazonaws.com`,
        hostedZoneId: "Z21DNDUVLTQW6Q",
      },
    };
  },
  whyKept({ store }, { id, inputs }) {
    if (inputs.forceDestroy === true || objectsOf(store, id).length === 0) return undefined;
    return new ApiError("BucketNotEmpty", `The bucket ${id} you tried to delete is not empty.`, 409);
  },
  async remove({ store, cloud }, { id }) {
    for (const object of objectsOf(store, id)) {
      store.remove(object.type, object.id);
      rmSync(contentFile(cloud.lab, object.id), { force: true });
    }
  },
};

/** What is set on a bucket, and goes with it. */
export const bucketSetting: Kind = {
  create({ store }, inputs) {
    const name = required(inputs, "bucket");
    existingBucket(store, name);
    return { id: name, attributes: {} };
  },
};

/** The content of an object; the lab's own file, which nobody but root reads. */
export function contentFile(lab: Lab, objectId: string): string {
  return join(lab.dir, "objects", createHash("sha256").update(objectId).digest("hex"));
}

export const bucketObject: Kind = {
  create({ store }, inputs) {
    const name = required(inputs, "bucket");
    const key = required(inputs, "key");
    existingBucket(store, name);
    contentOf(inputs);
    return { id: `${name}/${key}`, attributes: { arn: `${bucketArn(name)}/${key}` } };
  },
  async effect(context, resource) {
    keepContent(context, resource);
  },
  update(_context, _resource, inputs) {
    contentOf(inputs);
  },
  async updated(context, resource) {
    keepContent(context, resource);
  },
  async remove({ cloud }, { id }) {
    rmSync(contentFile(cloud.lab, id), { force: true });
  },
};

/** The provider sends an asset's content in base64. */
function contentOf({ source }: Inputs): Buffer {
  const { base64 } = (source ?? {}) as { base64?: unknown };
  if (typeof base64 === "string") return Buffer.from(base64, "base64");
  throw new ApiError("MissingParameter", 'The request must contain the content, as source: {"base64": …}');
}

/** From the record into the file: the record is read and written as a whole, all the time. */
function keepContent({ cloud, store }: Context, resource: Resource): void {
  const content = contentOf(resource.inputs);
  const file = contentFile(cloud.lab, resource.id);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, content, { mode: 0o600 });
  const { source: _, ...others } = resource.inputs;
  resource.inputs = others;
  resource.attributes.etag = createHash("md5").update(content).digest("hex");
  resource.attributes.versionId = randomBytes(16).toString("hex");
  store.save();
}
