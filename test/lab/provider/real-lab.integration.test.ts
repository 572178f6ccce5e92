/** Pulumi's engine, both of our plugins, the real control plane and machines that boot: the lab as a program sees it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insideNetwork } from "../../../lab/lab.ts";
import { CloudLab, until } from "../cloud-lab.ts";
import { newProject, type Project } from "./pulumi.ts";

const cloud = new CloudLab();
let project: Project;
let key: { publicKey: string; file: string };

/** Two machines with records; a command waits for the first one to have booted, and asks for its name. */
function program({ more = "", instanceArgs = "", subnetId = "subnet.id" } = {}): string {
  return `
    import { readFileSync } from "node:fs";
    import * as aws from "@pulumi/aws";
    import { remote } from "@pulumi/command";
    import * as pulumi from "@pulumi/pulumi";
    const vpc = new aws.ec2.Vpc("main", { cidrBlock: "10.78.0.0/16", enableDnsHostnames: true });
    const subnet = new aws.ec2.Subnet("a", { vpcId: vpc.id, cidrBlock: "10.78.1.0/24", availabilityZone: "eu-central-1a" });
    const group = new aws.ec2.SecurityGroup("all", { vpcId: vpc.id });
    const tcp = { securityGroupId: group.id, ipProtocol: "tcp", fromPort: 22, toPort: 22 };
    new aws.vpc.SecurityGroupIngressRule("ssh", { ...tcp, cidrIpv4: "10.78.1.1/32" });
    const zone = new aws.route53.Zone("zone", { name: "barton", vpcs: [{ vpcId: vpc.id }] });
    const key = new aws.ec2.KeyPair("key", { publicKey: "${key.publicKey}" });
    const privateKey = pulumi.secret(readFileSync("${key.file}", "utf8"));
    for (const name of ["one", "two"]) {
      const instance = new aws.ec2.Instance(name, {
        ami: "ami-00000000000000013", instanceType: "t3.micro", subnetId: ${subnetId}, vpcSecurityGroupIds: [group.id],
        keyName: key.keyName, tags: { "barton:machine": name },
        userData: pulumi.secret("#cloud-config\\nhostname: " + name + ".barton\\nfqdn: " + name + ".barton\\nprefer_fqdn_over_hostname: true\\n"),
        ${instanceArgs}
      });
      new aws.route53.Record(name, { zoneId: zone.zoneId, name: name + ".barton", type: "A", ttl: 1, records: [instance.privateIp] });
      if (name === "one") {
        const asked = new remote.Command("asked", {
          connection: { host: instance.privateIp, user: "admin", privateKey, dialErrorLimit: 60 },
          create: "cloud-init status --wait >/dev/null; hostname; sudo cat /etc/resolv.conf",
          triggers: [instance.id],
        });
        pulumi.output(asked.stdout).apply(() => undefined);
      }
    }
    ${more}
  `;
}

const one = "urn:pulumi:local::barton::aws:ec2/instance:Instance::one";

/** Resources that a preview plans something for, e.g. `+- aws:ec2:Instance one replace`. */
function planned(preview: string): string[] {
  return preview
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^(\+|~|-|\+-) +(aws|command):/.test(line));
}

beforeAll(async () => {
  await cloud.start();
  const env = { BARTON_LAB_ENDPOINT: `unix:${cloud.lab.socket}` };
  project = await newProject(env, insideNetwork(cloud.lab, []));
  const file = join(project.folder, "key");
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", file]);
  key = { file, publicKey: (await readFile(`${file}.pub`, "utf8")).trim() };
});

afterAll(async () => {
  await cloud.remove();
  await project?.remove();
});

async function stateOf(name: string) {
  const { resources } = await project.state();
  return resources.find(({ urn }) => urn === `urn:pulumi:local::barton::${name}`);
}

describe("a program in the lab", { timeout: 120_000 }, () => {
  test("up boots its machines, and a command gets through to one as soon as it can", async () => {
    await project.run(["up", "--yes", "--skip-preview"], program());
    const asked = await stateOf("command:remote:Command::asked");
    expect(asked?.outputs?.stdout).toMatch(/^one\.barton\n.*nameserver 10\.78\.0\.2/s);
    expect(planned(await project.run(["preview", "--expect-no-changes"]))).toEqual([]);
    await project.run(["refresh", "--yes", "--skip-preview", "--expect-no-changes"]);
  });

  test("no secret is in the clear in the state", async () => {
    const { text } = await project.state();
    expect(text).not.toContain("PRIVATE KEY");
    expect(text).not.toContain("prefer_fqdn_over_hostname");
  });

  test("a taint plans exactly the machine, its record and what is triggered by it; up --target does it", async () => {
    const before = await stateOf("aws:ec2/instance:Instance::one");
    await project.run(["state", "taint", one, "--yes"]);
    const preview = planned(await project.run(["preview"]));
    expect(preview.map((line) => line.split(/ +/).slice(0, 3).join(" ")).sort()).toEqual([
      "+- aws:ec2:Instance one",
      "+- command:remote:Command asked",
      "~ aws:route53:Record one",
    ]);
    const record = "urn:pulumi:local::barton::aws:route53/record:Record::one";
    await project.run(["up", "--yes", "--skip-preview", "--target", one, "--target", record]);
    const [after, pointed] = [
      await stateOf("aws:ec2/instance:Instance::one"),
      await stateOf("aws:route53/record:Record::one"),
    ];
    expect(after?.id).not.toBe(before?.id);
    expect(pointed?.outputs?.records).toEqual([after?.outputs?.privateIp]);
    await expect(cloud.read("ec2/instance", String(before?.id))).resolves.toMatchObject({
      state: { instanceState: "terminated" },
    });
    // The command was no target, so it is still due.
    expect(planned(await project.run(["preview"]))).toEqual([
      expect.stringContaining("command:remote:Command asked"),
    ]);
    await project.run(["up", "--yes", "--skip-preview"]);
  });

  test("what the lab does not emulate is refused by name, and nothing is made", async () => {
    const property = await project.fails(
      ["up", "--yes", "--skip-preview"],
      program({ instanceArgs: "hibernation: true" }),
    );
    expect(property).toContain(
      `the lab does not emulate the property "hibernation" of aws:ec2/instance:Instance`,
    );
    const type = await project.fails(
      ["up", "--yes", "--skip-preview"],
      program({ more: `new aws.sqs.Queue("logs");` }),
    );
    expect(type).toContain(`the lab does not emulate the resource type "aws:sqs/queue:Queue"`);
  });

  test("a reference to what does not exist is refused as by AWS", async () => {
    const missing = program({
      more: `new aws.ec2.Instance("three", {
        ami: "ami-00000000000000013", instanceType: "t3.micro", subnetId: "subnet-99999999999999999",
      });`,
    });
    const output = await project.fails(["up", "--yes", "--skip-preview"], missing);
    expect(output).toContain("InvalidSubnetID.NotFound");
    expect(output).toContain("subnet-99999999999999999");
  });

  test("a refresh notices a machine that was terminated behind Pulumi's back, and up makes it again", async () => {
    await project.run(["up", "--yes", "--skip-preview"], program());
    const before = await stateOf("aws:ec2/instance:Instance::two");
    await cloud.delete("ec2/instance", String(before?.id));
    const refresh = await project.run(["refresh", "--yes", "--skip-preview"]);
    expect(refresh).toMatch(/- +aws:ec2:Instance +two +deleted/);
    await project.run(["up", "--yes", "--skip-preview"]);
    const after = await stateOf("aws:ec2/instance:Instance::two");
    expect(after?.id).not.toBe(before?.id);
    await until("the new machine runs", 10_000, async () =>
      (await cloud.view()).machines.some(
        ({ instanceId, state }) => instanceId === after?.id && state === "running",
      ),
    );
  });

  test("destroy leaves nothing behind", async () => {
    await project.run(["destroy", "--yes", "--skip-preview"]);
    expect((await project.state()).resources.filter(({ type }) => type.startsWith("aws:"))).toEqual([]);
    expect((await cloud.view()).machines.filter(({ state }) => state !== "terminated")).toEqual([]);
  });
});
