import {
  DescribeInstancesCommand,
  EC2Client,
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Ec2Error } from "../../../lab/ec2-api/world.ts";
import { type FakeWorld, fakeWorld, serveWorld } from "./fake-world.ts";

const [redis1, gone, monit, builder] = [1, 2, 3, 4].map((digit) => `i-${String(digit).repeat(17)}`) as [
  string,
  string,
  string,
  string,
];

let world: FakeWorld;
let served: Awaited<ReturnType<typeof serveWorld>>;
let client: EC2Client;

beforeEach(async () => {
  world = fakeWorld();
  served = await serveWorld(world);
  client = new EC2Client({
    region: "eu-central-1",
    endpoint: served.url,
    credentials: { accessKeyId: "a", secretAccessKey: "b" },
    maxAttempts: 1,
  });
});

afterEach(() => {
  client.destroy();
  served.server.close();
});

async function idsWith(filters: { Name: string; Values: string[] }[]): Promise<(string | undefined)[]> {
  const { Reservations = [] } = await client.send(new DescribeInstancesCommand({ Filters: filters }));
  return Reservations.flatMap(({ Instances = [] }) => Instances.map(({ InstanceId }) => InstanceId));
}

describe("DescribeInstances, asked by the real SDK", () => {
  test("shows what recovery reads", async () => {
    const { Reservations } = await client.send(new DescribeInstancesCommand({ InstanceIds: [redis1] }));
    const instance = Reservations?.[0]?.Instances?.[0];
    expect(instance).toMatchObject({
      InstanceId: redis1,
      ImageId: "ami-0123456789abcdef0",
      State: { Code: 16, Name: "running" },
      LaunchTime: new Date("2026-01-01T12:00:00.000Z"),
      PrivateIpAddress: "10.42.1.1",
      Placement: { AvailabilityZone: "eu-central-1a" },
      SecurityGroups: [{ GroupId: "sg-0123456789abcdef0", GroupName: "redis" }],
    });
    expect(instance?.Tags).toContainEqual({ Key: "barton:machine", Value: "redis1" });
    expect(instance?.Tags).toContainEqual({ Key: "odd", Value: `<&"'>` });
  });

  test("keeps terminated instances visible, without an address", async () => {
    const { Reservations } = await client.send(new DescribeInstancesCommand({ InstanceIds: [gone] }));
    expect(Reservations?.[0]?.Instances?.[0]).toMatchObject({ State: { Code: 48, Name: "terminated" } });
    expect(Reservations?.[0]?.Instances?.[0]?.PrivateIpAddress).toBeUndefined();
  });

  test("filters by tag and state: all filters must hold, any of a filter's values will do", async () => {
    const byMachine = { Name: "tag:barton:machine", Values: ["redis1"] };
    expect(await idsWith([byMachine])).toEqual([redis1, gone]);
    const alive = { Name: "instance-state-name", Values: ["pending", "running"] };
    expect(await idsWith([byMachine, alive])).toEqual([redis1]);
    expect(await idsWith([{ Name: "instance-id", Values: [monit, builder] }])).toEqual([monit, builder]);
    expect(await idsWith([{ Name: "tag:Name", Values: ["*.barton"] }])).toHaveLength(4);
    expect(await idsWith([{ Name: "tag:barton:machine", Values: ["redis"] }])).toEqual([]);
  });

  test("refuses a filter that it does not know, instead of finding too much", async () => {
    const error = await idsWith([{ Name: "architecture", Values: ["x86_64"] }]).catch(
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ name: "InvalidParameterValue" });
    expect(String(error)).toContain("architecture");
  });

  test("says that an instance does not exist as AWS does", async () => {
    const unknown = `i-${"9".repeat(17)}`;
    const asked = client.send(new DescribeInstancesCommand({ InstanceIds: [unknown] }));
    await expect(asked).rejects.toMatchObject({
      name: "InvalidInstanceID.NotFound",
      message: `The instance ID '${unknown}' does not exist`,
    });
    const malformed = client.send(new DescribeInstancesCommand({ InstanceIds: ["redis1"] }));
    await expect(malformed).rejects.toMatchObject({ name: "InvalidInstanceID.Malformed" });
  });
});

describe("verbs", () => {
  test("TerminateInstances requests it and tells both states; a second time is accepted", async () => {
    const terminate = new TerminateInstancesCommand({ InstanceIds: [redis1, gone] });
    const { TerminatingInstances } = await client.send(terminate);
    expect(TerminatingInstances).toMatchObject([
      { InstanceId: redis1, PreviousState: { Name: "running" }, CurrentState: { Name: "shutting-down" } },
      { InstanceId: gone, PreviousState: { Name: "terminated" }, CurrentState: { Name: "terminated" } },
    ]);
    expect(world.calls).toEqual([`terminate ${redis1}`]);
  });

  test("does nothing at all when one of the named instances does not exist", async () => {
    const terminate = new TerminateInstancesCommand({ InstanceIds: [redis1, `i-${"9".repeat(17)}`] });
    await expect(client.send(terminate)).rejects.toMatchObject({ name: "InvalidInstanceID.NotFound" });
    expect(world.calls).toEqual([]);
  });

  test("StopInstances passes on force; StartInstances starts what is stopped", async () => {
    await client.send(new StopInstancesCommand({ InstanceIds: [redis1], Force: true }));
    await client.send(new StartInstancesCommand({ InstanceIds: [builder, monit] }));
    expect(world.calls).toEqual([`stop ${redis1} forced`, `start ${builder}`]);
    const stop = client.send(new StopInstancesCommand({ InstanceIds: [gone] }));
    await expect(stop).rejects.toMatchObject({ name: "IncorrectInstanceState" });
  });

  test("an action that is not emulated is refused by name", async () => {
    const reboot = client.send(new RebootInstancesCommand({ InstanceIds: [redis1] }));
    await expect(reboot).rejects.toMatchObject({
      name: "InvalidAction",
      message: expect.stringContaining("RebootInstances"),
    });
  });

  test("an error of the world reaches the caller with its code", async () => {
    vi.spyOn(world, "terminate").mockImplementation(() => {
      throw new Ec2Error("RequestLimitExceeded", "Request limit exceeded.", 503);
    });
    const terminate = client.send(new TerminateInstancesCommand({ InstanceIds: [redis1] }));
    await expect(terminate).rejects.toMatchObject({ name: "RequestLimitExceeded" });
  });
});

test("the SDK finds credentials through the metadata service, as on an instance with a profile", async () => {
  vi.stubEnv("AWS_EC2_METADATA_SERVICE_ENDPOINT", served.url);
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"])
    vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
  vi.stubEnv("AWS_CONFIG_FILE", "/nonexistent");
  const machine = new EC2Client({ region: "eu-central-1", endpoint: served.url });
  await machine.send(new DescribeInstancesCommand({}));
  expect(served.seen.at(-1)).toContain("Credential=ASIALAB/");
  machine.destroy();
  vi.unstubAllEnvs();
});
