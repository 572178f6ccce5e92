/** How the program has monit: a group of one, its record and its bucket, under the real engine, with real machines. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { baseAmi } from "../../../lab/image/base.ts";
import { CloudLab, until } from "../cloud-lab.ts";
import { newProject, type Project } from "./pulumi.ts";

const lab = new CloudLab();
let project: Project;

const program = (hash: string) => `
  import * as aws from "@pulumi/aws";
  import * as pulumi from "@pulumi/pulumi";
  const vpc = new aws.ec2.Vpc("main", { cidrBlock: "10.78.0.0/16" });
  const subnet = new aws.ec2.Subnet("a", { vpcId: vpc.id, cidrBlock: "10.78.1.0/24", availabilityZone: "eu-central-1a" });
  const group = new aws.ec2.SecurityGroup("monit", { vpcId: vpc.id });
  const zone = new aws.route53.Zone("zone", { name: "barton", vpcs: [{ vpcId: vpc.id }] });
  const bucket = new aws.s3.Bucket("program", { forceDestroy: true });
  const object = new aws.s3.BucketObjectv2("program", {
    bucket: bucket.bucket, key: "program/${hash}.tar", source: new pulumi.asset.FileAsset("${hash}.tar"),
  }, { retainOnDelete: true });
  const template = new aws.ec2.LaunchTemplate("monit", {
    imageId: "${baseAmi}", instanceType: "t3.micro",
    networkInterfaces: [{ securityGroups: [group.id] }],
    userData: pulumi.secret(object.key).apply((key) => Buffer.from("#cloud-config\\n# a-very-secret-password " + key).toString("base64")),
    tagSpecifications: [{ resourceType: "instance", tags: { "barton:machine": "monit" } }],
  });
  const monit = new aws.autoscaling.Group("monit", {
    minSize: 1, maxSize: 1, vpcZoneIdentifiers: [subnet.id], launchTemplate: { id: template.id, version: "$Latest" },
  });
  const address = monit.id.apply(async (name) => {
    const filters = [{ name: "tag:aws:autoscaling:groupName", values: [name] }];
    return (await aws.ec2.getInstances({ filters })).privateIps[0] ?? "none";
  });
  new aws.route53.Record("monit", { zoneId: zone.zoneId, name: "monit.barton", type: "A", ttl: 1, records: [address] });
  export const bucketName = bucket.bucket;
`;

/** The lines of a preview that plan something. */
const planned = (preview: string) =>
  preview
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^(\+|~|-|\+-) +aws:/.test(line));
const monit = async () => (await lab.view()).machines.find(({ state }) => state === "running");

beforeAll(async () => {
  await lab.start();
  project = await newProject({ BARTON_LAB_ENDPOINT: `unix:${lab.lab.socket}` });
  await writeFile(join(project.folder, "one.tar"), "the first program");
  await writeFile(join(project.folder, "two.tar"), "the second program");
});
afterAll(async () => {
  await project?.remove();
  await lab.remove();
});

test("up makes it, a second preview is empty, and what is secret stays so", async () => {
  await project.run(["up", "--yes", "--skip-preview"], program("one"));
  expect(await monit()).toMatchObject({ name: "monit", address: "10.78.1.4" });
  expect(planned(await project.run(["preview", "--expect-no-changes"]))).toEqual([]);
  await project.run(["preview", "--refresh", "--expect-no-changes"]);
  const { text } = await project.state();
  const userData = "#cloud-config\n# a-very-secret-password program/one.tar";
  expect(text).not.toContain(Buffer.from(userData).toString("base64"));
  expect(text).not.toContain("the first program");
});

test("another program replaces no machine: the object is another one, and the template has a new version", async () => {
  const before = await monit();
  const preview = planned(await project.run(["preview"], program("two")));
  expect(preview.map((line) => line.split(/ +/).slice(0, 2).join(" "))).toEqual([
    "+- aws:s3:BucketObjectv2",
    "~ aws:ec2:LaunchTemplate",
  ]);
  await project.run(["up", "--yes", "--skip-preview"]);
  expect((await monit())?.instanceId).toBe(before?.instanceId);
  const { resources } = await project.state();
  const template = resources.find(({ type }) => type === "aws:ec2/launchTemplate:LaunchTemplate");
  expect(template?.outputs?.latestVersion).toBe(2);
  const bucket = (await project.run(["stack", "output", "bucketName"])).trim();
  for (const hash of ["one", "two"]) {
    expect((await lab.read("s3/bucketObjectv2", `${bucket}/program/${hash}.tar`)).id).toContain(hash);
  }
});

test("when the group has replaced the machine the record alone is behind, and an up of it alone puts that right", async () => {
  const before = await monit();
  await lab.fault("poweroff", "monit");
  const after = await until("another instance", 30_000, async () => {
    const present = await monit();
    return present && present.instanceId !== before?.instanceId && present;
  });
  const preview = planned(await project.run(["preview"]));
  expect(preview).toHaveLength(1);
  expect(preview[0]).toMatch(/^~ +aws:route53:Record +monit +update/);
  const record = (await project.state()).resources.find(({ type }) => type === "aws:route53/record:Record");
  await project.run(["up", "--yes", "--skip-preview", "--target", record?.urn ?? ""]);
  expect(planned(await project.run(["preview", "--expect-no-changes"]))).toEqual([]);
  const { state } = await lab.read("route53/record", record?.id ?? "");
  expect(state.records).toEqual([after.address]);
});

test("destroy removes all of it, machine and objects too", async () => {
  await project.run(["destroy", "--yes", "--skip-preview"]);
  expect((await lab.view()).machines).toEqual([]);
});
