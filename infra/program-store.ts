/** Where the program's bundle waits for the monit machine: a private bucket, from which a new monit fetches it by itself. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/** Where a bundle is, and how to know that it is the right one: what `fetch-program` on monit needs. */
export type ProgramLocation = {
  bucket: string;
  key: string;
  /** SHA-256 (hex) of the archive. */
  sha256: string;
  /** The program's hash, see bundle.ts. */
  hash: string;
};

/** A bucket with the bundle in it. Nobody but monit's role and the account's own administrators can read it. */
export class ProgramStore extends pulumi.ComponentResource {
  readonly bucket: aws.s3.Bucket;
  readonly object: aws.s3.BucketObjectv2;
  /** Known when the bundle is there. */
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
        // A key never changes its content: what was launched a moment ago still gets what it was told to fetch.
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

  /** Before anything is in it. */
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
