/** A private bucket with the program's bundle. A new monit machine fetches the bundle from it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/** The location of a bundle and its hashes, as `fetch-program` on monit needs them. */
export type ProgramLocation = {
  bucket: string;
  key: string;
  /** SHA-256 (hex) of the archive. */
  sha256: string;
  /** The program's hash, see bundle.ts. */
  hash: string;
};

/** The bucket and the bundle in it. Only monit's role and the administrators of the account can read it. */
export class ProgramStore extends pulumi.ComponentResource {
  readonly bucket: aws.s3.Bucket;
  readonly object: aws.s3.BucketObjectv2;
  /** Resolves when the bundle is in the bucket. */
  readonly location: pulumi.Output<ProgramLocation>;

  constructor(
    name: string,
    args: { bundle: { archive: string; hash: string } },
    options?: pulumi.ComponentResourceOptions,
  ) {
    super("barton:infra:ProgramStore", name, {}, options);
    const { archive, hash } = args.bundle;
    const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
    // Nothing is lost with the bucket: `up` brings the bundle again.
    this.bucket = new aws.s3.Bucket(name, { forceDestroy: true }, { parent: this });
    const closed = this.close(name);
    this.object = new aws.s3.BucketObjectv2(
      name,
      {
        bucket: this.bucket.bucket,
        // The content of a key never changes, so an instance that was just launched still gets the bundle that it was told to fetch.
        key: `program/${hash}.tar`,
        source: new pulumi.asset.FileAsset(archive),
        contentType: "application/x-tar",
      },
      { parent: this, dependsOn: closed, retainOnDelete: true },
    );
    this.location = pulumi
      .all([this.object.bucket, this.object.key, this.object.id])
      .apply(([bucket, key]) => ({ bucket, key, sha256, hash }));
    this.registerOutputs();
  }

  /** Closes the bucket, before anything is in it. */
  private close(name: string): pulumi.Resource[] {
    const bucket = this.bucket.bucket;
    return [
      new aws.s3.BucketPublicAccessBlock(
        name,
        {
          bucket,
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        },
        { parent: this },
      ),
      new aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
        { parent: this },
      ),
      new aws.s3.BucketVersioning(
        name,
        { bucket, versioningConfiguration: { status: "Enabled" } },
        { parent: this },
      ),
    ];
  }
}
