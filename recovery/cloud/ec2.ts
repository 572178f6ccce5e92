/** The EC2 API as recovery's cloud: DescribeInstances by tags, and TerminateInstances. */
import {
  DescribeInstancesCommand,
  EC2Client,
  type Instance as Ec2Instance,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { systemClock, within } from "../clock.ts";
import type { CloudState } from "../observe/facts.ts";
import { type MachineName, machineNames } from "../topology.ts";
import type { Cloud, Instance } from "./cloud.ts";

/** Limit of one call with its retries, in milliseconds. The promotion path waits for no call (rule 9). */
const callTimeoutMs = 5_000;
/** Nor may all pages together. */
const describeTimeoutMs = 20_000;

/**
 * The SDK's own signal ends the request only: while it asks for credentials, it does not look at it.
 *
 * @throws when there is no end in time.
 */
async function inTime<T>(call: string, work: Promise<T>, ms = callTimeoutMs): Promise<T> {
  const result = await within(systemClock, ms, work, late);
  if (result === late) throw new Error(`EC2 does not answer ${call}: no end within ${ms} ms`);
  return result as T;
}

const late = Symbol("late");

/**
 * @param stack value of the tag `barton:stack` of this installation's instances.
 * @param endpoint only for a region's or the lab's own endpoint; the SDK reads AWS_ENDPOINT_URL_EC2 itself.
 */
export function ec2Cloud(stack: string, env: NodeJS.ProcessEnv = process.env): Cloud {
  const client = new EC2Client({ region: env.AWS_REGION ?? env.AWS_DEFAULT_REGION, maxAttempts: 2 });
  return {
    describe: () => inTime("DescribeInstances", allPages(client, stack), describeTimeoutMs),
    async powerOff(instanceId) {
      const request = new TerminateInstancesCommand({ InstanceIds: [instanceId] });
      await inTime("TerminateInstances", client.send(request, limit())).catch((error: Error) =>
        refused("TerminateInstances", instanceId, error),
      );
    },
  };
}

const limit = () => ({ abortSignal: AbortSignal.timeout(callTimeoutMs) });

async function allPages(client: EC2Client, stack: string): Promise<Instance[]> {
  const instances: Instance[] = [];
  let NextToken: string | undefined;
  do {
    const filters = [{ Name: "tag:barton:stack", Values: [stack] }];
    const request = new DescribeInstancesCommand({ Filters: filters, NextToken });
    const page = await inTime("DescribeInstances", client.send(request, limit()));
    for (const { Instances = [] } of page.Reservations ?? []) instances.push(...Instances.flatMap(ours));
    NextToken = page.NextToken;
  } while (NextToken);
  return instances;
}

/** Cuts the power of a machine. Only rehearsals use it. */
export interface PowerSwitch {
  /** Resolves when the request was accepted. @throws when no instance of the machine runs. */
  cut(machine: MachineName): Promise<void>;
}

/** A power failure: a forced stop without a shutdown of the operating system. Recovery terminates the instance afterwards. */
export function ec2PowerSwitch(stack: string, env: NodeJS.ProcessEnv = process.env): PowerSwitch {
  const client = new EC2Client({ region: env.AWS_REGION ?? env.AWS_DEFAULT_REGION, maxAttempts: 2 });
  return {
    async cut(machine) {
      const all = await ec2Cloud(stack, env).describe();
      const running = all.filter((one) => one.machine === machine && one.state === "running");
      const newest = running.sort((a, b) => b.launchedAt.localeCompare(a.launchedAt))[0];
      if (!newest) throw new Error(`the cloud shows no running instance of ${machine}`);
      const request = { InstanceIds: [newest.instanceId], Force: true, SkipOsShutdown: true };
      await inTime("StopInstances", client.send(new StopInstancesCommand(request), limit()));
    },
  };
}

/** The instance as one of barton's machines, or nothing. Image builders carry no machine tag. */
function ours(instance: Ec2Instance): Instance[] {
  const machine = instance.Tags?.find(({ Key }) => Key === "barton:machine")?.Value as
    | MachineName
    | undefined;
  if (!machine || !machineNames.includes(machine) || !instance.InstanceId) return [];
  return [
    {
      machine,
      instanceId: instance.InstanceId,
      state: (instance.State?.Name ?? "pending") as CloudState,
      address: instance.PrivateIpAddress,
      launchedAt: (instance.LaunchTime ?? new Date(0)).toISOString(),
    },
  ];
}

/** Throws what EC2 refused, except for an instance that EC2 does not know any more: that one is off. */
function refused(call: string, instanceId: string, error: Error): void {
  if (error.name === "InvalidInstanceID.NotFound") return;
  throw new Error(`EC2 did not take ${call} of ${instanceId}: ${error.name}: ${error.message}`, {
    cause: error,
  });
}
