/** The lab's status, as `scripts/lab status` has it, but cheap enough to ask several times a second. */
import { ask } from "../../../lab/client.ts";
import type { LabView } from "../../../lab/control-plane/server.ts";
import type { Lab } from "../../../lab/lab.ts";
import { type LabStatus, type RecoveryView, statusOf } from "../../../lab/status.ts";
import { getView } from "../../../recovery/control/client.ts";
import { usedProxies } from "./haproxy-tables.ts";
import { adminSocket, askHaproxy, pathInside } from "./sockets.ts";

const viewMsMax = 2000;

/** Machines from the control plane, shards from the running monitor. */
export async function quickStatus(lab: Lab): Promise<LabStatus> {
  const { machines, faults } = await ask<LabView>(lab, "GET", "/lab");
  return statusOf(lab.name, { machines, faults, controlPlane: "up" }, await monitorsView(lab));
}

async function monitorsView(lab: Lab): Promise<RecoveryView | string> {
  const socket = pathInside(lab, "monit", "/run/barton/monitor.sock");
  if (socket === undefined) return "monit is not on.";
  try {
    return await getView<RecoveryView>(socket, "status", viewMsMax);
  } catch (error) {
    return `The monitor gives no status: ${(error as Error).message}.`;
  }
}

/** The proxy that app's clients of the first shard go through. */
export async function activeProxy(lab: Lab): Promise<string> {
  const path = pathInside(lab, "app", adminSocket);
  const table = path && (await askHaproxy(path, "show stat", viewMsMax));
  const [proxy] = Object.values(usedProxies(table ?? ""))[0] ?? [];
  if (proxy === undefined) throw new Error("app's haproxy has no usable proxy");
  return proxy;
}
