/** The provider under the real Pulumi engine, over a fake control plane that keeps resources honestly. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FakeControlPlane, startFakeControlPlane } from "./fake-control-plane.ts";
import { newProject, type Project } from "./pulumi.ts";

const userData = Buffer.from("#cloud-config\n# a-very-secret-password\n").toString("base64");

/** Two machines and their records in one subnet; `more` is added to the program. */
function program({ more = "", instanceArgs = "" } = {}): string {
  return `
    import * as aws from "@pulumi/aws";
    import * as pulumi from "@pulumi/pulumi";
    const vpc = new aws.ec2.Vpc("main", { cidrBlock: "10.42.0.0/16", tags: { Name: "main" } });
    const subnet = new aws.ec2.Subnet("a", { vpcId: vpc.id, cidrBlock: "10.42.1.0/24", availabilityZone: "eu-central-1a" });
    const group = new aws.ec2.SecurityGroup("redis", { vpcId: vpc.id });
    const zone = new aws.route53.Zone("zone", { name: "barton", vpcs: [{ vpcId: vpc.id }] });
    for (const name of ["redis1", "redis2"]) {
      const instance = new aws.ec2.Instance(name, {
        ami: "ami-0123456789abcdef0", instanceType: "t3.micro", subnetId: subnet.id, vpcSecurityGroupIds: [group.id],
        userDataBase64: pulumi.secret("${userData}"), tags: { "barton:machine": name }, ${instanceArgs}
      });
      new aws.route53.Record(name, { zoneId: zone.zoneId, name: name + ".barton", type: "A", ttl: 1, records: [instance.privateIp] });
    }
    ${more}
  `;
}

const urn = (type: string, name: string) => `urn:pulumi:local::barton::${type}::${name}`;
const redis1 = urn("aws:ec2/instance:Instance", "redis1");

/** The lines of a preview that plan something, one for each resource, e.g. `+- aws:ec2:Instance redis1 replace`. */
function planned(preview: string): string[] {
  return preview
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => /^(\+|~|-|\+-) +aws:/.test(line));
}

/** Our provider's processes among the children of a pulumi. */
async function pluginsOf(pulumi: number): Promise<number[]> {
  const all = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const named = await Promise.all(
    all.map(async (pid) => ({
      pid: Number(pid),
      parent: /^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""))?.[1],
      command: await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
    })),
  );
  return named
    .filter(({ parent, command }) => Number(parent) === pulumi && command.includes("lab/provider/main.ts"))
    .map(({ pid }) => pid);
}

function isRunning(pid: number | undefined): boolean {
  try {
    process.kill(pid ?? 0, 0);
    return true;
  } catch {
    return false;
  }
}

describe("the provider under the real engine", { timeout: 60_000 }, () => {
  let folder: string;
  let lab: FakeControlPlane;
  let project: Project;
  /** The engine makes machines in parallel, so they are found by their tag. */
  const machine = (name: string) =>
    lab
      .kept("ec2/instance")
      .find(({ state }) => (state.tags as Record<string, string>)["barton:machine"] === name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "barton-fake-"));
    lab = await startFakeControlPlane(folder);
    project = await newProject({ BARTON_LAB_ENDPOINT: lab.endpoint });
  });

  afterAll(async () => {
    await project?.remove();
    await lab?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("up makes what the program says, and a second preview is empty", async () => {
    await project.run(["up", "--yes", "--skip-preview"], program());
    expect(lab.kept("ec2/instance")).toHaveLength(2);
    expect(machine("redis1")?.state).toMatchObject({
      region: "eu-central-1",
      tags: { "barton:machine": "redis1" },
      tagsAll: { "barton:machine": "redis1", project: "barton" },
    });
    expect(lab.kept("ec2/securityGroup")[0]?.state).toMatchObject({
      name: expect.stringMatching(/^redis-[0-9a-f]{7}$/),
      description: "Managed by Pulumi",
    });
    expect(planned(await project.run(["preview", "--expect-no-changes"]))).toEqual([]);
  });

  test("a secret stays secret: in inputs, outputs and everything else of the state", async () => {
    const { text, resources } = await project.state();
    expect(text).not.toContain(userData);
    expect(text).not.toContain("a-very-secret-password");
    const outputs = resources.find(({ urn }) => urn === redis1)?.outputs;
    expect(outputs?.userDataBase64).toHaveProperty("ciphertext");
    expect(outputs?.privateIp).toMatch(/^10\.42\.1\./);
  });

  test("a preview after a taint shows exactly the machine and its record; up --target does it", async () => {
    const before = machine("redis1")?.id;
    await project.run(["state", "taint", redis1, "--yes"]);
    const preview = planned(await project.run(["preview"]));
    expect(preview).toHaveLength(2);
    expect(preview.join("\n")).toMatch(/^\+- +aws:ec2:Instance +redis1 +replace/m);
    expect(preview.join("\n")).toMatch(/^~ +aws:route53:Record +redis1 +update/m);

    lab.calls.length = 0;
    await project.run(["up", "--yes", "--skip-preview", "--target", redis1, "--target-dependents"]);
    const [created, deleted] = ["POST ec2/instance", `DELETE ec2/instance ${before}`].map((call) =>
      lab.calls.indexOf(call),
    ) as [number, number];
    expect(created).toBeGreaterThanOrEqual(0);
    expect(deleted).toBeGreaterThan(created);
    expect(lab.kept("ec2/instance")).toHaveLength(2);
    expect(lab.kept("route53/record").map(({ state }) => state.records)).toContainEqual([
      machine("redis1")?.state.privateIp,
    ]);
    expect(planned(await project.run(["preview", "--expect-no-changes"]))).toEqual([]);
  });

  test("properties that AWS cannot change force a replacement, others are updated in place", async () => {
    const elsewhere = program({ instanceArgs: `keyName: "other"` });
    expect(planned(await project.run(["preview"], elsewhere)).join("\n")).toMatch(
      /\+- +aws:ec2:Instance +redis2 +replace/,
    );
    const larger = program({ instanceArgs: `instanceType: "t3.large"` });
    const updates = planned(await project.run(["preview"], larger.replace(`instanceType: "t3.micro", `, "")));
    expect(updates).toHaveLength(2);
    expect(updates.join("\n")).toMatch(/~ +aws:ec2:Instance +redis1 +update/);
  });

  test("an unknown property, type and function are each refused by name", async () => {
    const property = await project.fails(["preview"], program({ instanceArgs: "hibernation: true" }));
    expect(property).toContain(
      `the lab does not emulate the property "hibernation" of aws:ec2/instance:Instance`,
    );
    expect(property).toContain("lab/schema/instance.ts");
    const type = await project.fails(["preview"], program({ more: `new aws.sqs.Queue("logs");` }));
    expect(type).toContain(`the lab does not emulate the resource type "aws:sqs/queue:Queue"`);
    const call = await project.fails(
      ["preview"],
      program({ more: "await aws.ec2.getAmi({ owners: ['self'] });" }),
    );
    expect(call).toContain(`the lab does not emulate the function "aws:ec2/getAmi:getAmi"`);
  });

  test("wrong values are refused before anything is made; several at once", async () => {
    const wrong = `new aws.ec2.Subnet("b", { vpcId: vpc.id, cidrBlock: "10.42.2.1/24", availabilityZone: "us-east-1a" });`;
    lab.calls.length = 0;
    const output = await project.fails(["up", "--yes", "--skip-preview"], program({ more: wrong }));
    expect(output).toContain(`did you mean "10.42.2.0/24"`);
    expect(output).toContain(`"us-east-1a" is not an availability zone of eu-central-1`);
    expect(lab.calls.filter((call) => call.startsWith("POST"))).toEqual([]);
  });

  test("a reference to what does not exist is refused with AWS's code", async () => {
    const dangling = `new aws.ec2.Subnet("b", { vpcId: "vpc-99999999999999999", cidrBlock: "10.42.2.0/24" });`;
    const output = await project.fails(["up", "--yes", "--skip-preview"], program({ more: dangling }));
    expect(output).toContain("InvalidVpcID.NotFound: The ID 'vpc-99999999999999999' does not exist");
    await project.run(["up", "--yes", "--skip-preview"], program());
  });

  test("an overloaded control plane is asked again, as by the AWS SDK", async () => {
    lab.failNext(503, "RequestLimitExceeded", "Request limit exceeded.");
    await project.run(
      ["up", "--yes", "--skip-preview"],
      program({ more: `new aws.ec2.SecurityGroup("new", { vpcId: vpc.id });` }),
    );
    expect(lab.kept("ec2/securityGroup")).toHaveLength(2);
  });

  test("a refresh notices a terminated instance, and up makes it again", async () => {
    const [victim] = lab.kept("ec2/instance");
    if (victim) victim.state.instanceState = "terminated";
    const refresh = await project.run(["refresh", "--yes", "--skip-preview"], program());
    expect(refresh).toMatch(/- +aws:ec2:Instance +redis\d +deleted/);
    await project.run(["up", "--yes", "--skip-preview"]);
    expect(lab.kept("ec2/instance").filter(({ state }) => state.instanceState === "running")).toHaveLength(2);
  });

  test("a refresh shows drift of tags and security groups, and up repairs it", async () => {
    const running = lab.kept("ec2/instance").filter(({ state }) => state.instanceState === "running");
    const [victim] = running;
    if (!victim) throw new Error("no instance runs");
    victim.state.tagsAll = { project: "barton", "barton:machine": "someone-else" };
    victim.state.vpcSecurityGroupIds = [];
    await project.run(["refresh", "--yes", "--skip-preview"]);
    const preview = planned(await project.run(["preview"]));
    expect(preview).toHaveLength(1);
    expect(preview[0]).toMatch(/~ +aws:ec2:Instance +redis\d +update .*(tags|vpcSecurityGroupIds)/);
    await project.run(["up", "--yes", "--skip-preview"]);
    expect(victim.state.vpcSecurityGroupIds).toHaveLength(1);
    expect(victim.state.tagsAll).toMatchObject({ "barton:machine": expect.stringMatching(/^redis\d$/) });
  });

  test("a changed default tag is an update of what carries it", async () => {
    await project.run(["config", "set", "--path", "aws:defaultTags.tags.project", "barton2"]);
    expect(planned(await project.run(["preview"])).every((line) => line.startsWith("~"))).toBe(true);
    await project.run(["up", "--yes", "--skip-preview"]);
    expect(lab.kept("ec2/vpc")[0]?.state.tagsAll).toEqual({ Name: "main", project: "barton2" });
    await project.run(["preview", "--expect-no-changes"]);
  });

  test("Ctrl-C waits for what the control plane is doing, so that nothing is made that the state does not know", async () => {
    const more = `new aws.ec2.SecurityGroup("late", { vpcId: vpc.id });`;
    const held = lab.holdNext();
    const up = await project.start(["up", "--yes", "--skip-preview"], program({ more }));
    await held.arrived;
    process.kill(up.pid, "SIGINT");
    held.release();
    await up.ended;
    const { resources, text } = await project.state();
    const late = resources.find(({ urn }) => urn.endsWith("::late"));
    expect(lab.kept("ec2/securityGroup").map(({ id }) => id)).toContain(late?.id);
    expect(JSON.parse(text).deployment.pending_operations ?? []).toEqual([]);
    await project.run(["up", "--yes", "--skip-preview"], program());
  });

  test("a pulumi that is killed takes its plugins with it", async () => {
    const held = lab.holdNext();
    const more = `new aws.ec2.SecurityGroup("never", { vpcId: vpc.id });`;
    const up = await project.start(["up", "--yes", "--skip-preview"], program({ more }));
    await held.arrived;
    const plugins = await pluginsOf(up.pid);
    expect(plugins).toHaveLength(1);
    process.kill(up.pid, "SIGKILL");
    await up.ended;
    await expect.poll(() => isRunning(plugins[0]), { timeout: 5000 }).toBe(false);
    held.release();
    await project.run(["cancel", "--yes"]);
    await project.run(["refresh", "--yes", "--skip-preview", "--clear-pending-creates"], program());
  });

  test("destroy removes everything, also what is gone already", async () => {
    await project.run(["destroy", "--yes", "--skip-preview"]);
    for (const type of ["ec2/vpc", "ec2/subnet", "route53/record", "route53/zone"])
      expect(lab.kept(type)).toEqual([]);
  });

  test("without a control plane the error says how to start the lab", async () => {
    const lonely = await newProject({ BARTON_LAB_ENDPOINT: "unix:/nonexistent/control.sock" });
    const output = await lonely.fails(["up", "--yes", "--skip-preview"], program());
    await lonely.remove();
    expect(output).toContain("unix:/nonexistent/control.sock (ENOENT). Start the lab with scripts/lab up");
  });
});
