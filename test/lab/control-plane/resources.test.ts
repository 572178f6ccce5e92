/** The resource API on a store, without machines: AWS's checks and errors. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AutoScaling } from "../../../lab/control-plane/autoscaling.ts";
import type { Cloud } from "../../../lab/control-plane/cloud.ts";
import type { Lifecycle } from "../../../lab/control-plane/lifecycle.ts";
import { firewallOf, networkPlan, resolverPlans, standInPlan } from "../../../lab/control-plane/plan.ts";
import { kinds, Resources } from "../../../lab/control-plane/resources/index.ts";
import { type Instance, Store } from "../../../lab/control-plane/store.ts";
import { Turns } from "../../../lab/control-plane/system.ts";
import { World } from "../../../lab/control-plane/world.ts";
import { baseAmi } from "../../../lab/image/base.ts";
import { labNamed } from "../../../lab/lab.ts";
import { schemas } from "../../../lab/schema/index.ts";

let folder: string;
let store: Store;
let resources: Resources;
let world: World;
let launched: string[];
let autoScaling: AutoScaling;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-store-"));
  store = new Store(join(folder, "resources.json"));
  launched = [];
  const set = (id: string, state: Instance["state"]) => {
    const instance = store.instances.get(id);
    if (instance) instance.state = state;
  };
  const lifecycle = {
    launch: async (id: string) => {
      launched.push(id);
      set(id, "running");
    },
    terminate: async (id: string) => set(id, "terminated"),
    stop: async (id: string) => set(id, "stopped"),
    start: async (id: string) => set(id, "running"),
    image: async (_: string, id: string) => void store.images.set(id, { id, layers: ["/layer", "/base"] }),
    collectLayers: () => {},
  } as unknown as Lifecycle;
  const cloud = {
    lab: { ...labNamed("x"), dir: folder },
    store,
    turns: new Turns(),
    converge: async () => {},
    log: () => {},
  } as unknown as Cloud;
  autoScaling = new AutoScaling(cloud, lifecycle);
  resources = new Resources(cloud, lifecycle);
  world = new World(cloud, lifecycle);
});

afterEach(() => rmSync(folder, { recursive: true }));

async function network() {
  const vpc = await resources.create("ec2/vpc", { cidrBlock: "10.42.0.0/16" });
  const subnet = await resources.create("ec2/subnet", {
    vpcId: vpc.id,
    cidrBlock: "10.42.1.0/24",
    availabilityZone: "eu-central-1a",
  });
  const group = await resources.create("ec2/securityGroup", {
    vpcId: vpc.id,
    name: "redis",
    description: "x",
  });
  return { vpc: vpc.id, subnet: subnet.id, group: group.id };
}

const machine = (ids: { subnet: string; group: string }, more: object = {}) =>
  resources.create("ec2/instance", {
    ami: baseAmi,
    instanceType: "t3.micro",
    subnetId: ids.subnet,
    vpcSecurityGroupIds: [ids.group],
    tags: { "barton:machine": "redis1" },
    ...more,
  });

const template = (ids: { group: string }, more: object = {}) =>
  resources.create("ec2/launchTemplate", {
    name: "monit",
    imageId: baseAmi,
    instanceType: "t3.micro",
    networkInterfaces: [{ securityGroups: [ids.group] }],
    tagSpecifications: [{ resourceType: "instance", tags: { "barton:machine": "monit" } }],
    ...more,
  });
const groupOf = (ids: { subnet: string }, templateId: string, more: object = {}) =>
  resources.create("autoscaling/group", {
    name: "monit",
    minSize: 1,
    maxSize: 1,
    vpcZoneIdentifiers: [ids.subnet],
    launchTemplate: { id: templateId, version: "$Latest" },
    ...more,
  });
const object = (key: string, content: string) =>
  resources.create("s3/bucketObjectv2", {
    bucket: "programs",
    key,
    source: { base64: Buffer.from(content).toString("base64") },
  });

test("every type that the provider knows has its effect here, and no other", () => {
  const types = schemas.map((schema) => schema.type.split(":")[1]);
  expect(Object.keys(kinds).sort()).toEqual(types.sort());
});

test("every output that the provider promises is given", async () => {
  const ids = await network();
  const made: Record<string, { id: string; state: Record<string, unknown> }> = {
    "ec2/vpc": resources.read("ec2/vpc", ids.vpc),
    "ec2/subnet": resources.read("ec2/subnet", ids.subnet),
    "ec2/securityGroup": resources.read("ec2/securityGroup", ids.group),
  };
  const make = async (type: string, inputs: Record<string, string>) => {
    const shown = await resources.create(type, inputs);
    made[type] = shown;
    return shown.id;
  };
  const gateway = await make("ec2/internetGateway", { vpcId: ids.vpc });
  const table = await make("ec2/routeTable", { vpcId: ids.vpc });
  await make("ec2/route", { routeTableId: table, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway });
  await make("ec2/routeTableAssociation", { routeTableId: table, subnetId: ids.subnet });
  await make("vpc/securityGroupIngressRule", {
    securityGroupId: ids.group,
    ipProtocol: "-1",
    cidrIpv4: "10.0.0.0/8",
  });
  await make("vpc/securityGroupEgressRule", {
    securityGroupId: ids.group,
    ipProtocol: "-1",
    cidrIpv4: "0.0.0.0/0",
  });
  await make("ec2/keyPair", { keyName: "k", publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA x" });
  const role = await make("iam/role", { name: "r", assumeRolePolicy: "{}" });
  await make("iam/rolePolicy", { name: "p", role, policy: "{}" });
  await make("iam/instanceProfile", { name: "i", role });
  const zone = await resources.create("route53/zone", { name: "barton", vpcs: [{ vpcId: ids.vpc }] });
  made["route53/zone"] = zone;
  made["route53/record"] = await resources.create("route53/record", {
    zoneId: zone.id,
    name: "a.barton",
    type: "A",
    ttl: 1,
    records: ["10.42.1.9"],
  });
  made["ec2/instance"] = await machine(ids);
  const id = made["ec2/instance"].id;
  made["ec2/amiFromInstance"] = await resources.create("ec2/amiFromInstance", {
    name: "image",
    sourceInstanceId: id,
  });
  made["ec2transitgateway/instanceState"] = await resources.create("ec2transitgateway/instanceState", {
    instanceId: id,
    state: "stopped",
  });
  const volume = await resources.create("ebs/volume", { availabilityZone: "eu-central-1a", size: 1 });
  made["ebs/volume"] = volume;
  await make("ec2/volumeAttachment", { deviceName: "/dev/sdf", instanceId: id, volumeId: volume.id });
  made["ec2/launchTemplate"] = await template(ids);
  made["autoscaling/group"] = await groupOf(ids, made["ec2/launchTemplate"].id);
  const { id: bucket } = await resources.create("s3/bucket", { bucket: "programs" });
  made["s3/bucket"] = resources.read("s3/bucket", bucket);
  for (const setting of ["PublicAccessBlock", "ServerSideEncryptionConfiguration", "Versioning"])
    await make(`s3/bucket${setting}`, { bucket });
  made["s3/bucketObjectv2"] = await object("a.tar", "content");
  for (const schema of schemas) {
    const shown = made[schema.type.split(":")[1] ?? ""];
    for (const output of Object.keys(schema.outputs))
      expect(shown?.state, `${schema.type} ${output}`).toHaveProperty(output);
  }
});

describe("references that do not exist", () => {
  const missing = (prefix: string) => `${prefix}-00000000000000000`;
  test.each<[string, Record<string, string>, string]>([
    ["ec2/subnet", { vpcId: missing("vpc"), cidrBlock: "10.0.0.0/24" }, "InvalidVpcID.NotFound"],
    ["ec2/securityGroup", { vpcId: missing("vpc"), name: "x" }, "InvalidVpcID.NotFound"],
    ["ec2/internetGateway", { vpcId: missing("vpc") }, "InvalidVpcID.NotFound"],
    ["ec2/routeTable", { vpcId: missing("vpc") }, "InvalidVpcID.NotFound"],
    [
      "ec2/route",
      { routeTableId: missing("rtb"), destinationCidrBlock: "0.0.0.0/0", gatewayId: missing("igw") },
      "InvalidRouteTableID.NotFound",
    ],
    [
      "ec2/routeTableAssociation",
      { subnetId: missing("subnet"), routeTableId: missing("rtb") },
      "InvalidSubnetID.NotFound",
    ],
    [
      "vpc/securityGroupIngressRule",
      { securityGroupId: missing("sg"), ipProtocol: "-1", cidrIpv4: "0.0.0.0/0" },
      "InvalidGroup.NotFound",
    ],
    ["iam/rolePolicy", { role: "nobody", name: "x", policy: "{}" }, "NoSuchEntity"],
    ["iam/instanceProfile", { role: "nobody", name: "x" }, "NoSuchEntity"],
    ["route53/record", { zoneId: "Z0", name: "x", type: "A" }, "NoSuchHostedZone"],
    ["ec2/instance", { ami: baseAmi, subnetId: missing("subnet") }, "InvalidSubnetID.NotFound"],
    ["ec2/amiFromInstance", { name: "abc", sourceInstanceId: missing("i") }, "InvalidInstanceID.NotFound"],
    [
      "ec2transitgateway/instanceState",
      { instanceId: missing("i"), state: "stopped" },
      "InvalidInstanceID.NotFound",
    ],
    [
      "ec2/volumeAttachment",
      { deviceName: "/dev/sdf", instanceId: missing("i"), volumeId: missing("vol") },
      "InvalidVolume.NotFound",
    ],
  ])("%s %j: %s, and nothing is made", async (type, inputs, code) => {
    await expect(resources.create(type, inputs)).rejects.toMatchObject({ code });
    expect(store.list(type)).toEqual([]);
    expect(launched).toEqual([]);
  });

  test.each([
    [{ ami: "ami-00000000000000000" }, "InvalidAMIID.NotFound"],
    [{ keyName: "nobody's" }, "InvalidKeyPair.NotFound"],
    [{ iamInstanceProfile: "nobody's" }, "InvalidParameterValue"],
    [{ vpcSecurityGroupIds: [missing("sg")] }, "InvalidGroup.NotFound"],
    [{ availabilityZone: "eu-central-1b" }, "InvalidParameterValue"],
  ])("an instance with %j: %s", async (wrong, code) => {
    const ids = await network();
    await expect(machine(ids, wrong)).rejects.toMatchObject({ code });
    expect(launched).toEqual([]);
  });

  test("an unknown type and an unknown id are 404", async () => {
    await expect(resources.create("ec2/volume", {})).rejects.toMatchObject({
      status: 404,
      message: /no resources of type ec2\/volume/,
    });
    expect(() => resources.read("ec2/vpc", "vpc-0")).toThrow(/there is no ec2\/vpc vpc-0/);
    await expect(resources.delete("ec2/vpc", "vpc-0")).resolves.toBeUndefined();
  });
});

describe("conflicts", () => {
  test("networks that overlap or lie outside", async () => {
    const { vpc } = await network();
    const subnet = (cidrBlock: string) => resources.create("ec2/subnet", { vpcId: vpc, cidrBlock });
    await expect(subnet("10.42.1.128/25")).rejects.toMatchObject({ code: "InvalidSubnet.Conflict" });
    await expect(subnet("10.43.1.0/24")).rejects.toMatchObject({ code: "InvalidSubnet.Range" });
    await expect(resources.create("ec2/vpc", { cidrBlock: "10.42.0.0/20" })).rejects.toMatchObject({
      code: "InvalidVpc.Range",
    });
    await expect(resources.create("ec2/vpc", { cidrBlock: "10.43.0.0/16" })).resolves.toBeDefined();
  });

  test("names that are taken", async () => {
    const { vpc } = await network();
    await expect(resources.create("ec2/securityGroup", { vpcId: vpc, name: "redis" })).rejects.toMatchObject({
      code: "InvalidGroup.Duplicate",
    });
    await resources.create("ec2/keyPair", { keyName: "k", publicKey: "ssh-ed25519 AAAA" });
    await expect(
      resources.create("ec2/keyPair", { keyName: "k", publicKey: "ssh-ed25519 AAAA" }),
    ).rejects.toMatchObject({ code: "InvalidKeyPair.Duplicate" });
    await resources.create("iam/role", { name: "r" });
    await expect(resources.create("iam/role", { name: "r" })).rejects.toMatchObject({
      code: "EntityAlreadyExists",
    });
  });

  test("a record that exists, unless it may be overwritten", async () => {
    const { vpc } = await network();
    const zone = await resources.create("route53/zone", { name: "barton.", vpcs: [{ vpcId: vpc }] });
    const inputs = { zoneId: zone.id, name: "redis1", type: "A", ttl: 1, records: ["10.42.1.4"] };
    const record = await resources.create("route53/record", inputs);
    expect(record).toMatchObject({ id: `${zone.id}_redis1.barton_A`, state: { fqdn: "redis1.barton" } });
    await expect(
      resources.create("route53/record", { ...inputs, name: "redis1.barton" }),
    ).rejects.toMatchObject({ code: "InvalidChangeBatch" });
    await expect(
      resources.create("route53/record", { ...inputs, allowOverwrite: true }),
    ).resolves.toMatchObject({ id: record.id });
    await expect(resources.delete("route53/zone", zone.id)).rejects.toMatchObject({
      code: "HostedZoneNotEmpty",
    });
  });

  test("the same rule twice", async () => {
    const { group } = await network();
    const inputs = {
      securityGroupId: group,
      ipProtocol: "tcp",
      fromPort: 22,
      toPort: 22,
      cidrIpv4: "10.0.0.0/8",
    };
    const rule = await resources.create("vpc/securityGroupIngressRule", inputs);
    await expect(resources.create("vpc/securityGroupIngressRule", inputs)).rejects.toMatchObject({
      code: "InvalidPermission.Duplicate",
    });
    await expect(resources.update("vpc/securityGroupIngressRule", rule.id, inputs)).resolves.toBeDefined();
  });
});

describe("what is in use stays", () => {
  test("VPC, subnet and group of an instance; all can go when it is terminated", async () => {
    const ids = await network();
    const { id } = await machine(ids);
    for (const [type, each] of [
      ["ec2/vpc", ids.vpc],
      ["ec2/subnet", ids.subnet],
      ["ec2/securityGroup", ids.group],
    ] as const) {
      await expect(resources.delete(type, each)).rejects.toMatchObject({ code: "DependencyViolation" });
    }
    await resources.delete("ec2/instance", id);
    expect(resources.read("ec2/instance", id).state.instanceState).toBe("terminated");
    await resources.delete("ec2/securityGroup", ids.group);
    await resources.delete("ec2/subnet", ids.subnet);
    await resources.delete("ec2/vpc", ids.vpc);
    expect(store.list("ec2/securityGroup")).toEqual([]);
  });

  test("a group that another's rule refers to; a role with a policy; an associated route table", async () => {
    const ids = await network();
    const other = await resources.create("ec2/securityGroup", { vpcId: ids.vpc, name: "other" });
    const rule = await resources.create("vpc/securityGroupIngressRule", {
      securityGroupId: ids.group,
      ipProtocol: "-1",
      referencedSecurityGroupId: other.id,
    });
    await expect(resources.delete("ec2/securityGroup", other.id)).rejects.toMatchObject({
      code: "DependencyViolation",
    });
    await resources.delete("vpc/securityGroupIngressRule", rule.id);
    await resources.delete("ec2/securityGroup", other.id);
    await resources.create("iam/role", { name: "r" });
    const policy = await resources.create("iam/rolePolicy", { name: "p", role: "r" });
    await expect(resources.delete("iam/role", "r")).rejects.toMatchObject({ code: "DeleteConflict" });
    await resources.delete("iam/rolePolicy", policy.id);
    await resources.delete("iam/role", "r");
    const table = await resources.create("ec2/routeTable", { vpcId: ids.vpc });
    await resources.create("ec2/routeTableAssociation", { routeTableId: table.id, subnetId: ids.subnet });
    await expect(resources.delete("ec2/routeTable", table.id)).rejects.toMatchObject({
      code: "DependencyViolation",
    });
  });
});

describe("instances", () => {
  test("an address is not given again while others may remember it", async () => {
    const ids = await network();
    const seen = new Set<unknown>();
    for (let round = 0; round < 5; round++) {
      const { id, state } = await machine(ids);
      expect(seen.has(state.privateIp)).toBe(false);
      seen.add(state.privateIp);
      await resources.delete("ec2/instance", id);
    }
  });

  test("when a subnet is full, AWS's error", async () => {
    const { vpc, group } = await network();
    const { id: subnet } = await resources.create("ec2/subnet", {
      vpcId: vpc,
      cidrBlock: "10.42.9.0/28",
      availabilityZone: "eu-central-1b",
    });
    for (let count = 0; count < 11; count++) await machine({ subnet, group });
    await expect(machine({ subnet, group })).rejects.toMatchObject({
      code: "InsufficientFreeAddressesInSubnet",
    });
  });

  test("are seen by the EC2 API with tags, groups and profile; credentials are for those with a role", async () => {
    const ids = await network();
    await resources.create("iam/role", { name: "monit" });
    await resources.create("iam/instanceProfile", { name: "monit", role: "monit" });
    const plain = await machine(ids);
    const monit = await machine(ids, { iamInstanceProfile: "monit" });
    expect(world.instanceAt(String(plain.state.privateIp))).toMatchObject({
      instanceId: plain.id,
      state: "running",
      imageId: baseAmi,
      tags: { "barton:machine": "redis1" },
      securityGroups: [{ groupId: ids.group, groupName: "redis" }],
    });
    expect(world.credentialsOf(plain.id)).toBeUndefined();
    expect(world.credentialsOf(monit.id)).toMatchObject({ roleName: "monit" });
    await resources.delete("ec2/instance", plain.id);
    expect(world.instanceAt(String(plain.state.privateIp))).toBeUndefined();
  });
});

describe("what the network is to be like", () => {
  test("follows from the resources", async () => {
    const ids = await network();
    const zone = await resources.create("route53/zone", { name: "barton", vpcs: [{ vpcId: ids.vpc }] });
    await resources.create("route53/record", {
      zoneId: zone.id,
      name: "a.barton",
      type: "A",
      ttl: 1,
      records: ["10.42.1.4"],
    });
    await resources.create("vpc/securityGroupIngressRule", {
      securityGroupId: ids.group,
      ipProtocol: "tcp",
      fromPort: 22,
      toPort: 22,
      referencedSecurityGroupId: ids.group,
    });
    const made = await machine(ids);
    const instance = store.instances.get(made.id);
    if (!instance) throw new Error("no instance");
    expect(networkPlan(store).subnets).toEqual([{ id: ids.subnet, cidr: "10.42.1.0/24", vpcId: ids.vpc }]);
    const [resolver] = resolverPlans(store);
    expect(resolver?.domains).toEqual(["eu-central-1.compute.internal", "barton"]);
    expect(resolver?.records).toContainEqual({ name: "a.barton", addresses: ["10.42.1.4"] });
    expect(firewallOf(store, instance)).toContain(
      "ip saddr { 10.42.1.4 } meta nfproto ipv4 tcp dport 22 accept",
    );
    expect(standInPlan(store)).toEqual([]);
    store.faults = [{ kind: "vanish", instanceId: made.id }];
    expect(standInPlan(store)).toMatchObject([{ id: made.id, privateIp: "10.42.1.4" }]);
  });

  test("a partition silences the right sides", async () => {
    const ids = await network();
    const [one, two] = [await machine(ids), await machine(ids)];
    const dropsOn = (id: string) => {
      const instance = store.instances.get(id);
      return instance && /ip saddr \{ (.*) \} drop/.exec(firewallOf(store, instance))?.[1];
    };
    store.faults = [{ kind: "partition", instanceId: one.id, peerId: two.id, oneWay: true }];
    expect([dropsOn(one.id), dropsOn(two.id)]).toEqual([undefined, one.state.privateIp]);
    store.faults = [{ kind: "partition", instanceId: one.id, peerId: two.id, oneWay: false }];
    expect([dropsOn(one.id), dropsOn(two.id)]).toEqual([two.state.privateIp, one.state.privateIp]);
  });

  test("is the same after a restart", async () => {
    const ids = await network();
    await machine(ids);
    const again = new Store(join(folder, "resources.json"));
    expect(networkPlan(again)).toEqual(networkPlan(store));
    expect(resolverPlans(again)).toEqual(resolverPlans(store));
  });
});

describe("an auto scaling group", () => {
  const members = () => [...store.instances.values()].filter(({ state }) => state !== "terminated");
  const member = () => {
    const [only, ...others] = members();
    if (!only || others.length > 0) throw new Error(`the group has ${members().length} instances`);
    return only;
  };

  test("launches what its template describes", async () => {
    const ids = await network();
    const { id } = await template(ids, {
      userData: Buffer.from("#cloud-config").toString("base64"),
      blockDeviceMappings: [{ deviceName: "/dev/xvda", ebs: { volumeSize: 8, encrypted: "true" } }],
    });
    await groupOf(ids, id);
    expect(launched).toEqual([member().id]);
    const [shown] = world.listInstances();
    expect(shown).toMatchObject({ subnetId: ids.subnet, securityGroups: [{ groupId: ids.group }] });
    expect(shown?.tags).toEqual({ "barton:machine": "monit", "aws:autoscaling:groupName": "monit" });
    expect(store.get("ec2/instance", member().id)?.inputs).toMatchObject({
      ami: baseAmi,
      rootBlockDevice: { volumeSize: 8 },
      userDataBase64: Buffer.from("#cloud-config").toString("base64"),
    });
  });

  test("replaces an instance that ended, from the newest version of the template", async () => {
    const ids = await network();
    const { id } = await template(ids);
    await groupOf(ids, id);
    const first = member().id;
    const { inputs } = store.get("ec2/launchTemplate", id) ?? {};
    const changed = await resources.update("ec2/launchTemplate", id, { ...inputs, instanceType: "t3.small" });
    expect(changed.state.latestVersion).toBe(2);
    autoScaling.watch();
    expect(member().id, "a new version replaces nothing").toBe(first);
    const [running] = members();
    if (running) running.state = "terminated";
    await vi.waitFor(() => {
      autoScaling.watch();
      expect(member().id).not.toBe(first);
    });
    expect(store.get("ec2/instance", member().id)?.inputs.instanceType).toBe("t3.small");
  });

  test.each<[string, (id: string) => void, number]>([
    ["is off", (id) => Object.assign(store.instances.get(id) ?? {}, { state: "stopped" }), 2_000],
    ["is unreachable", (id) => void store.faults.push({ kind: "vanish", instanceId: id }), 10_000],
  ])("terminates and replaces an instance that %s", async (_, ail, noticedAfterMs) => {
    const ids = await network();
    await groupOf(ids, (await template(ids)).id);
    const first = member().id;
    ail(first);
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      autoScaling.watch();
      await vi.waitFor(() => expect(store.instances.get(first)?.state).not.toBe("terminated"));
      vi.advanceTimersByTime(noticedAfterMs);
      await vi.waitFor(() => {
        autoScaling.watch();
        expect(store.instances.get(first)?.state).toBe("terminated");
        expect(member().id).not.toBe(first);
      });
    } finally {
      vi.useRealTimers();
    }
  });

  test("launches nothing while the cloud has no capacity", async () => {
    const ids = await network();
    const { id } = await template(ids);
    store.faults.push({ kind: "api", mode: "full" });
    await expect(groupOf(ids, id)).rejects.toThrow("api full");
    expect(launched).toEqual([]);
  });

  test("refuses a template that cannot be launched", async () => {
    const ids = await network();
    const { id } = await template(ids, { keyName: "nobody's" });
    await expect(groupOf(ids, id)).rejects.toMatchObject({ code: "InvalidKeyPair.NotFound" });
    await expect(groupOf(ids, "lt-0")).rejects.toMatchObject({ code: "InvalidLaunchTemplateId.NotFound" });
  });

  test("ends its instances with itself, and launches no more", async () => {
    const ids = await network();
    await groupOf(ids, (await template(ids)).id);
    const deleting = resources.delete("autoscaling/group", "monit");
    autoScaling.watch();
    await deleting;
    autoScaling.watch();
    await vi.waitFor(() => expect(members()).toEqual([]));
    expect(launched).toHaveLength(1);
  });
});

describe("a bucket", () => {
  test("keeps what an object holds in a file of its own", async () => {
    await resources.create("s3/bucket", { bucket: "programs" });
    const shown = await object("a.tar", "the content");
    expect(JSON.stringify([shown, store.get("s3/bucketObjectv2", shown.id)])).not.toContain("base64");
    expect(Buffer.from(world.contentOf("programs", "a.tar") ?? []).toString()).toBe("the content");
    await resources.delete("s3/bucketObjectv2", shown.id);
    expect(world.contentOf("programs", "a.tar")).toBeUndefined();
  });

  test("is not deleted with something in it, unless by force", async () => {
    const { id } = await resources.create("s3/bucket", { bucket: "programs" });
    await object("a.tar", "x");
    await expect(resources.delete("s3/bucket", id)).rejects.toMatchObject({ code: "BucketNotEmpty" });
    await resources.update("s3/bucket", id, { bucket: "programs", forceDestroy: true });
    await resources.delete("s3/bucket", id);
    expect(world.contentOf("programs", "a.tar")).toBeUndefined();
  });
});
