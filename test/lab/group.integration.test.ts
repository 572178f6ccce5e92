/** An auto scaling group of one with real machines, which fetch an object from the lab's S3 by themselves. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tar } from "../../infra/tar.ts";
import { roleFile } from "../../infra/template.ts";
import { cloudConfigText } from "../../infra/user-data.ts";
import { baseAmi } from "../../lab/image/base.ts";
import { root } from "../infra/settings.ts";
import { CloudLab, until } from "./cloud-lab.ts";

const lab = new CloudLab();
const installer = '#!/bin/sh\necho "$1" >/root/installed\nln -sfn "programs/$1" /opt/barton/program\n';
const bundle = tar([
  { path: "infra/roles/monit/install-program", content: Buffer.from(installer), executable: true },
]);
const sha256 = createHash("sha256").update(bundle).digest("hex");

/** The script that a new monit fetches its program with, run by cloud-init. */
function userData(bucket: string): string {
  const script = roleFile(join(root, "infra/roles/monit"), "fetch-program");
  return cloudConfigText({
    apt: { preserve_sources_list: true, conf: 'APT::Install-Recommends "0";\n' },
    package_update: true,
    packages: ["curl", "jq"],
    write_files: [
      { path: "/usr/local/bin/fetch-program", content: script, permissions: "0755" },
      {
        path: "/etc/barton/monitor.env",
        content: 'AWS_REGION="eu-central-1"\nAWS_ENDPOINT_URL_S3="http://169.254.169.254"\n',
        permissions: "0600",
      },
    ],
    runcmd: [`fetch-program ${bucket} program/a.tar ${sha256} a`],
  });
}

const monit = async () => {
  const { machines } = await lab.view();
  const running = machines.filter(({ name, state }) => name === "monit" && state === "running");
  return running.length === 1 ? running[0] : undefined;
};
const instanceNow = async () => (await monit())?.instanceId ?? "";

/** Another instance than `former` has come up by itself, and has fetched what it needs. */
async function successorOf(former: string): Promise<string> {
  const present = await until("another instance", 30_000, async () => {
    const id = await instanceNow();
    return id !== former && id;
  });
  await until("its object", 60_000, async () => {
    const { out } = await lab.runIfUp("monit", "cat", "/root/installed");
    return out.trim() === "a";
  });
  return present;
}

beforeAll(async () => {
  await lab.start();
  await lab.network();
  const { id: bucket } = await lab.create("s3/bucket", { bucket: "programs" });
  await lab.create("s3/bucketObjectv2", {
    bucket,
    key: "program/a.tar",
    source: { base64: bundle.toString("base64") },
  });
  const policy = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: ["s3:GetObject"], Resource: `arn:aws:s3:::${bucket}/program/*` }],
  };
  await lab.create("iam/rolePolicy", { name: "fetch", role: "monit", policy: JSON.stringify(policy) });
  const { id } = await lab.create("ec2/launchTemplate", {
    name: "monit",
    imageId: baseAmi,
    instanceType: "t3.micro",
    iamInstanceProfile: { name: lab.ids.profile },
    networkInterfaces: [{ securityGroups: [lab.ids.group] }],
    userData: Buffer.from(userData(bucket)).toString("base64"),
    tagSpecifications: [{ resourceType: "instance", tags: { "barton:machine": "monit" } }],
  });
  await lab.create("autoscaling/group", {
    name: "monit",
    minSize: 1,
    maxSize: 1,
    vpcZoneIdentifiers: [lab.ids.b, lab.ids.a],
    launchTemplate: { id, version: "$Latest" },
  });
});
afterAll(() => lab.remove());

test("the group's machine is there when it is made, and fetches with its role's credentials", async () => {
  expect(await instanceNow()).toMatch(/^i-/);
  await successorOf("");
});

test.each(["poweroff", "vanish"])("after a %s another one comes up, and the old one ends", async (fault) => {
  const former = await instanceNow();
  await lab.fault(fault, "monit");
  await successorOf(former);
  const { machines, faults } = await lab.view();
  expect(machines.map(({ instanceId }) => instanceId)).not.toContain(former);
  expect(faults).toEqual([]);
});

test("a control plane that was gone meanwhile finds the loss when it is back", async () => {
  const former = await instanceNow();
  const { pid } = await lab.view();
  process.kill(pid, "SIGKILL");
  await lab.run("monit", "systemctl", "poweroff");
  await lab.start();
  await successorOf(former);
});

test("it ends with its machine", async () => {
  await lab.delete("autoscaling/group", "monit");
  expect((await lab.view()).machines).toEqual([]);
});
