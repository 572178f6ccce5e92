/** Access rights: the engineers' ssh key, and the role of the monit machine in AWS. */
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { machineNames, replaceableMachines } from "../recovery/topology.ts";
import type { Config } from "./config.ts";

/** The resources to which the permissions of `monit` are limited. All are ids, not ARNs. */
export type MonitScope = {
  config: Config;
  zoneId: string;
  subnetIds: string[];
  securityGroupIds: string[];
  imageIds: string[];
  keyName: string;
  /** The bucket of the program's bundle. */
  programBucket: string;
};

type Statement = {
  Sid: string;
  Effect: "Allow";
  Action: string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
};

/**
 * The permissions that `pulumi up` of one replaced machine, its record and the attachment of its data volume needs, and no
 * other. They allow to: launch from our images into our subnets with our groups, tagged as one of the five machines that
 * recovery replaces; terminate instances with such tags; move data volumes between such machines; change the machines' records;
 * fetch the program; read and write the state of the stack. Account numbers are wildcards: a role acts in its own account only.
 */
export function monitPolicy(scope: MonitScope): { Version: "2012-10-17"; Statement: Statement[] } {
  return {
    Version: "2012-10-17",
    Statement: [
      ...launchStatements(scope),
      ...recordStatements(scope),
      {
        Sid: "FetchTheProgram",
        Effect: "Allow",
        Action: ["s3:GetObject"],
        Resource: `arn:aws:s3:::${scope.programBucket}/program/*`,
      },
      ...stateStatements(scope.config.backendUrl),
      ...secretsStatements(scope.config),
    ],
  };
}

function launchStatements({
  config,
  subnetIds,
  securityGroupIds,
  imageIds,
  keyName,
}: MonitScope): Statement[] {
  const arn = (kind: string, id: string, account = "*") =>
    `arn:aws:ec2:${config.region}:${account}:${kind}/${id}`;
  const ours = (prefix: "aws:RequestTag" | "aws:ResourceTag") => ({
    [`${prefix}/barton:stack`]: config.stack,
    [`${prefix}/barton:machine`]: [...replaceableMachines],
  });
  return [
    {
      Sid: "LookAtMachines",
      Effect: "Allow",
      // None of these can be limited to a resource.
      Action: [
        "ec2:DescribeImages",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstanceCreditSpecifications",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeTags",
        "ec2:DescribeVolumes",
      ],
      Resource: "*",
    },
    {
      Sid: "LaunchFromWhatIsOurs",
      Effect: "Allow",
      Action: ["ec2:RunInstances"],
      Resource: [
        ...subnetIds.map((id) => arn("subnet", id)),
        ...securityGroupIds.map((id) => arn("security-group", id)),
        ...imageIds.map((id) => arn("image", id, "")),
        arn("key-pair", keyName),
        arn("volume", "*"),
        arn("network-interface", "*"),
      ],
    },
    {
      Sid: "LaunchAsOneOfTheFive",
      Effect: "Allow",
      Action: ["ec2:RunInstances"],
      Resource: arn("instance", "*"),
      Condition: { StringEquals: ours("aws:RequestTag") },
    },
    {
      Sid: "TagAtLaunchOnly",
      Effect: "Allow",
      Action: ["ec2:CreateTags"],
      Resource: [arn("instance", "*"), arn("volume", "*")],
      Condition: { StringEquals: { "ec2:CreateAction": "RunInstances" } },
    },
    {
      Sid: "EndOneOfTheFive",
      Effect: "Allow",
      Action: ["ec2:TerminateInstances"],
      Resource: arn("instance", "*"),
      Condition: { StringEquals: ours("aws:ResourceTag") },
    },
    {
      Sid: "MoveDataVolumes",
      Effect: "Allow",
      // Both ends must carry the tags: the instance and the volume. No data volume can be deleted by this role.
      Action: ["ec2:AttachVolume", "ec2:DetachVolume"],
      Resource: [arn("instance", "*"), arn("volume", "*")],
      Condition: { StringEquals: ours("aws:ResourceTag") },
    },
    ...(config.rehearsal === "off"
      ? []
      : [
          {
            Sid: "RehearseThePowerLossOfOneOfTheFive",
            Effect: "Allow" as const,
            Action: ["ec2:StopInstances"],
            Resource: arn("instance", "*"),
            Condition: { StringEquals: ours("aws:ResourceTag") },
          },
        ]),
  ];
}

function recordStatements({ config, zoneId }: MonitScope): Statement[] {
  return [
    {
      // monit's own record, too: a monit that the group has just launched takes over the name.
      Sid: "ChangeTheSixRecords",
      Effect: "Allow",
      Action: ["route53:ChangeResourceRecordSets"],
      Resource: `arn:aws:route53:::hostedzone/${zoneId}`,
      Condition: {
        "ForAllValues:StringEquals": {
          "route53:ChangeResourceRecordSetsNormalizedRecordNames": machineNames.map(
            (machine) => `${machine}.${config.domain}`,
          ),
          "route53:ChangeResourceRecordSetsRecordTypes": ["A"],
        },
      },
    },
    {
      Sid: "ReadTheZone",
      Effect: "Allow",
      Action: ["route53:GetHostedZone", "route53:ListResourceRecordSets"],
      Resource: `arn:aws:route53:::hostedzone/${zoneId}`,
    },
    {
      Sid: "WaitForRecords",
      Effect: "Allow",
      Action: ["route53:GetChange"],
      Resource: "arn:aws:route53:::change/*",
    },
  ];
}

/** For a state in S3: its bucket, and in it the prefix of the stack. A state elsewhere needs no permission in AWS. */
function stateStatements(backendUrl: string): Statement[] {
  const match = /^s3:\/\/([^/?]+)\/?([^?]*)/.exec(backendUrl);
  if (!match) return [];
  const [, bucket, path = ""] = match;
  const prefix = path.replace(/\/*$/, path ? "/" : "");
  return [
    {
      Sid: "ListState",
      Effect: "Allow",
      Action: ["s3:ListBucket"],
      Resource: `arn:aws:s3:::${bucket}`,
    },
    {
      Sid: "ReadAndWriteState",
      Effect: "Allow",
      Action: ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
      Resource: `arn:aws:s3:::${bucket}/${prefix}*`,
    },
  ];
}

function secretsStatements({ secretsKeyAlias, region }: Config): Statement[] {
  if (!secretsKeyAlias) return [];
  return [
    {
      Sid: "SecretsOfTheStack",
      Effect: "Allow",
      Action: ["kms:Decrypt", "kms:Encrypt"],
      Resource: `arn:aws:kms:${region}:*:key/*`,
      Condition: { "ForAnyValue:StringEquals": { "kms:ResourceAliases": [secretsKeyAlias] } },
    },
  ];
}

/** The key pair that every machine and builder is launched with. */
export function createKeyPair(config: Config): aws.ec2.KeyPair {
  return new aws.ec2.KeyPair("engineers", { publicKey: config.sshPublicKey });
}

/** The role of the monit machine. {@link MonitRole.allow} adds its permissions when all ids are known. */
export class MonitRole extends pulumi.ComponentResource {
  readonly role: aws.iam.Role;
  readonly profile: aws.iam.InstanceProfile;

  constructor(name: string, options?: pulumi.ComponentResourceOptions) {
    super("barton:infra:MonitRole", name, {}, options);
    this.role = new aws.iam.Role(
      name,
      {
        description: "barton: what the monit machine may ask of AWS",
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
          ],
        }),
      },
      { parent: this },
    );
    this.profile = new aws.iam.InstanceProfile(name, { role: this.role.name }, { parent: this });
    this.registerOutputs();
  }

  /** Grants {@link monitPolicy}. */
  allow(
    scope: { config: Config } & { [K in Exclude<keyof MonitScope, "config">]: pulumi.Input<MonitScope[K]> },
  ) {
    const { config, ...ids } = scope;
    return new aws.iam.RolePolicy(
      "replace-machines",
      {
        role: this.role.name,
        policy: pulumi
          .all(ids)
          .apply((known) =>
            JSON.stringify(monitPolicy({ config, ...(known as Omit<MonitScope, "config">) })),
          ),
      },
      { parent: this },
    );
  }
}
