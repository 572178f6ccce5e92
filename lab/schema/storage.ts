/** S3: private buckets, and objects in them. */
import { asset, flag, object, oneOf, setOf, text } from "./kinds.ts";
import { bucketName } from "./names.ts";
import { type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/storage.ts";

const ofBucket = { bucket: { is: bucketName, required: true, change: "replace" } } as const;

export const bucket: ResourceSchema = {
  type: "aws:s3/bucket:Bucket",
  file,
  inputs: {
    bucket: { is: bucketName, change: "replace", autoNameLengthMax: 63 },
    forceDestroy: { is: flag, change: "update", default: false },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, bucketDomainName: stable, bucketRegionalDomainName: stable, hostedZoneId: stable },
};

export const bucketPublicAccessBlock: ResourceSchema = {
  type: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  file,
  inputs: {
    ...ofBucket,
    blockPublicAcls: { is: flag, change: "update", default: false },
    blockPublicPolicy: { is: flag, change: "update", default: false },
    ignorePublicAcls: { is: flag, change: "update", default: false },
    restrictPublicBuckets: { is: flag, change: "update", default: false },
    ...regional,
  },
  outputs: {},
};

export const bucketEncryption: ResourceSchema = {
  type: "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  file,
  inputs: {
    ...ofBucket,
    rules: {
      is: setOf(
        object({
          applyServerSideEncryptionByDefault: {
            is: object({ sseAlgorithm: { is: oneOf("AES256"), required: true, change: "update" } }),
            change: "update",
          },
        }),
        1,
      ),
      required: true,
      change: "update",
    },
    ...regional,
  },
  outputs: {},
};

export const bucketVersioning: ResourceSchema = {
  type: "aws:s3/bucketVersioning:BucketVersioning",
  file,
  inputs: {
    ...ofBucket,
    versioningConfiguration: {
      is: object({ status: { is: oneOf("Enabled", "Suspended"), required: true, change: "update" } }),
      required: true,
      change: "update",
    },
    ...regional,
  },
  outputs: {},
};

export const bucketObject: ResourceSchema = {
  type: "aws:s3/bucketObjectv2:BucketObjectv2",
  file,
  inputs: {
    ...ofBucket,
    key: {
      is: text("a key of letters, digits and /!-_.*'()", /^[\w/!.*'()-]{1,1024}$/),
      required: true,
      change: "replace",
    },
    source: { is: asset, required: true, change: "update" },
    contentType: {
      is: text("a media type", /^[ -~]+$/),
      change: "update",
      default: "application/octet-stream",
    },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, etag: ["source"], versionId: ["source"] },
};
