/**
 * The interface between the lab and its EC2 query API and instance metadata service (IMDS).
 *
 * The control plane implements `Ec2World` and `ImdsWorld` and mounts the two handlers
 * (`ec2Handler` in query.ts, `imdsHandler` in imds.ts) on http://169.254.169.254. The handlers keep no
 * state of their own about machines, so what a machine reads here is always what the control plane knows now.
 */

/** The life of an instance in AWS's words. */
export type InstanceState = "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped";

/** One instance as DescribeInstances and IMDS show it. */
export interface InstanceView {
  /** `i-` and 17 hexadecimal digits. */
  instanceId: string;
  /** The AMI it was started from, `ami-…`. */
  imageId: string;
  instanceType: string;
  state: InstanceState;
  /** ISO 8601, e.g. `2026-01-31T12:00:00.000Z`: recovery takes the newest instance of a machine. */
  launchTime: string;
  availabilityZone: string;
  subnetId: string;
  vpcId: string;
  /** Absent once the instance is terminated, as on AWS. */
  privateIpAddress?: string;
  publicIpAddress?: string;
  /** e.g. `ip-10-42-1-17.eu-central-1.compute.internal`. */
  privateDnsName?: string;
  keyName?: string;
  /** ARN of the instance profile; an instance without one gets no credentials and may not call EC2. */
  iamInstanceProfileArn?: string;
  securityGroups: { groupId: string; groupName: string }[];
  tags: Record<string, string>;
}

/**
 * The part of EC2 that machines may call. The verbs only *request*: they return at once, as AWS does, and the
 * state changes later (`shutting-down`, then `terminated`). They may throw `Ec2Error`, e.g. when a fault
 * (control plane out of capacity) is injected; ids are known to exist when they are called.
 */
export interface Ec2World {
  /** All instances, terminated ones included for as long as the lab remembers them. */
  listInstances(): InstanceView[];
  terminate(instanceId: string): void;
  /** `force`: pull the plug instead of asking the operating system. */
  stop(instanceId: string, force: boolean): void;
  start(instanceId: string): void;
}

/** Temporary credentials of an instance's role. S3's signatures are checked with them, EC2's are not. */
export interface RoleCredentials {
  roleName: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  /** ISO 8601; the SDK asks again shortly before. */
  expiration: string;
}

/** What an instance may ask about itself. */
export interface ImdsWorld {
  /** The instance that owns this private address, or undefined: then every answer is 404. */
  instanceAt(sourceAddress: string): InstanceView | undefined;
  /** Credentials for an instance that has an instance profile, else undefined. */
  credentialsOf(instanceId: string): RoleCredentials | undefined;
}

/** What S3 needs to know to answer a machine. */
export interface S3World extends ImdsWorld {
  /** What an object holds, or undefined when there is none. */
  contentOf(bucket: string, key: string): Uint8Array | undefined;
  /** Documents of the policies that an instance's role has, as JSON. */
  policiesOf(instanceId: string): string[];
}

/** A request as the handlers see it, free of node's http so that tests can make one by hand. */
export interface ApiRequest {
  method: string;
  /** Path and query as in the request line, e.g. `/latest/meta-data/instance-id`. */
  path: string;
  /** Lower-case names, as node's `IncomingMessage.headers`. */
  headers: Record<string, string | string[] | undefined>;
  body: string;
  /** Address of the caller, e.g. `10.42.1.17`; an IPv4-mapped `::ffff:` prefix is accepted. */
  sourceAddress: string;
}

export interface ApiResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** An answer whose body may be any bytes. */
export type BinaryResponse = Omit<ApiResponse, "body"> & { body: string | Uint8Array };

/** An error in AWS's form: code (e.g. `InvalidInstanceID.NotFound`), message, HTTP status (400 unless told). */
export class Ec2Error extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = "Ec2Error";
    this.code = code;
    this.status = status;
  }
}
