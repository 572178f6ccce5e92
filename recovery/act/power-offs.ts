/**
 * Intent before act: that a power-off has begun is on disk before EC2 is asked. A monitor that dies in between leaves its
 * successor in doubt, which does not use the machine meanwhile and asks EC2 again. Without that, the successor could make a
 * master of a machine that is about to be switched off.
 */
import type { Remembered } from "../decide/memory/events.ts";
import { describeStep, type Step } from "../decide/steps.ts";
import type { MachineName } from "../topology.ts";

type PowerOffStep = Extract<Step, { do: "power off" }>;

export interface PowerOffsOptions {
  remember: (event: Remembered) => void;
  /** Is what recovery remembers on disk? */
  kept: () => Promise<boolean>;
}

export class PowerOffs {
  readonly #options: PowerOffsOptions;
  readonly #underWay = new Map<MachineName, Promise<void>>();

  constructor(options: PowerOffsOptions) {
    this.#options = options;
  }

  /**
   * Runs `act`, which asks EC2, after the intent is on disk. Of two plans that need the same power-off (a replacement, and a
   * fence that needs the proof) the second waits for the first one's answer.
   *
   * @throws when the intent cannot be written, or `act` fails: then EC2 has not accepted it, and nothing has begun.
   */
  run(step: PowerOffStep, act: () => Promise<void>): Promise<void> {
    const present = this.#underWay.get(step.machine);
    if (present) return present;
    const begun = this.#run(step, act).finally(() => this.#underWay.delete(step.machine));
    this.#underWay.set(step.machine, begun);
    return begun;
  }

  async #run(step: PowerOffStep, act: () => Promise<void>): Promise<void> {
    const { remember, kept } = this.#options;
    const { machine } = step;
    remember({ event: "power-off begun", machine });
    try {
      if (!(await kept())) {
        throw new Error(`not begun: recovery cannot keep on disk this step: ${describeStep(step)}`);
      }
      await act();
    } catch (error) {
      remember({ event: "power-off failed", machine });
      throw error;
    }
  }
}
