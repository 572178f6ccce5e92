/**
 * Breaks a machine in a way that is the same in the lab and on AWS. EC2 cuts the power (a forced stop without the system's
 * shutdown). For everything else, ssh starts a script on the machine. A security group cannot make a machine vanish: it does
 * not cut connections that are established already.
 */
import type { PowerSwitch } from "../cloud/ec2.ts";
import type { Remote } from "../cloud/remote.ts";
import type { MachineName } from "../topology.ts";
import { commandOf, type Fault, faultScript } from "./fault.ts";

export interface InjectOptions {
  remote: Remote;
  power: PowerSwitch;
  /** The machine's address now. */
  addressOf: (machine: MachineName) => Promise<string>;
}

/** Resolves when the fault is in effect (a link goes down a second later). @throws if it could not be injected. */
export async function inject(fault: Fault, { remote, power, addressOf }: InjectOptions): Promise<void> {
  const command = commandOf(fault);
  if (command === undefined) return power.cut(fault.machine);
  await remote.run(await addressOf(fault.machine), command).catch((cause: Error) => {
    throw new Error(
      `${fault.machine} does not let itself be broken: ${cause.message}; a machine that was launched before barton:rehearsal was set learns of it by "barton roll"`,
      { cause },
    );
  });
}

/** Ends the fault if that is possible. @returns one sentence about what happens to the fault. */
export async function heal(fault: Fault, { remote, addressOf }: InjectOptions): Promise<string> {
  switch (fault.kind) {
    case "hang":
      await remote.run(await addressOf(fault.machine), `${faultScript} heal ${fault.unit}`);
      return `${fault.unit} on ${fault.machine} goes on`;
    case "vanish":
      return `${fault.machine} cannot be reached to heal it: recovery replaces it, or its link is back after ${fault.seconds / 60} minutes`;
    default:
      return `recovery heals ${fault.machine}, as it would without a rehearsal`;
  }
}
