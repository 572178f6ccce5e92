/** EBS volumes with real machines: seen as on a Nitro instance, kept when the machine goes, never in two machines at once. */
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CloudLab, type Made, until } from "./cloud-lab.ts";

const cloud = new CloudLab();
let volume: Made;
let one: Made;
const byId = () => `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${volume.id.replace("-", "")}`;
const attach = (instance: Made, deviceName = "/dev/sdf") =>
  cloud.create("ec2/volumeAttachment", {
    deviceName,
    instanceId: instance.id,
    volumeId: volume.id,
    forceDetach: true,
  });
/** Loop devices of the host whose file is this lab's. */
const loops = async () =>
  (await execa("losetup", ["--noheadings", "--list", "--output", "BACK-FILE"])).stdout
    .split("\n")
    .filter((line) => line.includes(`/labs/${cloud.lab.name}/volumes/`));
const mount = (machine: string) =>
  cloud.ask(machine, "sh", "-c", `mkdir -p /data && mount ${byId()} /data && cat /data/written`);

beforeAll(async () => {
  await cloud.start();
  await cloud.network();
  volume = await cloud.create("ebs/volume", { availabilityZone: "eu-central-1a", size: 1, encrypted: true });
  one = await cloud.machine("one");
  await cloud.booted("one");
});

afterAll(async () => {
  await cloud.remove();
});

describe("a volume", () => {
  let attachment: Made;

  test("appears in a running machine, empty, and can be given a file system", async () => {
    attachment = await attach(one);
    expect((await cloud.run("one", "blkid", "-p", byId())).status).toBe(2);
    await cloud.ask("one", "mkfs.ext4", "-q", "-m", "0", byId());
    await cloud.ask("one", "sh", "-c", `mkdir /data && mount ${byId()} /data && echo first >/data/written`);
    expect(await cloud.ask("one", "df", "--output=target", byId())).toContain("/data");
  });

  test("is full as long as the fault lasts, and as it was afterwards", async () => {
    const write = () =>
      cloud.run("one", "sh", "-c", "dd if=/dev/zero of=/data/more bs=64k count=1 && sync /data/more");
    await cloud.fault("disk-full", "one");
    const { out, status } = await write();
    expect(status, out).not.toBe(0);
    expect(out).toContain("No space left on device");
    await cloud.heal("one");
    expect((await write()).status).toBe(0);
    expect(await cloud.ask("one", "ls", "-A", "/data")).not.toContain("lab-disk-full");
    await cloud.fault("disk-full", "one"); // ends with the loss of power that follows
  });

  test("is there again after a loss of power", async () => {
    await cloud.fault("poweroff", "one");
    expect(await loops()).toEqual([]);
    await cloud.fault("poweron", "one");
    await cloud.booted("one");
    expect(await mount("one")).toBe("first");
    await cloud.ask("one", "sh", "-c", "echo more >/data/more && sync /data/more");
  });

  test("grows under a machine that uses it, and cannot shrink", async () => {
    await cloud.update("ebs/volume", volume.id, {
      availabilityZone: "eu-central-1a",
      size: 2,
      encrypted: true,
    });
    expect(await cloud.ask("one", "blockdev", "--getsize64", byId())).toBe(String(2 * 1024 ** 3));
    expect(await cloud.ask("one", "cat", "/data/written")).toBe("first");
    await expect(
      cloud.update("ebs/volume", volume.id, { availabilityZone: "eu-central-1a", size: 1, encrypted: true }),
    ).rejects.toThrow(/cannot be smaller than existing size/);
  });

  test("belongs to one machine of its own zone, and is not deleted while it does", async () => {
    const other = await cloud.machine("other", { subnet: "b" });
    await expect(attach(other)).rejects.toThrow(/already attached to an instance/);
    await expect(cloud.delete("ebs/volume", volume.id)).rejects.toThrow(/currently attached/);
    await cloud.delete("ec2/volumeAttachment", attachment.id);
    await expect(attach(other)).rejects.toThrow(/not in the same availability zone/);
    await cloud.delete("ec2/instance", other.id);
  });

  test("taken away by force, it is gone from the machine, with whoever used it", async () => {
    attachment = await attach(one);
    await mount("one");
    await cloud.ask(
      "one",
      "systemd-run",
      "--quiet",
      "--unit=user",
      "sh",
      "-c",
      "exec 3>/data/open; sleep 1000",
    );
    await until(
      "the file opened",
      10_000,
      async () => (await cloud.run("one", "test", "-e", "/data/open")).status === 0,
    );
    await cloud.delete("ec2/volumeAttachment", attachment.id);
    expect(await loops()).toEqual([]);
    expect((await cloud.run("one", "test", "-e", byId())).status).toBe(1);
    expect((await cloud.run("one", "test", "-e", "/data/written")).status).toBe(1);
  });

  test("outlives its machine: detached by its end, attached to the next one, with its data", async () => {
    await attach(one);
    await cloud.delete("ec2/instance", one.id);
    const two = await cloud.machine("two");
    attachment = await attach(two);
    expect(await mount("two")).toBe("first");
  });

  test("survives a killed control plane, and the lab's end takes its device away", async () => {
    expect(await loops()).toHaveLength(1);
    process.kill((await cloud.view()).pid, "SIGKILL");
    await cloud.remove();
    expect(await loops()).toEqual([]);
  });
});
