/** The whole program under Pulumi's mocks, as stack `barton` with the real Pulumi.barton.yaml. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { programHash } from "../../infra/bundle.ts";
import { fixedPorts } from "../../infra/config.ts";
import { roles } from "../../infra/firewall.ts";
import type { Value } from "../../lab/plugin/values.ts";
import { checkInputs } from "../../lab/schema/check.ts";
import { schemas } from "../../lab/schema/index.ts";
import { machineNames, replaceableMachines, topologySchema } from "../../recovery/topology.ts";
import { production, root, secrets } from "./settings.ts";

type Registered = { type: string; name: string; id: string; inputs: Record<string, unknown> };
const resources: Registered[] = [];
let outputs: { topology: unknown; programHash: string };
const webhook = "https://hooks.example.com/TOKEN-of-this-test";
const cache = mkdtempSync(join(tmpdir(), "barton-program-"));

beforeAll(async () => {
  process.env.XDG_CACHE_HOME = cache;
  for (const name of [
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_OPTION_CONFIG_FILE",
  ])
    delete process.env[name];
  const config = {
    ...production(),
    "barton:monitoringCidrs": '["203.0.113.8/32"]',
    "barton:monitEnvironment": JSON.stringify({ BARTON_WEBHOOK_URL: webhook }),
  };
  pulumi.runtime.setAllConfig(config, Object.keys(secrets));
  await pulumi.runtime.setMocks(
    {
      newResource({ type, name, inputs }) {
        const number = resources.filter((resource) => resource.type === type).length + 1;
        const id = idOf(type, number);
        resources.push({ type, name, id, inputs });
        const computed: Record<string, unknown> = { keyName: "engineers-1a2b3c4", zoneId: id, name: id };
        if (type === "aws:s3/bucket:Bucket") computed.bucket = `${name}-1a2b3c4`;
        if (type === "aws:ec2/instance:Instance") {
          Object.assign(computed, { privateIp: `10.42.1.${number}`, publicIp: `198.51.100.${number}` });
        }
        return { id, state: { ...computed, ...inputs } };
      },
      call: ({ token, inputs }) => {
        if (token === "aws:ec2/getInstances:getInstances") return presentInstances(inputs);
        throw new Error(`the program asks ${token}, which the lab does not know`);
      },
    },
    "barton",
    "barton",
    false,
  );
  noteRetained();
  const program = await import("../../infra/index.ts");
  outputs = { topology: await settled(program.topology), programHash: program.programHash };
  await pulumi.runtime.disconnect();
});
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** The resources that stay when they leave the program, or the stack is destroyed: the mocks do not tell this option. */
const retained: string[] = [];

function noteRetained(): void {
  const monitor = pulumi.runtime.getMonitor();
  if (!monitor) throw new Error("there is no monitor to register resources with");
  const register = monitor.registerResource.bind(monitor) as (
    request: Registration,
    ...rest: unknown[]
  ) => unknown;
  const noting = (request: Registration, ...rest: unknown[]) => {
    if (request.getRetainondelete()) retained.push(`${request.getType()} ${request.getName()}`);
    return register(request, ...rest);
  };
  Object.assign(monitor, { registerResource: noting });
}

interface Registration {
  getRetainondelete(): boolean;
  getType(): string;
  getName(): string;
}

/** What EC2 says of the group's instances: at first it has just lost one, then there is another. */
function presentInstances({ filters }: { filters?: unknown }) {
  const [group] = of("aws:autoscaling/group:Group");
  const ofGroup = { name: "tag:aws:autoscaling:groupName", values: [group?.id] };
  if (JSON.stringify(filters) !== JSON.stringify([ofGroup])) {
    expect(filters).toEqual([ofGroup, { name: "tag:barton:build", values: [monitBuild()] }]);
    return { ids: [monitInstance] };
  }
  looks += 1;
  if (looks === 1) return { ids: [], privateIps: [], publicIps: [] };
  return { ids: [monitInstance], privateIps: ["10.42.2.99"], publicIps: ["198.51.100.99"] };
}
let looks = 0;
const monitBuild = () =>
  (
    named("aws:ec2/launchTemplate:LaunchTemplate", "monit").inputs.tagSpecifications as {
      tags: Record<string, string>;
    }[]
  )[0]?.tags["barton:build"];
const monitInstance = `i-${"9".repeat(17)}`;

/** Ids as AWS gives them, so that the inputs that refer to them can be checked. */
function idOf(type: string, number: number): string {
  const prefixes: Record<string, string> = {
    Vpc: "vpc",
    Subnet: "subnet",
    InternetGateway: "igw",
    RouteTable: "rtb",
    SecurityGroup: "sg",
    Instance: "i",
    Volume: "vol",
    AmiFromInstance: "ami",
    LaunchTemplate: "lt",
  };
  const kind = type.split(":").at(-1) ?? type;
  if (kind === "Zone") return "Z0123456789ABC";
  return prefixes[kind] ? `${prefixes[kind]}-${number.toString(16).padStart(17, "0")}` : `${kind}-${number}`;
}

const settled = <T>(output: pulumi.Output<T>) => new Promise<T>((resolve) => output.apply(resolve));
const of = (type: string) => resources.filter((resource) => resource.type === type);
const names = (list: Registered[]) => list.map(({ name }) => name).sort();
const instances = () => of("aws:ec2/instance:Instance");
const machines = () => instances().filter((instance) => "barton:machine" in tags(instance));
const builders = () => instances().filter((instance) => "barton:builder" in tags(instance));
const tags = (resource: Registered) => resource.inputs.tags as Record<string, string>;
const named = (type: string, name: string) => {
  const found = of(type).find((resource) => resource.name === name);
  if (!found) throw new Error(`there is no ${type} ${name}`);
  return found;
};

/** A secret on its way to the engine is wrapped; this is what tells it. */
const secretSignature = "4dabf18193072939515e22adb298388d";
const isWrapped = (value: unknown) => typeof value === "object" && value !== null && secretSignature in value;
const unwrapped = (value: unknown) => {
  if (value instanceof pulumi.asset.FileAsset) {
    return {
      [secretSignature]: "c44067f5952c0a294b673a41bacd8c17",
      path: value.path,
      hash: "of its content",
    };
  }
  return isWrapped(value) ? (value as unknown as { value: unknown }).value : value;
};

test("AWS takes every resource, and the lab emulates it", () => {
  for (const { type, name, inputs } of resources.filter((resource) => resource.type.startsWith("aws:"))) {
    const schema = schemas.find((known) => known.type === type);
    if (!schema) throw new Error(`the lab does not know ${type} (${name})`);
    const values = Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, unwrapped(value)]));
    const news = { values: values as Record<string, Value>, secrets: new Set<string>() };
    const request = { name, region: "eu-central-1", olds: undefined, news, seed: new Uint8Array(32) };
    expect(checkInputs(schema, request).failures, `${type} ${name}`).toEqual([]);
  }
});

test("data, and bundles that a machine may still fetch, are deleted neither with a machine nor with the stack", () => {
  expect(retained.sort()).toEqual([
    "aws:ebs/volume:Volume redis1-data",
    "aws:ebs/volume:Volume redis2-data",
    expect.stringMatching(/^aws:s3\/bucketObjectv2:BucketObjectv2 /),
  ]);
});

describe("the machines", () => {
  test("that recovery replaces are all there, with their names and tags", () => {
    expect(names(machines())).toEqual([...replaceableMachines].sort());
    for (const machine of machines()) {
      expect(tags(machine)).toEqual({
        Name: `${machine.name}.barton`,
        "barton:machine": machine.name,
        "barton:stack": "barton",
        "barton:build": expect.stringMatching(/^[0-9a-f]{16}$/),
        "barton:shards": "10",
      });
    }
  });

  test.each(["redis1", "redis2", "haproxy1", "app"])("%s has a build that knows no password", (name) => {
    const { inputs } = named("aws:ec2/instance:Instance", name);
    const userData = gunzipSync(Buffer.from(unwrapped(inputs.userDataBase64) as string, "base64")).toString();
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
    // Whoever may read tags must not be able to try passwords with them.
    const withoutSecrets = Object.values(secrets).reduce(
      (text, secret) => text.replaceAll(secret, "").replaceAll(sha256(secret), sha256("")),
      userData.replace("#cloud-config\n", ""),
    );
    const { volumeSize } = inputs.rootBlockDevice as { volumeSize: number };
    const made = JSON.stringify([inputs.ami, JSON.parse(withoutSecrets), inputs.instanceType, volumeSize]);
    expect((inputs.tags as Record<string, string>)["barton:build"]).toBe(sha256(made).slice(0, 16));
  });

  test("are spread over two zones, one of each pair in each", () => {
    const zoneOf = (name: string) => {
      const subnet = named("aws:ec2/instance:Instance", name).inputs.subnetId;
      return of("aws:ec2/subnet:Subnet").find(({ id }) => id === subnet)?.inputs.availabilityZone;
    };
    expect(replaceableMachines.map(zoneOf)).toEqual(
      ["a", "b", "a", "b", "a"].map((letter) => `eu-central-1${letter}`),
    );
  });

  test("have a record each, found again within a second", () => {
    const records = of("aws:route53/record:Record").map(({ inputs }) => inputs);
    expect(records.map((record) => record.name).sort()).toEqual(
      machineNames.map((name) => `${name}.barton`).sort(),
    );
    for (const record of records)
      expect(record).toMatchObject({ type: "A", ttl: 1, zoneId: "Z0123456789ABC" });
    expect(new Set(records.map((record) => (record.records as string[])[0])).size).toBe(6);
  });

  test("show nobody their user data", () => {
    for (const machine of machines()) {
      const userData = machine.inputs.userDataBase64;
      expect(isWrapped(userData), machine.name).toBe(true);
      const text = gunzipSync(Buffer.from(unwrapped(userData) as string, "base64")).toString();
      expect(text).toContain(`"fqdn": "${machine.name}.barton"`);
    }
    expect(JSON.stringify(resources)).not.toContain(secrets["barton:recoveryPassword"]);
  });

  test("have no rights and no public address, and want IMDSv2 and encrypted disks", () => {
    for (const { name, inputs } of machines()) {
      expect(inputs.associatePublicIpAddress, name).toBe(false);
      expect(inputs.iamInstanceProfile, name).toBeUndefined();
    }
    for (const { inputs } of instances()) {
      expect(inputs.metadataOptions).toMatchObject({ httpTokens: "required", httpPutResponseHopLimit: 1 });
      expect(inputs.rootBlockDevice).toMatchObject({ encrypted: true });
    }
  });
});

describe("the data volumes", () => {
  const volumes = () => of("aws:ebs/volume:Volume");

  test("are one for each redis machine, in its zone, encrypted, of the configured size", () => {
    expect(volumes().map(({ name, inputs }) => ({ name, ...inputs }))).toEqual(
      ["redis1", "redis2"].map((machine, i) => ({
        name: `${machine}-data`,
        availabilityZone: ["eu-central-1a", "eu-central-1b"][i],
        size: 200,
        type: "gp3",
        encrypted: true,
        tags: { Name: `${machine}-data.barton`, "barton:machine": machine, "barton:stack": "barton" },
      })),
    );
  });

  test("are attached to their machines", () => {
    for (const machine of ["redis1", "redis2"]) {
      expect(named("aws:ec2/volumeAttachment:VolumeAttachment", `${machine}-data`).inputs).toEqual({
        deviceName: "/dev/sdf",
        volumeId: named("aws:ebs/volume:Volume", `${machine}-data`).id,
        instanceId: named("aws:ec2/instance:Instance", machine).id,
        forceDetach: true,
      });
    }
  });
});

describe("monit", () => {
  const template = () => named("aws:ec2/launchTemplate:LaunchTemplate", "monit");

  test("is a group of one in both zones, launched from the newest version of its template", () => {
    expect(of("aws:autoscaling/group:Group").map(({ inputs }) => inputs)).toEqual([
      {
        minSize: 1,
        maxSize: 1,
        desiredCapacity: 1,
        vpcZoneIdentifiers: [named("aws:ec2/subnet:Subnet", "b").id, named("aws:ec2/subnet:Subnet", "a").id],
        launchTemplate: { id: template().id, version: "$Latest" },
        healthCheckType: "EC2",
        healthCheckGracePeriod: 60,
      },
    ]);
  });

  test("is launched with its role, its tags, a public address, IMDSv2 and an encrypted disk", () => {
    expect(template().inputs).toMatchObject({
      iamInstanceProfile: { name: of("aws:iam/instanceProfile:InstanceProfile")[0]?.id },
      networkInterfaces: [
        {
          associatePublicIpAddress: "true",
          securityGroups: [named("aws:ec2/securityGroup:SecurityGroup", "monit").id],
        },
      ],
      metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [{ ebs: { encrypted: "true", deleteOnTermination: "true" } }],
      tagSpecifications: [
        {
          resourceType: "instance",
          tags: {
            Name: "monit.barton",
            "barton:machine": "monit",
            "barton:stack": "barton",
            "barton:build": expect.stringMatching(/^[0-9a-f]{16}$/),
          },
        },
      ],
    });
  });

  test("has user data that nobody is shown, with all that it needs to come up by itself", () => {
    const { userData } = template().inputs;
    expect(isWrapped(userData)).toBe(true);
    const text = gunzipSync(Buffer.from(unwrapped(userData) as string, "base64")).toString();
    expect(text).toContain(`program/${outputs.programHash}.tar`);
    expect(text).toContain(secrets["barton:recoveryPassword"]);
  });

  test("has the record of the instance that the group runs now, also when it was just replaced", () => {
    expect(named("aws:route53/record:Record", "monit").inputs.records).toEqual(["10.42.2.99"]);
    expect(looks).toBeGreaterThan(1);
    expect(topologySchema.parse(outputs.topology).machines.monit).toEqual({
      role: "monit",
      instanceId: monitInstance,
      address: "10.42.2.99",
      urn: expect.stringMatching(/::barton:infra:MonitGroup\$aws:autoscaling\/group:Group::monit$/),
      recordUrn: expect.stringMatching(/::barton:infra:MonitGroup\$aws:route53\/record:Record::monit$/),
      build: monitBuild(),
      wantedBuild: monitBuild(),
    });
  });
});

describe("images", () => {
  test("are made by the program, from the pinned one, and nothing else is launched", () => {
    expect(builders().map(({ inputs }) => inputs.ami)).toEqual(Array(4).fill("ami-0584590e5f0e97daa"));
    expect(
      of("aws:ec2/amiFromInstance:AmiFromInstance").map(({ inputs }) => inputs.sourceInstanceId),
    ).toEqual(builders().map(({ id }) => id));
    const images = of("aws:ec2/amiFromInstance:AmiFromInstance");
    for (const machine of machines()) {
      const image = images.find(({ id }) => id === machine.inputs.ami);
      expect(image?.name, machine.name).toBe(`${machine.name.replace(/\d$/, "")}-image`);
    }
    expect(of("aws:ec2/launchTemplate:LaunchTemplate")[0]?.inputs.imageId).toBe(
      images.find(({ name }) => name === "monit-image")?.id,
    );
    expect(instances()).toHaveLength(9);
  });

  test("leave their builders stopped", () => {
    const states = of("aws:ec2transitgateway/instanceState:InstanceState").map(({ inputs }) => inputs);
    expect(states).toHaveLength(4);
    for (const { id } of builders()) expect(states).toContainEqual({ instanceId: id, state: "stopped" });
  });

  test("have no password in them", () => {
    for (const builder of builders()) {
      const text = Buffer.from(builder.inputs.userDataBase64 as string, "base64").toString();
      for (const secret of Object.values(secrets)) expect(text).not.toContain(secret.trim());
    }
  });
});

describe("the network", () => {
  const ingress = () => of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule");
  const egress = () => of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule");

  test("has a security group per role, and each instance is in its own", () => {
    expect(names(of("aws:ec2/securityGroup:SecurityGroup"))).toEqual([...roles].sort());
    for (const { inputs } of of("aws:ec2/securityGroup:SecurityGroup")) {
      expect(inputs.ingress).toBeUndefined();
      expect(inputs.egress).toBeUndefined();
    }
    for (const instance of instances()) {
      const role = "barton:builder" in tags(instance) ? "builder" : instance.name.replace(/\d$/, "");
      const group = named("aws:ec2/securityGroup:SecurityGroup", role);
      expect(instance.inputs.vpcSecurityGroupIds, instance.name).toEqual([group.id]);
    }
  });

  test("lets nobody in but machines that need it, the engineers' ssh, and Prometheus at monit's page", () => {
    const monit = named("aws:ec2/securityGroup:SecurityGroup", "monit").id;
    const page = ingress().filter(({ inputs }) => inputs.cidrIpv4 === "203.0.113.8/32");
    expect(page.map(({ inputs }) => inputs)).toEqual([
      expect.objectContaining({ securityGroupId: monit, fromPort: 9464, toPort: 9464 }),
    ]);
    for (const { name, inputs } of ingress().filter((one) => !page.includes(one))) {
      expect(inputs.cidrIpv6, name).toBeUndefined();
      if (inputs.cidrIpv4 === undefined) expect(inputs.referencedSecurityGroupId, name).toBeDefined();
      else expect(inputs, name).toMatchObject({ cidrIpv4: "203.0.113.7/32", fromPort: 22, toPort: 22 });
      expect(inputs.ipProtocol, name).toBe("tcp");
    }
  });

  test("opens exactly these ports between roles", () => {
    const rows = (list: Registered[], own: "from" | "to") =>
      list
        .filter(({ inputs }) => inputs.referencedSecurityGroupId !== undefined)
        .map(({ inputs }) => {
          const role = (id: unknown) =>
            of("aws:ec2/securityGroup:SecurityGroup").find((g) => g.id === id)?.name;
          const [mine, other] = [role(inputs.securityGroupId), role(inputs.referencedSecurityGroupId)];
          const [from, to] = own === "from" ? [mine, other] : [other, mine];
          return `${from} to ${to}: ${inputs.fromPort}-${inputs.toPort}`;
        });
    const expected = [
      "app to haproxy: 8001-8010",
      `app to haproxy: ${fixedPorts.health}-${fixedPorts.health}`,
      "haproxy to haproxy: 8001-8010",
      "haproxy to redis: 9001-9010",
      "redis to redis: 9001-9010",
      "monit to redis: 9001-9010",
      `monit to haproxy: ${fixedPorts.runtime}-${fixedPorts.runtime}`,
      `monit to haproxy: ${fixedPorts.health}-${fixedPorts.health}`,
      "monit to haproxy: 22-22",
      `monit to app: ${fixedPorts.runtime}-${fixedPorts.runtime}`,
    ].sort();
    expect(rows(ingress(), "to").sort()).toEqual(expected);
    expect(rows(egress(), "from").sort()).toEqual(expected);
  });

  test("lets out to the world only what is documented: packages for builders, AWS's APIs for monit", () => {
    const out = egress().filter(({ inputs }) => inputs.cidrIpv4 !== undefined);
    expect(names(out)).toEqual(["builder-to-world-443", "builder-to-world-80", "monit-to-world-443"]);
  });

  test("has a private zone, protected in production", () => {
    expect(of("aws:route53/zone:Zone").map(({ inputs }) => inputs)).toEqual([
      expect.objectContaining({ name: "barton", vpcs: [{ vpcId: of("aws:ec2/vpc:Vpc")[0]?.id }] }),
    ]);
  });
});

describe("what monit may do", () => {
  type Statement = { Sid: string; Action: string[]; Resource: string | string[]; Condition?: object };
  const statements = () =>
    (
      JSON.parse(of("aws:iam/rolePolicy:RolePolicy")[0]?.inputs.policy as string) as {
        Statement: Statement[];
      }
    ).Statement;

  test("no wildcard in an action, and a wildcard resource only for looking", () => {
    for (const { Sid, Action, Resource } of statements()) {
      for (const action of Action) expect(action, Sid).not.toContain("*");
      if (Resource === "*") expect(Action.every((action) => action.startsWith("ec2:Describe"))).toBe(true);
    }
  });

  test("launch and end only the machines of this stack that recovery replaces", () => {
    const ours = ["redis1", "redis2", "haproxy1", "haproxy2", "app"];
    for (const [sid, key] of [
      ["LaunchAsOneOfTheFive", "aws:RequestTag"],
      ["EndOneOfTheFive", "aws:ResourceTag"],
      ["MoveDataVolumes", "aws:ResourceTag"],
    ]) {
      expect(statements().find(({ Sid }) => Sid === sid)?.Condition).toEqual({
        StringEquals: { [`${key}/barton:stack`]: "barton", [`${key}/barton:machine`]: ours },
      });
    }
    const launch = statements().find(({ Sid }) => Sid === "LaunchFromWhatIsOurs")?.Resource as string[];
    expect(launch.filter((arn) => arn.includes(":image/"))).toHaveLength(3);
    expect(launch.filter((arn) => arn.includes(":security-group/"))).toHaveLength(3);
  });

  test("read the program, and nothing else in its bucket", () => {
    const fetch = statements().find(({ Sid }) => Sid === "FetchTheProgram");
    expect(fetch?.Action).toEqual(["s3:GetObject"]);
    expect(fetch?.Resource).toBe("arn:aws:s3:::barton-program-1a2b3c4/program/*");
  });

  test("nothing about identities", () => {
    const services = new Set(
      statements().flatMap(({ Action }) => Action.map((action) => action.split(":")[0])),
    );
    expect([...services].sort()).toEqual(["ec2", "kms", "route53", "s3"]);
  });
});

describe("the program on monit", () => {
  const bucket = () => of("aws:s3/bucket:Bucket")[0]?.inputs.bucket ?? "barton-program-1a2b3c4";

  test("waits in a private bucket, under its hash", () => {
    const key = `program/${outputs.programHash}.tar`;
    expect(
      of("aws:s3/bucketObjectv2:BucketObjectv2").map(({ inputs }) => [inputs.bucket, inputs.key]),
    ).toEqual([[bucket(), key]]);
    expect(of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").map(({ inputs }) => inputs)).toEqual([
      {
        bucket: bucket(),
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
    ]);
    expect(existsSync(join(cache, "barton", `program-${outputs.programHash}.tar`))).toBe(true);
  });

  test("is brought to the running machine again for another bundle or environment, and for nothing else", () => {
    const { inputs } = named("command:remote:Command", "program");
    expect(Object.keys(inputs).sort()).toEqual(["connection", "create", "stdin", "triggers"]);
    expect(inputs.triggers).toEqual([outputs.programHash]);
    expect(inputs.create).toContain(`"$fetch" '${bucket()}' 'program/${outputs.programHash}.tar' `);
  });

  test("comes with the environment of its service, which nobody is shown and which makes no machine outdated", () => {
    const { inputs } = named("command:remote:Command", "program");
    expect(isWrapped(inputs.stdin)).toBe(true);
    expect(unwrapped(inputs.stdin)).toContain(`BARTON_WEBHOOK_URL="${webhook}"`);
    const { userData } = named("aws:ec2/launchTemplate:LaunchTemplate", "monit").inputs;
    const text = gunzipSync(Buffer.from(unwrapped(userData) as string, "base64")).toString();
    const { write_files: files } = JSON.parse(text.replace("#cloud-config\n", ""));
    const own = files.find(({ path }: { path: string }) => path === "/etc/barton/monitor.env");
    expect(unwrapped(inputs.stdin)).toBe(own.content);
    const open = resources.filter(({ type }) => type !== "aws:ec2/launchTemplate:LaunchTemplate");
    const shown = open.map(({ inputs: all }) => Object.values(all).filter((value) => !isWrapped(value)));
    expect(JSON.stringify(shown)).not.toContain(webhook);
  });

  test("has the hash that recovery computes of its own copy", () => {
    expect(outputs.programHash).toBe(programHash({ root, projectFolder: ".", stack: "barton" }));
  });
});

test("the output `topology` is what recovery reads", () => {
  const topology = topologySchema.parse(outputs.topology);
  expect(topology.shards).toHaveLength(10);
  expect(topology.shards[9]).toEqual({ index: 10, clientPort: 7010, proxyPort: 8010, redisPort: 9010 });
  expect(topology.machines.redis2).toEqual({
    role: "redis",
    instanceId: named("aws:ec2/instance:Instance", "redis2").id,
    address: expect.stringMatching(/^10\.42\.1\.\d+$/),
    urn: expect.stringMatching(/::barton:infra:Machine\$aws:ec2\/instance:Instance::redis2$/),
    recordUrn: expect.stringMatching(/::barton:infra:Machine\$aws:route53\/record:Record::redis2$/),
    attachmentUrn: expect.stringMatching(
      /::barton:infra:DataVolume\$aws:ec2\/volumeAttachment:VolumeAttachment::redis2-data$/,
    ),
    build: tags(named("aws:ec2/instance:Instance", "redis2"))["barton:build"],
    wantedBuild: tags(named("aws:ec2/instance:Instance", "redis2"))["barton:build"],
  });
});
