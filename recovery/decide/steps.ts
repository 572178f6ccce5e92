/** The vocabulary of acting: every step that `decide` may ask for, as plain data. */
import type { MachineName, ProxyMachine, RedisMachine } from "../topology.ts";

/** One correction of one server line of one proxy. */
export interface ServerChange {
  shard: number;
  line: "traffic" | "probe";
  machine: RedisMachine;
  address?: { address: string; port: number };
  ready?: boolean;
  /** Cut the open sessions to the present address before the line gets the other one. */
  cut?: boolean;
}

export type Step =
  /** No new sessions with `machine`, and a moment for those that end by themselves. */
  | { do: "drain"; shard: number; machine: RedisMachine; proxies: ProxyMachine[] }
  /** Rule 2: no client's write can reach `machine` any more; `proven` says why some proxies need no command. */
  | { do: "fence"; shard: number; machine: RedisMachine; proxies: ProxyMachine[]; proven: string[] }
  /** No client's write is executed by `machine` any more, for some seconds: see act/paused-writes.ts. */
  | { do: "pause writes"; shard: number; machine: RedisMachine }
  /** The end of the pause. It ends by itself too: a monitor may die before this step. */
  | { do: "resume writes"; shard: number; machine: RedisMachine }
  /** Wait until `to` has received everything that the fenced `from` has written. */
  | { do: "catch up"; shard: number; from: RedisMachine; to: RedisMachine }
  | { do: "promote"; shard: number; machine: RedisMachine; epoch: number }
  /** Let the waiting traffic go to `machine`. */
  | { do: "release"; shard: number; machine: RedisMachine; proxies: ProxyMachine[] }
  /** Cut what is left of the sessions with the old master, a little after the release. */
  | { do: "cut"; shard: number; machine: RedisMachine; proxies: ProxyMachine[] }
  | { do: "follow"; shard: number; machine: RedisMachine; master: RedisMachine }
  | { do: "write epoch"; shard: number; machine: RedisMachine; epoch: number }
  /** A client's script keeps the server busy: it is killed, or its process is ended. */
  | { do: "end script"; shard: number; machine: RedisMachine }
  /** The server ends its sessions with a proxy that is gone. */
  | { do: "end sessions"; shard: number; machine: RedisMachine; proxy: ProxyMachine }
  | { do: "set servers"; proxy: ProxyMachine; changes: ServerChange[] }
  /** Restore what only haproxy.cfg sets: frontends listen, and traffic waits at `hold` (shard indices). */
  | { do: "reopen"; proxy: ProxyMachine; frontends: string[]; holds: number[] }
  /** A new process opens the frontends that were shut down for good. */
  | { do: "reload proxy"; proxy: ProxyMachine }
  | { do: "copy configuration"; proxy: ProxyMachine; from: ProxyMachine }
  | { do: "register proxy"; proxy: ProxyMachine }
  /** No new connections from app, and a moment for those that are under way. */
  | { do: "drain proxy"; proxy: ProxyMachine }
  | { do: "unregister proxy"; proxy: ProxyMachine }
  | { do: "stop monitoring"; machine: MachineName; instanceId?: string; because: string }
  /** A condemned machine is used again, because no other machine can serve. */
  | { do: "take back"; machine: MachineName; because: string }
  /** The program on monit must be the one that the last `up` ran. */
  | { do: "check program"; machines: MachineName[] }
  | { do: "taint" | "untaint"; machines: MachineName[] }
  | { do: "power off"; machine: MachineName; instanceId?: string }
  | { do: "launch"; machines: MachineName[] }
  /** The record of monit names the instance that its group has launched. */
  | { do: "update record"; machine: "monit"; instanceId?: string };

/** The step as a phrase for people, for `barton plan` and the records of incidents. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case "drain":
      return `drain ${step.machine}'s server of shard ${step.shard}`;
    case "fence":
      return `fence ${step.machine}'s server of shard ${step.shard}`;
    case "pause writes":
    case "resume writes":
      return `${step.do} of ${step.machine}'s server of shard ${step.shard}`;
    case "catch up":
      return `wait until ${step.to} has everything of shard ${step.shard}`;
    case "promote":
      return `make ${step.machine} master of shard ${step.shard} (epoch ${step.epoch})`;
    case "release":
      return `send the traffic of shard ${step.shard} to ${step.machine}`;
    case "cut":
      return `cut old sessions of shard ${step.shard} with ${step.machine}`;
    case "follow":
      return `make ${step.machine} replica of ${step.master} for shard ${step.shard}`;
    case "write epoch":
      return `write epoch ${step.epoch} into shard ${step.shard}`;
    case "end script":
      return `end the script that keeps ${step.machine}'s server of shard ${step.shard} busy`;
    case "end sessions":
      return `end ${step.machine}'s sessions of shard ${step.shard} with ${step.proxy}`;
    case "set servers":
      return `set servers of ${step.proxy}: ${step.changes.map(describeChange).join(", ")}`;
    case "reopen":
      return `reopen ${[...step.frontends.map(frontendName), ...step.holds.map(holdName)].join(", ")} of ${step.proxy}`;
    case "reload proxy":
      return `reload ${step.proxy}`;
    case "copy configuration":
      return `configure ${step.proxy} like ${step.from}`;
    case "register proxy":
      return `register ${step.proxy}`;
    case "drain proxy":
      return `drain ${step.proxy}`;
    case "unregister proxy":
      return `unregister ${step.proxy}`;
    case "stop monitoring":
      return `stop monitoring ${step.machine}`;
    case "take back":
      return `take ${step.machine} back`;
    case "check program":
      return "compare the program with the one that the last up ran";
    case "taint":
    case "untaint":
      return `${step.do} ${step.machines.join(" and ")}`;
    case "power off":
      return `power off ${step.machine}${step.instanceId ? ` (${step.instanceId})` : ""}`;
    case "launch":
      return `launch a new ${step.machines.join(" and ")}`;
    case "update record":
      return `update ${step.machine}'s record${step.instanceId ? ` (${step.instanceId})` : ""}`;
  }
}

/** Names of a proxy's lines, as a person types them to it. */
export const frontendName = (name: string) => `frontend ${name}`;
export const holdName = (shard: number) => `shard${shard}/hold`;
export const lineName = ({ line, shard, machine }: Pick<ServerChange, "line" | "shard" | "machine">) =>
  `${line === "traffic" ? "shard" : "probe"}${shard}/${machine}`;

function describeChange({ shard, line, machine, address, ready }: ServerChange): string {
  const words = [
    address && `at ${address.address}:${address.port}`,
    ready !== undefined && (ready ? "ready" : "out"),
  ];
  return `${line} ${shard}/${machine} ${words.filter(Boolean).join(" ")}`;
}
