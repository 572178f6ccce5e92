/** The tables of lab/schema: what is accepted, refused, filled in, replaced. */
import { describe, expect, test } from "vitest";
import { type Properties, unknown, type Value } from "../../../lab/plugin/values.ts";
import { checkInputs } from "../../../lab/schema/check.ts";
import { diffInputs, withoutIgnored } from "../../../lab/schema/diff.ts";
import { inputsFromState } from "../../../lab/schema/drift.ts";
import { schemaOf, schemas } from "../../../lab/schema/index.ts";

type Bag = Record<string, Value>;

const id = (prefix: string) => `${prefix}-0123456789abcdef0`;
const trust = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "sts:AssumeRole" }],
});
const publicKey = `ssh-ed25519 ${Buffer.concat([Buffer.from([0, 0, 0, 11]), Buffer.from("ssh-ed25519"), Buffer.alloc(36)]).toString("base64")}`;

/** An asset as the engine sends it. */
const asset = (hash: string): Value => ({
  "4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17",
  path: `/somewhere/${hash}`,
  hash,
});

/** For each type the least that is valid. */
const least: Record<string, Bag> = {
  "aws:ec2/vpc:Vpc": { cidrBlock: "10.42.0.0/16" },
  "aws:ec2/subnet:Subnet": { vpcId: id("vpc"), cidrBlock: "10.42.1.0/24" },
  "aws:ec2/internetGateway:InternetGateway": {},
  "aws:ec2/routeTable:RouteTable": { vpcId: id("vpc") },
  "aws:ec2/route:Route": { routeTableId: id("rtb"), destinationCidrBlock: "0.0.0.0/0", gatewayId: id("igw") },
  "aws:ec2/routeTableAssociation:RouteTableAssociation": { subnetId: id("subnet"), routeTableId: id("rtb") },
  "aws:ec2/securityGroup:SecurityGroup": { vpcId: id("vpc") },
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
    securityGroupId: id("sg"),
    ipProtocol: "tcp",
    fromPort: 22,
    toPort: 22,
    cidrIpv4: "10.42.1.1/32",
  },
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {
    securityGroupId: id("sg"),
    ipProtocol: "-1",
    referencedSecurityGroupId: id("sg"),
  },
  "aws:ec2/keyPair:KeyPair": { publicKey },
  "aws:iam/role:Role": { assumeRolePolicy: trust },
  "aws:iam/rolePolicy:RolePolicy": { role: "monit", policy: trust },
  "aws:iam/instanceProfile:InstanceProfile": {},
  "aws:route53/zone:Zone": { name: "barton", vpcs: [{ vpcId: id("vpc") }] },
  "aws:route53/record:Record": {
    zoneId: "Z0123456789",
    name: "redis1.barton",
    type: "A",
    ttl: 1,
    records: ["10.42.1.17"],
  },
  "aws:ec2/instance:Instance": { ami: id("ami"), instanceType: "t3.micro", subnetId: id("subnet") },
  "aws:ec2/amiFromInstance:AmiFromInstance": { sourceInstanceId: id("i") },
  "aws:ec2transitgateway/instanceState:InstanceState": { instanceId: id("i"), state: "stopped" },
  "aws:ebs/volume:Volume": { availabilityZone: "eu-central-1a", size: 8 },
  "aws:ec2/volumeAttachment:VolumeAttachment": {
    deviceName: "/dev/sdf",
    instanceId: id("i"),
    volumeId: id("vol"),
  },
  "aws:ec2/launchTemplate:LaunchTemplate": {},
  "aws:autoscaling/group:Group": {
    minSize: 1,
    maxSize: 1,
    vpcZoneIdentifiers: [id("subnet")],
    launchTemplate: { id: id("lt"), version: "$Latest" },
  },
  "aws:s3/bucket:Bucket": {},
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": { bucket: "programs" },
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
    bucket: "programs",
    rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
  },
  "aws:s3/bucketVersioning:BucketVersioning": {
    bucket: "programs",
    versioningConfiguration: { status: "Enabled" },
  },
  "aws:s3/bucketObjectv2:BucketObjectv2": { bucket: "programs", key: "a/b.tar", source: asset("one") },
};

function check(
  type: string,
  news: Bag,
  { olds, secrets = [], seed = 1 }: { olds?: Bag; secrets?: string[]; seed?: number } = {},
) {
  const properties = (values: Bag): Properties => ({ values, secrets: new Set(secrets) });
  const { inputs, failures } = checkInputs(schemaOf(type), {
    name: "thing",
    region: "eu-central-1",
    olds: olds && properties(olds),
    news: properties(news),
    seed: new Uint8Array([seed]),
  });
  return {
    values: inputs.values,
    failures: failures.map(({ property, reason }) => `${property}: ${reason}`),
  };
}

const instance = "aws:ec2/instance:Instance";
const withMore = (type: string, more: Bag) => ({ ...least[type], ...more });

describe("every type", () => {
  test("has an example here", () => {
    expect(Object.keys(least).sort()).toEqual(schemas.map(({ type }) => type).sort());
  });

  test.each(schemas.map(({ type }) => type))("%s accepts its least, refuses the rest by name", (type) => {
    expect(check(type, least[type] ?? {}).failures).toEqual([]);
    const [failure] = check(type, withMore(type, { surprise: 1 })).failures;
    expect(failure).toContain(`the lab does not emulate the property "surprise" of ${type}; it emulates: `);
    expect(failure).toMatch(/To add it: lab\/schema\/[a-z-]+\.ts/);
  });

  test.each(schemas.map(({ type }) => type))("%s names each required property that is missing", (type) => {
    const required = Object.entries(schemaOf(type).inputs).filter(([, { required }]) => required);
    const { failures } = check(type, {});
    for (const [name] of required) expect(failures.join("\n")).toContain(`${name}: is required by ${type}`);
  });

  test.each(schemas.map(({ type }) => type))(
    "%s has no difference to itself, and takes what is not known yet",
    (type) => {
      const { values } = check(type, least[type] ?? {});
      expect(diffInputs(schemaOf(type), values, values)).toEqual([]);
      const unknowns: Bag = Object.fromEntries(
        Object.keys(least[type] ?? {}).map((name) => [name, unknown] as const),
      );
      expect(check(type, unknowns).failures).toEqual([]);
    },
  );

  test("a type that is not emulated is told with all that are", () => {
    expect(() => schemaOf("aws:sqs/queue:Queue")).toThrow(
      /does not emulate the resource type "aws:sqs\/queue:Queue". It emulates: aws:ec2\/vpc:Vpc, .*To add it: .*lab\/schema\/index.ts/,
    );
  });
});

describe("values that AWS would refuse", () => {
  test.each<[type: string, more: Bag, told: string]>([
    ["aws:ec2/vpc:Vpc", { cidrBlock: "10.42.0.0/8" }, "prefix /16 to /28"],
    ["aws:ec2/vpc:Vpc", { cidrBlock: "10.42.1.0/16" }, `did you mean "10.42.0.0/16"?`],
    ["aws:ec2/vpc:Vpc", { cidrBlock: "10.042.0.0/16" }, "expected an IPv4 CIDR block"],
    ["aws:ec2/vpc:Vpc", { cidrBlock: "300.42.0.0/16" }, "expected an IPv4 CIDR block"],
    ["aws:ec2/vpc:Vpc", { enableDnsSupport: "true" }, "expected true or false"],
    ["aws:ec2/vpc:Vpc", { region: "us-east-1" }, "the lab has one region, eu-central-1"],
    ["aws:ec2/vpc:Vpc", { tags: { "aws:x": "y" } }, `"aws:" belong to AWS`],
    ["aws:ec2/vpc:Vpc", { tags: { a: 1 } }, "tags.a: expected text, got 1"],
    ["aws:ec2/subnet:Subnet", { vpcId: "vpc-xyz" }, "vpcId: expected an id such as"],
    [
      "aws:ec2/subnet:Subnet",
      { availabilityZone: "us-east-1a" },
      "eu-central-1a, eu-central-1b, eu-central-1c",
    ],
    ["aws:ec2/securityGroup:SecurityGroup", { name: "sg-mine" }, `does not start with "sg-"`],
    ["aws:ec2/securityGroup:SecurityGroup", { description: "naïve" }, "description: expected at most 255"],
    [
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
      { fromPort: 70_000 },
      "fromPort: expected a whole number",
    ],
    [
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
      { fromPort: 23 },
      "toPort: is below fromPort: 23-22",
    ],
    [
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
      { ipProtocol: "-1" },
      "leave out fromPort and toPort",
    ],
    [
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
      { ipProtocol: "http" },
      `expected "tcp" or "udp"`,
    ],
    [
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
      { referencedSecurityGroupId: id("sg") },
      "only one of",
    ],
    [
      "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
      { ipProtocol: "tcp" },
      "fromPort: is required unless",
    ],
    ["aws:ec2/keyPair:KeyPair", { publicKey: "ecdsa-sha2-nistp256 AAAA" }, "an OpenSSH public key"],
    ["aws:iam/role:Role", { assumeRolePolicy: "{" }, "is malformed"],
    ["aws:iam/role:Role", { name: "a b" }, "a name of 1 to 64"],
    ["aws:route53/zone:Zone", { vpcs: [] }, "expected at least 1"],
    ["aws:route53/zone:Zone", { vpcs: [{ vpcId: id("vpc"), vpcRegion: "us-east-1" }] }, "vpcs[0].vpcRegion"],
    ["aws:route53/record:Record", { type: "MX" }, `type: expected "A"`],
    ["aws:route53/record:Record", { ttl: -1 }, "ttl: expected a whole number from 0"],
    ["aws:route53/record:Record", { records: ["redis1"] }, "records[0]: expected an IPv4 address"],
    ["aws:route53/record:Record", { records: ["10.42.1.17", "10.42.1.17"] }, "twice"],
    ["aws:route53/record:Record", { name: "-redis.barton" }, "a DNS name"],
    [instance, { ami: "debian-12" }, "ami: expected an id"],
    [instance, { instanceType: "huge" }, "an instance type such as"],
    [instance, { metadataOptions: { httpTokens: "maybe" } }, "metadataOptions.httpTokens"],
    [instance, { metadataOptions: { surprise: 1 } }, `the lab does not emulate the property "surprise"`],
    [instance, { rootBlockDevice: { volumeSize: 0 } }, "rootBlockDevice.volumeSize"],
    [instance, { userData: "a", userDataBase64: "YQ==" }, "only one of userData, userDataBase64"],
    [instance, { userDataBase64: "not base64!" }, "text in base64"],
    ["aws:ec2transitgateway/instanceState:InstanceState", { state: "paused" }, `"running" or "stopped"`],
  ])("%s %j", (type, more, told) => {
    expect(check(type, withMore(type, more)).failures.join("\n")).toContain(told);
  });

  test("user data is counted as AWS does: 16 KB before base64", () => {
    const encoded = (bytes: number) => ({ userDataBase64: Buffer.alloc(bytes, 1).toString("base64") });
    expect(check(instance, withMore(instance, encoded(16_384))).failures).toEqual([]);
    expect(check(instance, withMore(instance, encoded(16_385))).failures).toEqual([
      "userDataBase64: user data has 16385 bytes; AWS allows 16384 (before base64; gzip is allowed)",
    ]);
    expect(check(instance, withMore(instance, { userData: "ä".repeat(8193) })).failures).toHaveLength(1);
  });

  test("a secret value is never shown", () => {
    const { failures } = check(instance, withMore(instance, { userDataBase64: "hunter two" }), {
      secrets: ["userDataBase64"],
    });
    expect(failures).toEqual(["userDataBase64: expected text in base64, got [secret]"]);
  });
});

describe("what is filled in", () => {
  const group = "aws:ec2/securityGroup:SecurityGroup";

  test("defaults and a generated name, which stays as long as the resource", () => {
    const { values } = check(group, least[group] ?? {});
    expect(values).toMatchObject({
      name: expect.stringMatching(/^thing-[0-9a-f]{7}$/),
      description: "Managed by Pulumi",
    });
    expect(check(group, least[group] ?? {}, { olds: values, seed: 2 }).values.name).toBe(values.name);
    expect(check(group, least[group] ?? {}, { seed: 2 }).values.name).not.toBe(values.name);
  });

  test("a name that was given and is no longer becomes a generated one", () => {
    const { values: olds } = check(group, withMore(group, { name: "mine" }));
    const { values } = check(group, least[group] ?? {}, { olds });
    expect(values.name).toMatch(/^thing-/);
    expect(diffInputs(schemaOf(group), olds, values)).toEqual([
      { path: "name", kind: "update", replace: true },
    ]);
  });

  test("a policy given as an object becomes text", () => {
    const { values } = check("aws:iam/role:Role", {
      assumeRolePolicy: { Version: "2012-10-17", Statement: [] },
    });
    expect(values.assumeRolePolicy).toBe('{"Version":"2012-10-17","Statement":[]}');
  });
});

describe("differences", () => {
  const diff = (type: string, olds: Bag, news: Bag) =>
    diffInputs(schemaOf(type), withMore(type, olds), withMore(type, news)).map(
      ({ path, kind, replace }) => `${replace ? "replace" : kind} ${path}`,
    );

  test.each<[type: string, olds: Bag, news: Bag, expected: string[]]>([
    ["aws:ec2/vpc:Vpc", {}, { cidrBlock: "10.43.0.0/16" }, ["replace cidrBlock"]],
    ["aws:ec2/subnet:Subnet", {}, { mapPublicIpOnLaunch: true }, ["add mapPublicIpOnLaunch"]],
    [
      "aws:ec2/subnet:Subnet",
      { availabilityZone: "eu-central-1a" },
      { availabilityZone: "eu-central-1b" },
      ["replace availabilityZone"],
    ],
    ["aws:route53/record:Record", {}, { records: ["10.42.1.18"] }, ["update records"]],
    ["aws:route53/record:Record", {}, { records: [unknown] }, ["update records"]],
    ["aws:route53/record:Record", {}, { name: "REDIS1.barton." }, []],
    ["aws:route53/record:Record", {}, { name: "redis2.barton" }, ["replace name"]],
    ["aws:route53/record:Record", {}, { zoneId: "Z9" }, ["replace zoneId"]],
    ["aws:route53/record:Record", {}, { ttl: 60 }, ["update ttl"]],
    [
      "aws:route53/record:Record",
      { records: ["10.0.0.1", "10.0.0.2"] },
      { records: ["10.0.0.2", "10.0.0.1"] },
      [],
    ],
    [instance, {}, { ami: id("ami").replace("0123", "3210") }, ["replace ami"]],
    [instance, {}, { ami: unknown }, ["replace ami"]],
    [instance, {}, { subnetId: id("subnet").replace("0123", "3210") }, ["replace subnetId"]],
    [instance, { keyName: "a" }, { keyName: "b" }, ["replace keyName"]],
    // AWS keeps what it chose or was told: taking it out of the program is no change.
    [instance, { keyName: "a", region: "eu-central-1", metadataOptions: { httpTokens: "required" } }, {}, []],
    [instance, { iamInstanceProfile: "monit" }, {}, ["delete iamInstanceProfile"]],
    [instance, {}, { associatePublicIpAddress: true }, ["replace associatePublicIpAddress"]],
    [instance, {}, { instanceType: "t3.large" }, ["update instanceType"]],
    [instance, {}, { iamInstanceProfile: "monit" }, ["add iamInstanceProfile"]],
    [instance, { userDataBase64: "YQ==" }, { userDataBase64: "Yg==" }, ["update userDataBase64"]],
    [
      instance,
      { userDataBase64: "YQ==" },
      { userDataBase64: "Yg==", userDataReplaceOnChange: true },
      ["replace userDataBase64", "add userDataReplaceOnChange"],
    ],
    [instance, { vpcSecurityGroupIds: ["sg-1", "sg-2"] }, { vpcSecurityGroupIds: ["sg-2", "sg-1"] }, []],
    [
      instance,
      { tags: { a: "1", "b:c": "2" } },
      { tags: { a: "1", "b:c": "3", d: "4" } },
      [`update tags["b:c"]`, "add tags.d"],
    ],
    [instance, { tags: { a: "1" } }, {}, ["delete tags.a"]],
    [
      instance,
      { rootBlockDevice: { volumeSize: 8 } },
      { rootBlockDevice: { volumeSize: 9 } },
      ["update rootBlockDevice.volumeSize"],
    ],
    [
      instance,
      { rootBlockDevice: {} },
      { rootBlockDevice: { encrypted: true } },
      ["replace rootBlockDevice.encrypted"],
    ],
    ["aws:iam/role:Role", {}, { assumeRolePolicy: `${trust}\n` }, []],
    [
      "aws:ec2/amiFromInstance:AmiFromInstance",
      {},
      { sourceInstanceId: unknown },
      ["replace sourceInstanceId"],
    ],
  ])("%s %j → %j", (type, olds, news, expected) => {
    expect(diff(type, olds, news)).toEqual(expected);
  });

  test("ignored ones are left out, by name or by path", () => {
    const changes = diffInputs(
      schemaOf(instance),
      withMore(instance, { tags: { a: "1" } }),
      withMore(instance, { ami: unknown, tags: {} }),
    );
    expect(changes).toHaveLength(2);
    expect(withoutIgnored(changes, ["ami", "tags.a"])).toEqual([]);
    expect(withoutIgnored(changes, ["tags"])).toHaveLength(1);
    expect(withoutIgnored(changes, ["am"])).toHaveLength(2);
  });
});

describe("what a refresh finds", () => {
  const found = (type: string, olds: Bag, state: Bag) => inputsFromState(schemaOf(type), olds, state);

  test("drift of what the program set; not what AWS chose by itself; tags always", () => {
    const olds = withMore(instance, {
      vpcSecurityGroupIds: ["sg-1"],
      metadataOptions: { httpTokens: "required" },
    });
    const state = {
      ...olds,
      vpcSecurityGroupIds: ["sg-2"],
      availabilityZone: "eu-central-1a",
      metadataOptions: { httpTokens: "optional", httpEndpoint: "enabled" },
      tags: { by: "hand" },
    };
    expect(found(instance, olds, state)).toEqual({
      ...olds,
      vpcSecurityGroupIds: ["sg-2"],
      metadataOptions: { httpTokens: "optional" },
      tags: { by: "hand" },
    });
  });

  test("nothing where the difference means nothing to AWS", () => {
    const olds = withMore("aws:route53/record:Record", { records: ["10.0.0.1", "10.0.0.2"] });
    const state = { ...olds, name: "redis1.barton.", records: ["10.0.0.2", "10.0.0.1"] };
    expect(found("aws:route53/record:Record", olds, state)).toEqual(olds);
  });

  test("everything for an import", () => {
    const state = { cidrBlock: "10.42.0.0/16", arn: "arn:aws:ec2:vpc", enableDnsSupport: true };
    expect(found("aws:ec2/vpc:Vpc", {}, state)).toEqual({
      cidrBlock: "10.42.0.0/16",
      enableDnsSupport: true,
    });
  });
});

describe("monit's group and its program", () => {
  test("a group has between its least and its most instances", () => {
    const group = "aws:autoscaling/group:Group";
    expect(check(group, withMore(group, { desiredCapacity: 2 })).failures).toEqual([
      "desiredCapacity: expected minSize ≤ desiredCapacity ≤ maxSize, got 1, 2, 1",
    ]);
    expect(check(group, withMore(group, { minSize: 0, desiredCapacity: 0 })).failures).toEqual([]);
  });

  test("a template with a network interface has its security groups there", () => {
    const template = "aws:ec2/launchTemplate:LaunchTemplate";
    const groups = [id("sg")];
    expect(check(template, { networkInterfaces: [{ securityGroups: groups }] }).failures).toEqual([]);
    const both = { networkInterfaces: [{ securityGroups: groups }], vpcSecurityGroupIds: groups };
    expect(check(template, both).failures).toEqual([expect.stringMatching(/^vpcSecurityGroupIds: /)]);
  });

  test("an object is the same as long as its content is, wherever the file is", () => {
    const object = "aws:s3/bucketObjectv2:BucketObjectv2";
    const changes = (a: Bag, b: Bag) =>
      diffInputs(schemaOf(object), withMore(object, a), withMore(object, b));
    const elsewhere = { ...(asset("one") as Bag), path: "/another/file" };
    expect(changes({ source: asset("one") }, { source: elsewhere })).toEqual([]);
    expect(changes({ source: asset("one") }, { source: asset("two") })).toEqual([
      { path: "source", kind: "update", replace: false },
    ]);
    expect(check(object, withMore(object, { source: "text" })).failures).toEqual([
      expect.stringContaining("source: expected an asset"),
    ]);
  });
});
