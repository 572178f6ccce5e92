/** `scripts/lab up`: brings a lab from nothing, or from any state, to six machines that serve. */
import { setTimeout as delay } from "node:timers/promises";
import { checkHost, startControlPlane } from "./control.ts";
import { type Lab, LabError } from "./lab.ts";
import { type LabStatus, labStatus } from "./status.ts";

/** How long the machines may take from the end of Pulumi's work until they serve, in milliseconds. */
const healthyDeadlineMs = 120_000;

export type Progress = (line: string) => void;

/**
 * Brings the lab up; on a lab that is up it changes nothing. Gives its status, healthy unless a fault is in effect.
 * Whatever it is interrupted in, the next `up` continues and `down` removes. `engine` (`barton:engine`) is for a new lab only.
 */
export async function bringUp(
  lab: Lab,
  progress: Progress,
  interrupted: AbortSignal,
  engine?: string,
): Promise<LabStatus> {
  const goOn = () => {
    if (interrupted.aborted) {
      throw new LabError(
        `Interrupted. \`scripts/lab up --name ${lab.name}\` goes on from here, \`scripts/lab down --name ${lab.name}\` removes what there is.`,
      );
    }
  };
  await checkHost();
  const started = await startControlPlane(lab, progress);
  progress(started ? "control plane: started" : "control plane: runs already");
  goOn();
  const { configureStack, upStack } = await import("./stack.ts");
  progress("configuring the stack");
  await configureStack(lab, engine);
  goOn();
  progress("pulumi up");
  await upStack(lab, progress);
  return untilHealthy(lab, progress, goOn);
}

async function untilHealthy(lab: Lab, progress: Progress, goOn: () => void): Promise<LabStatus> {
  const deadline = performance.now() + healthyDeadlineMs;
  let said = "";
  for (;;) {
    goOn();
    const status = await labStatus(lab);
    if (status.healthy || status.faults.length > 0) return status;
    if (status.sentence !== said) progress(`waiting: ${status.sentence}`);
    said = status.sentence;
    if (performance.now() > deadline) {
      throw new LabError(
        `Lab ${lab.name} is not healthy ${healthyDeadlineMs / 1000} s after Pulumi's end: ${status.sentence.replace(/\.$/, "")}. ` +
          `See scripts/lab status --name ${lab.name}, and scripts/lab exec --name ${lab.name} monit -- journalctl -u barton-monitor.`,
      );
    }
    await delay(500);
  }
}
