/** From nothing, or from any state of a lab, to six serving machines. */
import { setTimeout as delay } from "node:timers/promises";
import { checkHost, startControlPlane } from "./control.ts";
import { type Lab, LabError } from "./lab.ts";
import { type LabStatus, labStatus } from "./status.ts";

/** How long the machines may take from the end of Pulumi's work until they serve, in milliseconds. */
const healthyDeadlineMs = 120_000;

export type Progress = (line: string) => void;

/**
 * Brings the lab up; on a lab that is up it changes nothing. Gives its status, healthy unless a fault is in effect.
 * Whatever it is interrupted in, the next `up` continues and `down` removes.
 */
export async function bringUp(lab: Lab, progress: Progress): Promise<LabStatus> {
  await checkHost();
  const started = await startControlPlane(lab, progress);
  progress(started ? "control plane: started" : "control plane: runs already");
  const { configureStack, upStack } = await import("./stack.ts");
  progress("configuring the stack");
  await configureStack(lab);
  progress("pulumi up");
  await upStack(lab, progress);
  return untilHealthy(lab, progress);
}

async function untilHealthy(lab: Lab, progress: Progress): Promise<LabStatus> {
  const deadline = performance.now() + healthyDeadlineMs;
  let said = "";
  for (;;) {
    const status = await labStatus(lab);
    if (status.healthy || status.faults.length > 0) return status;
    if (status.sentence !== said) progress(`waiting: ${status.sentence}`);
    said = status.sentence;
    if (performance.now() > deadline) {
      throw new LabError(
        `Lab ${lab.name} is not healthy ${healthyDeadlineMs / 1000} s after Pulumi's end: ${status.sentence} ` +
          `See scripts/lab status --name ${lab.name}, and scripts/lab exec --name ${lab.name} monit -- journalctl -u barton-monitor.`,
      );
    }
    await delay(500);
  }
}
