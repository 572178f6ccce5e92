/** The status of a lab: machines from the control plane, shards from recovery's view on monit. */
import { z } from "zod";
import { ask } from "./client.ts";
import type { LabView } from "./control-plane/server.ts";
import { findMachine, type MachineView, memberViews } from "./control-plane/view.ts";
import { askMachine } from "./exec.ts";
import type { Lab } from "./lab.ts";
import { machinesOf } from "./machines.ts";

/** How long recovery may take to say how things are, in milliseconds. */
const recoveryDeadlineMs = 10_000;

/** Exactly this is promised: what else recovery says of a shard is in `barton status --json`. */
const shardSchema = z.object({
  index: z.number(),
  port: z.number(),
  master: z.string().nullable(),
  replica: z.string().nullable(),
  replicaLink: z.enum(["up", "down"]),
  proxies: z.record(z.string(), z.string().nullable()),
});
/** What `barton status --json` prints on monit, as far as the lab needs it. */
const recoverySchema = z.looseObject({
  healthy: z.boolean(),
  sentence: z.string().optional(),
  shards: z.array(shardSchema),
});
export type RecoveryView = z.infer<typeof recoverySchema>;

/** What `scripts/lab status --json` prints. */
export type LabStatus = {
  lab: string;
  /** True only in the desired state, with nothing in progress and no fault in effect. */
  healthy: boolean;
  sentence: string;
  machines: { name: string; address: string | null; state: string }[];
  shards: z.infer<typeof shardSchema>[];
  /** Faults in effect, in the words of the command that made them. */
  faults: string[];
  /** Instances that are none of the stack's machines: builders of images, or whatever else was made. */
  otherInstances: { name: string; id: string; address: string | null; state: string }[];
  controlPlane: "up" | "down";
};

/** Puts together what the control plane and recovery say. Pure. */
export function statusOf(
  name: string,
  cloud: { machines: MachineView[]; faults: string[]; controlPlane: "up" | "down" },
  recovery: RecoveryView | string,
): LabStatus {
  const members = memberViews(cloud.machines);
  const problem = whyNotDesired(cloud) ?? (typeof recovery === "string" ? recovery : undefined);
  const view = typeof recovery === "string" ? undefined : recovery;
  return {
    lab: name,
    healthy: problem === undefined && view?.healthy === true,
    sentence:
      problem ??
      view?.sentence ??
      (view?.healthy ? "All is as it should be." : "Recovery says: not healthy."),
    machines: members.map(({ name, address, state }) => ({ name, address, state })),
    shards: view?.shards ?? [],
    faults: cloud.faults,
    otherInstances: cloud.machines
      .filter((each) => !each.isMember)
      .map(({ name, instanceId, address, state }) => ({ name, id: instanceId, address, state })),
    controlPlane: cloud.controlPlane,
  };
}

/** What the cloud alone knows to be amiss, or nothing. */
function whyNotDesired({
  machines,
  faults,
  controlPlane,
}: Parameters<typeof statusOf>[1]): string | undefined {
  if (controlPlane === "down") return "The control plane is down: scripts/lab up starts it.";
  const members = machines.filter((each) => each.isMember);
  if (members.length === 0) return "There are no machines yet: scripts/lab up makes them.";
  const ailing = members.find((each) => each.state !== "running");
  if (ailing) {
    const reason = ailing.stateReason ? ` (${ailing.stateReason})` : "";
    return `${ailing.name}'s instance ${ailing.instanceId} is ${ailing.state}${reason}.`;
  }
  const twice = members.find((each) => members.some((other) => other !== each && other.name === each.name));
  if (twice) return `There are two instances of ${twice.name}: one is being replaced.`;
  if (faults.length > 0) return `Faults are in effect: ${faults.join("; ")}.`;
  return undefined;
}

/** Looks at the lab. Throws when there is no such lab. */
export async function labStatus(lab: Lab): Promise<LabStatus> {
  const recorded = machinesOf(lab);
  const cloud = await ask<LabView>(lab, "GET", "/lab").then(
    ({ machines, faults }) => ({ machines, faults, controlPlane: "up" as const }),
    () => ({ machines: recorded, faults: [], controlPlane: "down" as const }),
  );
  return statusOf(lab.name, cloud, await recoveryView(lab, cloud.machines));
}

/** Recovery's view, or why there is none. */
async function recoveryView(lab: Lab, machines: MachineView[]): Promise<RecoveryView | string> {
  const monit = findMachine(machines, "monit");
  if (monit === undefined) return "There is no monit machine, and so nobody who knows of the shards.";
  if (monit.state !== "running") return `monit is ${monit.state}, and so nobody watches the shards.`;
  try {
    const printed = await askMachine(
      lab,
      monit.instanceId,
      ["barton", "status", "--json"],
      recoveryDeadlineMs,
    );
    if (printed === undefined) return "`barton status --json` on monit fails: is monit still being set up?";
    return recoverySchema.parse(JSON.parse(printed));
  } catch (error) {
    return `What \`barton status --json\` on monit prints cannot be read: ${(error as Error).message}`;
  }
}

/** The status as a table for people. */
export function statusText(status: LabStatus): string {
  const machines = [
    ["MACHINE", "ADDRESS", "STATE"],
    ...status.machines.map(({ name, address, state }) => [name, address ?? "-", state]),
    ...status.otherInstances.map(({ name, address, state }) => [name, address ?? "-", state]),
  ];
  const shards = [
    ["SHARD", "PORT", "MASTER", "REPLICA", "LINK", "HAPROXY1", "HAPROXY2"],
    ...status.shards.map((shard) => [
      ...[
        String(shard.index),
        String(shard.port),
        shard.master ?? "-",
        shard.replica ?? "-",
        shard.replicaLink,
      ],
      ...[shard.proxies.haproxy1 ?? "(holds)", shard.proxies.haproxy2 ?? "(holds)"],
    ]),
  ];
  return [
    `lab ${status.lab}: ${status.healthy ? "healthy" : "NOT healthy"}. ${status.sentence}`,
    "",
    ...columns(machines),
    ...(status.shards.length > 0 ? ["", ...columns(shards)] : []),
    ...(status.faults.length > 0
      ? ["", "faults in effect:", ...status.faults.map((fault) => `  ${fault}`)]
      : []),
  ].join("\n");
}

function columns(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
