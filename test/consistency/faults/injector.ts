/** Carries faults out in a lab, and undoes what lasts. */
import { setTimeout as delay } from "node:timers/promises";
import { ask, ControlPlaneError } from "../../../lab/client.ts";
import type { FaultRequest } from "../../../lab/control-plane/fault-request.ts";
import { askMachine } from "../../../lab/exec.ts";
import type { Lab } from "../../../lab/lab.ts";
import type { LabOperator } from "../../../lab/operate.ts";
import { counterpartOf, type RedisMachine } from "../../../recovery/topology.ts";
import { now } from "../history.ts";
import type { Injury } from "./catalogue.ts";

/** The lab cannot make this fault here; nothing was done. */
export class NotPossible extends Error {
  override name = "NotPossible";
}

export interface Injected {
  /** Resolves with the moment when what lasts was undone; undefined when nothing had to be. */
  healed: Promise<number | undefined>;
}

/**
 * Injects; resolves as soon as it is done. What lasts is healed in time, or at once when `signal` aborts. `onEffect` is
 * called as soon as a part may have taken effect: also when that part, or a later one, then fails.
 */
export async function inject(
  lab: Lab,
  injury: Injury,
  signal: AbortSignal,
  onEffect: () => void,
): Promise<Injected> {
  for (const [i, request] of injury.requests.entries()) {
    const failure = await failureOf(askFor(lab, request));
    if (i === 0 && failure instanceof ControlPlaneError && failure.code === "NoDisk")
      throw new NotPossible(`${injury.title}: ${failure.message}`);
    if (i === 0) onEffect();
    if (failure) throw failure;
  }
  const work = [killMonitor(lab, injury, signal), healLater(lab, injury, signal)] as const;
  const healed = Promise.all(work).then(([, moment]) => moment);
  healed.catch(() => {}); // whoever waits for it sees it
  return { healed };
}

const failureOf = (work: Promise<unknown>): Promise<Error | undefined> =>
  work.then(
    () => undefined,
    (error: Error) => error,
  );

const askFor = (lab: Lab, request: FaultRequest) =>
  ask<{ done: string }>(lab, "POST", "/lab/faults", request);

async function killMonitor(lab: Lab, { killMonitorAfterMs }: Injury, signal: AbortSignal): Promise<void> {
  if (killMonitorAfterMs === undefined) return;
  await delay(killMonitorAfterMs, undefined, { signal }).catch(() => {});
  if (signal.aborted) return;
  await askMachine(lab, "monit", ["systemctl", "kill", "--signal=KILL", "barton-monitor"], 10_000);
}

async function healLater(lab: Lab, { lastsMs }: Injury, signal: AbortSignal): Promise<number | undefined> {
  if (lastsMs === undefined) return undefined;
  await delay(lastsMs, undefined, { signal }).catch(() => {});
  return healAll(lab);
}

/** Undoes every fault in effect, except that a machine which vanished is recovery's to replace. Gives the moment. */
async function healAll(lab: Lab): Promise<number> {
  const { faults } = await ask<{ faults: string[] }>(lab, "GET", "/lab");
  for (const fault of faults) {
    const [kind, ...words] = fault.split(" ");
    if (kind === "vanish") continue;
    const machine = words.find((word) => !word.startsWith("--"));
    const target = kind === "api" || kind === "dns" || kind === "stale-lock" ? kind : machine;
    // A machine that is gone has taken its fault with it.
    await ask(lab, "POST", "/lab/heal", { target }).catch(() => {});
  }
  return now();
}

/** Moves every master to a machine, as a person does: by a planned switch on monit, which may be refused. */
export async function moveMasters(operator: Pick<LabOperator, "exec">, to: RedisMachine): Promise<void> {
  await operator
    .exec("monit", "barton", "switchover", counterpartOf(to))
    .catch((error: Error & { stderr?: string }) => {
      throw new NotPossible(
        `${to} has no master, and none can be moved there: ${error.stderr || error.message}`,
      );
    });
}

/** Undoes everything, vanished machines too: for the end of a run that did not come to its end. */
export async function healEverything(lab: Lab): Promise<string[]> {
  const { healed } = await ask<{ healed: string[] }>(lab, "POST", "/lab/heal", {});
  return healed;
}
